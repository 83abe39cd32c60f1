import unittest

import plugin
from mr import testing


class Lines(unittest.TestCase):
    def test_lines_pass(self):
        self.assertEqual(testing.map(plugin, "a\nb\n").text(), "a\nb\n")


if __name__ == "__main__":
    unittest.main()
