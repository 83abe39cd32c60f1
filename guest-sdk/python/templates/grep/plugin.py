"""Finds the lines that contain a text."""

import mr

PARAMS = [mr.Param("pattern", help="text that a line must contain", required=True)]


@mr.mapper(mr.lines, key=mr.unit, value=mr.text, params=PARAMS)
class Matches:
    def __init__(self, task):
        self.pattern = task.param("pattern")

    def map(self, line):
        if self.pattern in line:
            mr.count("lines matched")
            yield None, line
