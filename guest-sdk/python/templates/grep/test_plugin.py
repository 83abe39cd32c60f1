import unittest

import plugin
from mr import testing


class Matches(unittest.TestCase):
    def test_lines_are_found(self):
        run = testing.map(plugin, "an error\nall is well\nsorry\n", params={"pattern": "rr"})
        self.assertEqual(run.text(), "an error\nsorry\n")
        self.assertEqual(run.counters, {"lines matched": 2})


if __name__ == "__main__":
    unittest.main()
