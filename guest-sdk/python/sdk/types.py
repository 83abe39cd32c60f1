"""Types of keys and values: cells whose byte order is the order of the values (`ENCODING.md` of the interface).

Whole columns are encoded and decoded at once, by functions that loop in C: a call for each cell would cost
more than all the rest. A type also knows single cells, which is what tests and error messages use.
"""

import struct
import sys
from array import array
from itertools import accumulate, pairwise

U32 = next(code for code in "IL" if array(code).itemsize == 4)
LITTLE = sys.byteorder == "little"
TUPLE_MAX = 64
DEPTH_MAX = 8

# Flips the sign bit of a byte.
FLIP_SIGN = bytes(byte ^ 0x80 for byte in range(256))
# Flips all bits of a byte.
FLIP_ALL = bytes(byte ^ 0xFF for byte in range(256))
NAN = bytes.fromhex("fff8000000000000")


class Malformed(ValueError):
    """A cell that is not one of its type."""


def pack_ends(ends):
    """Ends of cells, as they cross the boundary: u32, little-endian."""
    packed = array(U32, ends)
    if not LITTLE:
        packed.byteswap()
    return packed.tobytes()


def read_ends(packed):
    """The numbers of packed ends."""
    ends = array(U32)
    ends.frombytes(packed)
    if not LITTLE:
        ends.byteswap()
    return ends


def cells_of(rows, width, ends, data):
    """The cells of a column, one by one."""
    if ends:
        starts = read_ends(ends)
        return [data[a:b] for a, b in pairwise([0, *starts])]
    if width == 0:
        return [b""] * rows
    return [data[at:at + width] for at in range(0, rows * width, width)]


class Type:
    """A type of keys or values. `width` is the length of all its cells, or None where they differ."""

    name = ""
    width = None

    def encode(self, value):
        """The cell of a value."""
        return self.encode_column([value])[2]

    def decode(self, cell):
        """The value of a cell."""
        raise NotImplementedError

    def encode_column(self, values):
        """The column of values: width, packed ends, data. What is no value of this type is a TypeError, a
        ValueError or an OverflowError."""
        raise NotImplementedError

    def decode_column(self, rows, width, ends, data):
        """The values of a column."""
        decode = self.decode
        return [decode(cell) for cell in cells_of(rows, width, ends, data)]

    def element(self, values):
        """The cells of values as elements of a tuple."""
        width, ends, data = self.encode_column(values)
        return cells_of(len(values), width, ends, data)

    def take(self, data, at):
        """The element of a tuple that begins at `at`: its value, and where it ends."""
        end = at + self.width
        if end > len(data):
            raise self.malformed(data[at:])
        return self.decode(data[at:end]), end

    def malformed(self, cell):
        return Malformed(f"{cell!r} is no cell of type {self.name}")

    def __repr__(self):
        return self.name


class Bytes(Type):
    name = "bytes"

    def decode(self, cell):
        return cell

    def encode_column(self, values):
        return 0, pack_ends(accumulate(map(len, values))), b"".join(values)

    def decode_column(self, rows, width, ends, data):
        return cells_of(rows, width, ends, data)

    def element(self, values):
        _, ends, data = self.encode_column(values)
        return [cell.replace(b"\0", b"\0\xff") + b"\0\0" for cell in cells_of(len(values), 0, ends, data)]

    def take(self, data, at):
        end = at
        while True:
            end = data.find(b"\0", end)
            after = data[end + 1:end + 2]
            if end < 0 or after not in (b"\0", b"\xff"):
                raise self.malformed(data[at:])
            if after == b"\0":
                return self.decode(data[at:end].replace(b"\0\xff", b"\0")), end + 2
            end += 2


class Text(Bytes):
    """Text is `str`. Bytes that are no UTF-8 become surrogates, and the same bytes again; `bytes` are taken as
    they are, too."""

    name = "text"

    def decode(self, cell):
        return cell.decode("utf-8", "surrogateescape")

    def encode_column(self, values):
        try:
            return super().encode_column(values)
        except TypeError:
            cells = [to_bytes(value) for value in values]
            return super().encode_column(cells)

    def decode_column(self, rows, width, ends, data):
        if ends and data.isascii():
            letters = data.decode("ascii")
            return [letters[a:b] for a, b in pairwise([0, *read_ends(ends)])]
        return [cell.decode("utf-8", "surrogateescape") for cell in cells_of(rows, width, ends, data)]


def to_bytes(value):
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return b"".join([value])


class Number(Type):
    """A number of 8 bytes."""

    width = 8
    code = "Q"

    def encode_column(self, values):
        packed = array(self.code, values)
        if LITTLE:
            packed.byteswap()
        return 8, b"", self.ordered(packed.tobytes())

    def decode_column(self, rows, width, ends, data):
        if ends and any(b - a != 8 for a, b in pairwise([0, *read_ends(ends)])) or not ends and width != 8 and rows:
            bad = next(cell for cell in cells_of(rows, width, ends, data) if len(cell) != 8)
            raise self.malformed(bad)
        packed = array(self.code)
        packed.frombytes(self.plain(data))
        if LITTLE:
            packed.byteswap()
        return packed.tolist()

    def decode(self, cell):
        return self.decode_column(1, len(cell), b"", cell)[0]

    def ordered(self, data):
        """Numbers, big-endian, as bytes that sort as they do."""
        return data

    def plain(self, data):
        """The reverse."""
        return data


class U64(Number):
    name = "u64"


class S64(Number):
    name = "s64"
    code = "q"

    def ordered(self, data):
        flipped = bytearray(data)
        flipped[0::8] = data[0::8].translate(FLIP_SIGN)
        return bytes(flipped)

    plain = ordered


class F64(Number):
    name = "f64"
    code = "d"

    def ordered(self, data):
        cells = (data[at:at + 8] for at in range(0, len(data), 8))
        return b"".join([self.ordered_cell(cell) for cell in cells])

    @staticmethod
    def ordered_cell(cell):
        if cell[0] & 0x80:
            number = struct.unpack(">d", cell)[0]
            return NAN if number != number else cell.translate(FLIP_ALL)
        if cell[0] == 0x7F and struct.unpack(">d", cell)[0] != struct.unpack(">d", cell)[0]:
            return NAN
        return bytes([cell[0] ^ 0x80]) + cell[1:]

    def plain(self, data):
        cells = (data[at:at + 8] for at in range(0, len(data), 8))
        return b"".join(
            [bytes([cell[0] ^ 0x80]) + cell[1:] if cell[0] & 0x80 else cell.translate(FLIP_ALL) for cell in cells]
        )


class Bool(Type):
    name = "bool"
    width = 1

    def encode_column(self, values):
        wrong = [value for value in values if value is not True and value is not False]
        if wrong:
            raise TypeError(f"{wrong[0]!r} is neither True nor False")
        return 1, b"", bytes(values)

    def decode(self, cell):
        if cell not in (b"\0", b"\1"):
            raise self.malformed(cell)
        return cell == b"\1"


class Unit(Type):
    """Nothing: its value is None."""

    name = "unit"
    width = 0

    def encode_column(self, values):
        wrong = [value for value in values if value is not None]
        if wrong:
            raise TypeError(f"{wrong[0]!r} is not None")
        return 0, b"", b""

    def decode_column(self, rows, width, ends, data):
        if data:
            raise self.malformed(data)
        return [None] * rows

    def decode(self, cell):
        return self.decode_column(1, 0, b"", cell)[0]


class Tuple(Type):
    """Several values; in Python a tuple of as many."""

    def __init__(self, elements):
        if not 1 <= len(elements) <= TUPLE_MAX:
            raise TypeError(f"a tuple has 1 to {TUPLE_MAX} elements, and not {len(elements)}")
        if depth(elements) > DEPTH_MAX:
            raise TypeError(f"tuples nest up to {DEPTH_MAX} deep")
        self.elements = elements
        self.name = f"tuple<{','.join(element.name for element in elements)}>"
        widths = [element.width for element in elements]
        self.width = None if None in widths else sum(widths)

    def encode_column(self, values):
        columns = list(zip(*values, strict=True)) if values else [()] * len(self.elements)
        if len(columns) != len(self.elements):
            raise ValueError(f"a {self.name} has {len(self.elements)} elements, and not {len(columns)}")
        cells = [element.element(column) for element, column in zip(self.elements, columns)]
        rows = list(map(b"".join, zip(*cells)))
        ends = b"" if self.width is not None else pack_ends(accumulate(map(len, rows)))
        return self.width or 0, ends, b"".join(rows)

    def element(self, values):
        width, ends, data = self.encode_column(values)
        return cells_of(len(values), width, ends, data)

    def decode(self, cell):
        value, end = self.take(cell, 0)
        if end != len(cell):
            raise self.malformed(cell)
        return value

    def take(self, data, at):
        values = []
        for element in self.elements:
            value, at = element.take(data, at)
            values.append(value)
        return tuple(values), at


class Desc(Type):
    """Sorts the other way round: the cell as an element of a tuple, all bits flipped. Its values are those of the
    type that it turns round."""

    def __init__(self, inner):
        if depth([inner]) > DEPTH_MAX:
            raise TypeError(f"types nest up to {DEPTH_MAX} deep")
        self.elements = [inner]
        self.inner = inner
        self.name = f"desc<{inner.name}>"
        self.width = inner.width

    def encode_column(self, values):
        cells = self.inner.element(values)
        ends = b"" if self.width is not None else pack_ends(accumulate(map(len, cells)))
        return self.width or 0, ends, b"".join(cells).translate(FLIP_ALL)

    def decode(self, cell):
        value, end = self.take(cell, 0)
        if end != len(cell):
            raise self.malformed(cell)
        return value

    def take(self, data, at):
        end = len(data) if self.width is None else at + self.width
        value, taken = self.inner.take(data[at:end].translate(FLIP_ALL), 0)
        return value, at + taken


def depth(elements):
    return 1 + max((depth(element.elements) for element in elements if isinstance(element, (Tuple, Desc))), default=0)


bytes_ = Bytes()
text = Text()
u64 = U64()
s64 = S64()
f64 = F64()
bool_ = Bool()
unit = Unit()


def tuple_(*elements):
    """The type of tuples with these elements: `mr.tuple_(mr.text, mr.u64)`."""
    for element in elements:
        check_type(element, "an element of a tuple")
    return Tuple(elements)


def desc(inner):
    """The type that sorts the other way round, the greatest first: `mr.desc(mr.u64)`."""
    return Desc(check_type(inner, "what desc turns round"))


def check_type(given, what):
    """Fails unless it is a type."""
    if not isinstance(given, Type):
        raise TypeError(f"{what} is {given!r}, and not a type such as mr.text or mr.u64")
    return given


def parse(name):
    """The type of this name, as `describe` and the test vectors write it."""
    name = name.strip()
    plain = {known.name: known for known in (bytes_, text, u64, s64, f64, bool_, unit)}
    if name in plain:
        return plain[name]
    if name.startswith("desc<") and name.endswith(">"):
        return desc(parse(name[len("desc<"):-1]))
    if not (name.startswith("tuple<") and name.endswith(">")):
        raise ValueError(f"there is no type {name!r}")
    parts, level, part = [], 0, ""
    for letter in name[len("tuple<"):-1]:
        level += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "," and level == 0:
            parts.append(part)
            part = ""
        else:
            part += letter
    return tuple_(*map(parse, [*parts, part]))


def render(datatype, value):
    """A value as the engine writes it to text; None for a unit, which is left out."""
    if isinstance(datatype, Tuple):
        return b"\t".join(render(element, part) or b"" for element, part in zip(datatype.elements, value))
    if isinstance(datatype, Desc):
        return render(datatype.inner, value)
    if isinstance(datatype, Bytes):
        return to_bytes(value)
    if isinstance(datatype, Unit):
        return None
    if isinstance(datatype, Bool):
        return b"true" if value else b"false"
    return (render_float(value) if isinstance(datatype, F64) else str(value)).encode()


def render_float(value):
    """Shortest digits that read back as the same number, without an exponent."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    sign = "-" if struct.pack(">d", value)[0] & 0x80 else ""
    digits, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    shift = int(exponent or 0)
    if shift >= 0:
        whole, fraction = whole + fraction[:shift].ljust(shift, "0"), fraction[shift:]
    else:
        padded = whole.rjust(-shift + 1, "0")
        whole, fraction = padded[:shift], padded[shift:] + fraction
    whole = whole.lstrip("0") or "0"
    return f"{sign}{whole}.{fraction}" if fraction else sign + whole
