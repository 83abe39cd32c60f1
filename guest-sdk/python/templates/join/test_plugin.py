import unittest

import plugin
from mr import testing


class Join(unittest.TestCase):
    def test_orders_meet_their_users(self):
        run = testing.job(plugin, "order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\n")
        self.assertEqual(run.text(), "7\tAda\tbook\n")
        self.assertEqual(run.counters, {"orders without a user": 1})

    def test_other_lines_are_rejected(self):
        run = testing.job(plugin, "user\t7\tAda\nnobody\n")
        self.assertEqual(len(run.rejects), 1)
        self.assertIn('the line at byte 11: "nobody"', run.rejects[0])


if __name__ == "__main__":
    unittest.main()
