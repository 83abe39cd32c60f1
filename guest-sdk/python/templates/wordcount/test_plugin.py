import unittest

import plugin
from mr import testing


class Words(unittest.TestCase):
    def test_words_are_counted(self):
        run = testing.job(plugin, "to be\nor not to be\n")
        self.assertEqual(run.text(), "be\t2\nnot\t1\nor\t1\nto\t2\n")


if __name__ == "__main__":
    unittest.main()
