"""What a mapper reads. Text crosses the boundary in chunks of whole lines and is split here, because a line by
itself costs more than its bytes."""

from . import types
from .errors import sample


class Input:
    """A kind of input: attributes for the engine, and the arguments that a mapper is called with."""

    attributes = (("map.batch", "chunks"),)

    def records(self, key, value):
        """The records of a row, each as a tuple of arguments, or as the only argument: see `single`."""
        raise NotImplementedError

    single = True

    def doing(self, key, value, records, at):
        """What is being done, for people. `at` is the record's number in the row."""
        return f"while mapping {line_at(offset_of(key), value, at)}"


def split_lines(value):
    """Lines of a row without their newlines: a chunk of whole lines, or one line."""
    lines_ = value.split(b"\n")
    if not lines_[-1] and len(lines_) > 1:
        lines_.pop()
    return lines_


def line_at(offset, value, at):
    before = split_lines(value)
    offset += sum(map(len, before[:at])) + at
    return f"the line at byte {offset}: {sample(before[at])}" if at < len(before) else f"at byte {offset}"


def offset_of(key):
    """The place of a row in its file; the key is that, or path and place."""
    return int.from_bytes(key[-8:], "big")


class Lines(Input):
    def records(self, key, value):
        letters = value.decode("utf-8", "surrogateescape").split("\n")
        if not letters[-1] and len(letters) > 1:
            letters.pop()
        return letters


class ByteLines(Input):
    def records(self, key, value):
        return split_lines(value)


class Chunks(Input):
    def records(self, key, value):
        return (value,)

    def doing(self, key, value, records, at):
        return f"while mapping the {len(value)} bytes at byte {offset_of(key)}"


class FileLines(Input):
    attributes = (("map.batch", "chunks"), ("map.input-key", "path-offset"))
    single = False
    key = types.Tuple((types.text, types.u64))

    def records(self, key, value):
        path, offset = self.key.decode(key)
        found = []
        for line in split_lines(value):
            found.append((path, offset, line.decode("utf-8", "surrogateescape")))
            offset += len(line) + 1
        return found


class Records(Input):
    attributes = ()
    single = False

    def __init__(self, key, value):
        self.key = types.check_type(key, "the key of mr.records")
        self.value = types.check_type(value, "the value of mr.records")

    def records(self, key, value):
        return ((self.key.decode(key), self.value.decode(value)),)

    def doing(self, key, value, records, at):
        return f"while mapping a record: key {sample(key)}, value {sample(value)}"


lines = Lines()
"""Lines of text: `def map(line)`, a str without its newline. Bytes that are no UTF-8 become surrogates, which
turn into the same bytes when they are emitted."""
byte_lines = ByteLines()
"""Lines as bytes: `def map(line)`, without its newline."""
chunks = Chunks()
"""Chunks of whole lines, newlines and all: `def map(chunk)`, bytes; a chunk may be a single line without its
newline. The fastest way, for what needs no lines."""
file_lines = FileLines()
"""Lines that know their file: `def map(path, offset, line)`."""


def records(key, value):
    """Records with a key and a value of these types: `def map(key, value)`."""
    return Records(key, value)
