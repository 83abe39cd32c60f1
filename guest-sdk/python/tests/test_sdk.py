"""The SDK against the shared vectors, and against what a job can meet. Run by `tests/languages/python.rs`, or by
hand: `python3 -m unittest` with a folder on PYTHONPATH in which `mr` is `guest-sdk/python/sdk`."""

import json
import math
import os
import sys
import types as python
import unittest
from pathlib import Path

import mr
from mr import describe, testing, types

WIT = Path(os.environ.get("MR_WIT", Path(__file__).resolve().parents[3] / "wit"))
VECTORS = json.loads((WIT / "vectors.json").read_text("utf-8"))


def value_of(datatype, given):
    """A value as the vectors write it."""
    if isinstance(datatype, types.Tuple):
        return tuple(value_of(element, part) for element, part in zip(datatype.elements, given))
    if isinstance(datatype, types.Desc):
        return value_of(datatype.inner, given)
    if isinstance(datatype, types.Bytes):
        raw = bytes.fromhex(given["hex"]) if isinstance(given, dict) else given.encode()
        return raw.decode("utf-8", "surrogateescape") if datatype is mr.text else raw
    if isinstance(datatype, types.F64):
        return float(given)
    return int(given) if isinstance(datatype, types.Number) else given


def same(a, b):
    if isinstance(a, tuple):
        return all(map(same, a, b))
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b
    return a == b


class Grouping(unittest.TestCase):
    def test_a_prefix_of_the_key_makes_a_group(self):
        plugin = python.ModuleType("grouping")
        exec(
            "import mr\n"
            "@mr.mapper(mr.lines, key=mr.tuple_(mr.text, mr.desc(mr.u64)), value=mr.u64)\n"
            "def numbers(line):\n"
            "    name, number = line.split()\n"
            "    yield (name, int(number)), int(number)\n"
            "@mr.reducer(mr.tuple_(mr.text), mr.u64, group_prefix=1, out=(mr.text, mr.text))\n"
            "def joined(key, numbers):\n"
            "    yield key[0], ','.join(map(str, numbers))\n",
            plugin.__dict__,
        )
        text = "b 1\na 2\na 10\nb 3\na 1\n"
        self.assertEqual(testing.job(plugin, text).text(), "a\t10,2,1\nb\t3,1\n")
        with self.assertRaises(TypeError):
            mr.reducer(mr.text, mr.u64, group_prefix=1)


class Vectors(unittest.TestCase):
    def test_values_and_cells(self):
        for group in VECTORS["ordered"]:
            datatype = types.parse(group["type"])
            self.assertEqual(datatype.name, group["type"])
            values = [value_of(datatype, cell["value"]) for cell in group["cells"]]
            cells = [bytes.fromhex(cell["bytes"]) for cell in group["cells"]]
            self.assertEqual(cells, sorted(cells))
            for value, cell, given in zip(values, cells, group["cells"]):
                self.assertEqual(datatype.encode(value), cell, given)
                self.assertTrue(same(datatype.decode(cell), value), given)
                if "text" in given:
                    self.assertEqual((types.render(datatype, value) or b"").decode(), given["text"])
            # All at once, in both layouts of a column.
            column = datatype.encode_column(values)
            self.assertEqual(types.cells_of(len(values), *column), cells)
            for column in [column, testing.column(cells)]:
                read = datatype.decode_column(len(values), *column)
                self.assertTrue(all(map(same, read, values)), group["type"])

    def test_malformed_cells_are_refused(self):
        for given in VECTORS["malformed"]:
            datatype, cell = types.parse(given["type"]), bytes.fromhex(given["bytes"])
            with self.assertRaises(types.Malformed, msg=given):
                datatype.decode(cell)
            with self.assertRaises(types.Malformed, msg=given):
                datatype.decode_column(1, *testing.column([cell]))

    def test_computed_nan_is_one(self):
        for nan in [float("nan"), -float("nan"), math.inf - math.inf]:
            self.assertEqual(mr.f64.encode(nan).hex(), "fff8000000000000")


def plugin(**_):
    """A new module to declare stages in."""
    module = python.ModuleType(f"plugin_{len(sys.modules)}_{id(object())}")
    module.__dict__["mr"] = mr
    return module


def declare(source):
    module = plugin()
    sys.modules[module.__name__] = module
    exec(compile(source, "plugin.py", "exec"), module.__dict__)
    return module


WORDS = """
@mr.mapper({input}, key=mr.text, value=mr.u64)
def words(record):
    for word in record.split():
        yield word, 1

{total}
"""
OWN = """
@mr.combiner(mr.text, mr.u64)
@mr.reducer(mr.text, mr.u64)
def total(word, counts):
    yield word, sum(counts)
"""


class Jobs(unittest.TestCase):
    def test_every_way_of_counting_words(self):
        text = "to be or not\n" * 7 + "\n\nwhether tis\tnobler\n" * 5 + "last"
        counts = {}
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
        expected = "".join(f"{word}\t{counts[word]}\n" for word in sorted(counts))
        for total in [OWN, "mr.folding(mr.text, mr.u64, sum)", "mr.folding(mr.text, mr.u64, sum, combine=False)"]:
            for kind in ["mr.lines", "mr.byte_lines", "mr.chunks"]:
                module = declare(WORDS.format(input=kind, total=total))
                self.assertEqual(testing.job(module, text).text(), expected, (kind, total))

    def test_what_a_function_may_return(self):
        for body in ["return {line: 1}", "return [(line, 1)]", "yield line, 1", "return iter([[line, 1]])"]:
            module = declare(f"@mr.mapper(key=mr.text, value=mr.u64)\ndef f(line):\n    {body}\n")
            self.assertEqual(testing.map(module, "b\na\n").records(), [("b", 1), ("a", 1)])
        module = declare("@mr.mapper(key=mr.text, value=mr.u64)\ndef f(line):\n    pass\n")
        self.assertEqual(testing.map(module, "a\n").cells, [])

    def test_a_record_may_yield_more_than_a_batch(self):
        module = declare(
            "@mr.mapper(key=mr.u64, value=mr.bytes_)\ndef f(line):\n    for n in range(100_000):\n        yield n, b'x' * 99\n"
        )
        cells = testing.map(module, "a\n").cells
        self.assertEqual(len(cells), 100_000)
        self.assertEqual(cells[-1], ((99_999).to_bytes(8, "big"), b"x" * 99))

    def test_bytes_that_are_no_text_come_out_as_they_went_in(self):
        module = declare("@mr.mapper(key=mr.unit, value=mr.text)\ndef f(line):\n    yield None, line\n")
        text = b"caf\xc3\xa9\n\xff\xfe\r\n\x0b\x1c\n".decode("utf-8", "surrogateescape")
        self.assertEqual(b"".join(v + b"\n" for _, v in testing.map(module, text).cells).decode(errors="surrogateescape"), text)

    def test_files_and_offsets(self):
        module = declare(
            "@mr.mapper(mr.file_lines, key=mr.tuple_(mr.text, mr.u64), value=mr.text)\n"
            "def f(path, offset, line):\n    yield (path, offset), line\n"
        )
        run = testing.map(module, {"a": "x\nyy\nz\n", "b": "\nq\n"})
        self.assertEqual(run.text(), "a\t0\tx\na\t2\tyy\na\t5\tz\nb\t0\t\nb\t1\tq\n")

    def test_named_outputs(self):
        module = declare(
            "@mr.mapper(key=mr.unit, value=mr.text, outputs={'long': (mr.text, mr.u64), 'none': (mr.u64, mr.unit)})\n"
            "def f(line):\n"
            "    if len(line) > 3:\n        mr.emit('long', line, len(line))\n"
            "    else:\n        yield None, line\n"
        )
        run = testing.map(module, "a\nbbbb\nc\n" * 9)
        self.assertEqual(run.text(), "a\nc\n" * 9)
        self.assertEqual(run.output("long"), [("bbbb", 4)] * 9)
        self.assertEqual(run.output("none"), [])
        facts = dict(describe.attributes(module.__name__))
        self.assertEqual([facts[name] for name in ["outputs", "output.long.value"]], ["long,none", "u64"])
        module = declare("@mr.mapper(key=mr.unit, value=mr.text)\ndef f(line):\n    mr.emit('long', line, 1)\n")
        with self.assertRaisesRegex(testing.Failure, "there is no output long in this stage"):
            testing.map(module, "a\n")

    def test_records_long_groups_and_classes(self):
        module = declare(
            "@mr.mapper(mr.records(mr.u64, mr.f64), key=mr.u64, value=mr.f64)\n"
            "def f(key, value):\n    yield key % 2, value\n"
            "@mr.reducer(mr.u64, mr.f64, out=(mr.u64, mr.tuple_(mr.u64, mr.f64)))\n"
            "class Mean:\n"
            "    def __init__(self, task):\n        self.groups = 0\n"
            "    def reduce(self, key, values):\n"
            "        self.groups += 1\n        first = next(values)\n        rest = list(values)\n"
            "        yield key, (1 + len(rest), first + sum(rest))\n"
            "    def finish(self):\n        yield 99, (self.groups, 0.0)\n"
        )
        run = testing.job(module, [(n, n / 2) for n in range(21)])
        self.assertEqual(run.records(), [(0, (11, 55.0)), (1, (10, 50.0)), (99, (2, 0.0))])

    def test_groups_left_early_are_passed_over(self):
        module = declare("@mr.reducer(mr.text, mr.u64)\ndef f(key, values):\n    yield key, next(values)\n")
        groups = [("a", [1, 2]), ("b", list(range(20))), ("c", [7])]
        self.assertEqual(testing.reduce(module, groups).records(), [("a", 1), ("b", 0), ("c", 7)])

    def test_folds(self):
        groups = [("a", [3, 1, 2]), ("b", [5]), ("c", list(range(10)))]
        for name, fold in [("sum", sum), ("min", min), ("max", max)]:
            module = declare(f"mr.folding(mr.text, mr.u64, {name})")
            expected = [(key, fold(values)) for key, values in groups]
            self.assertEqual(testing.reduce(module, groups).records(), expected)
            self.assertEqual(testing.combine(module, groups).records(), expected)

    def test_folds_need_not_look_at_values(self):
        module = declare("mr.folding(mr.text, mr.unit, lambda values: None)")
        groups = [("a", [None] * 10), ("b", [None])]
        self.assertEqual(testing.reduce(module, groups).records(), [("a", None), ("b", None)])

    def test_partitions(self):
        module = declare("@mr.partitioner(mr.u64)\ndef f(key, partitions):\n    return key % partitions\n")
        self.assertEqual(testing.partition(module, [0, 1, 5], 3), [0, 1, 2])
        module = declare("@mr.partitioner(mr.u64)\ndef f(key, partitions):\n    return 3\n")
        with self.assertRaisesRegex(testing.Failure, "partition 3 of 3; while partitioning the key"):
            testing.partition(module, [0], 3)

    def test_params_counters_log_side_inputs(self):
        module = declare(
            "import io\n"
            "@mr.mapper(key=mr.text, value=mr.u64, params=[mr.Param('n', mr.u64, default=2), mr.Param('loud', 'bool', default=False)])\n"
            "def f(line):\n"
            "    mr.count('lines')\n    mr.log('seen', 'warn')\n"
            "    words = mr.side_input('words').read().decode().split()\n"
            "    yield words[0], mr.param('n') + mr.param('loud')\n"
        )
        run = testing.map(module, "a\nb\n", params={"n": 5, "loud": True}, side_inputs={"words": b"hello " * 50_000})
        self.assertEqual(run.records(), [("hello", 6)] * 2)
        self.assertEqual((run.counters, run.log[0]), ({"lines": 2}, ("warn", "seen")))
        with self.assertRaisesRegex(testing.Failure, "the job has no side input words"):
            testing.map(module, "a\n")
        with self.assertRaisesRegex(testing.Failure, "parameter n = 'x' is no u64"):
            testing.map(module, "a\n", params={"n": "x"})


class Failures(unittest.TestCase):
    def fails(self, body, role="@mr.mapper(key=mr.text, value=mr.u64)", text="first\nsecond\nthird\n"):
        module = declare(f"{role}\ndef f(line):\n    {body}\n")
        with self.assertRaises(testing.Failure) as caught:
            testing.map(module, text)
        return caught.exception

    def test_an_exception_names_its_place_and_record(self):
        failure = self.fails("yield line, 1 if line != 'third' else int('x')")
        self.assertEqual(
            str(failure),
            "ValueError: invalid literal for int() with base 10: 'x' (plugin.py:3 in f); "
            'while mapping the line at byte 13: "third"',
        )
        self.assertEqual((failure.kind, failure.row), ("invalid-input", 1))

    def test_the_traceback_is_logged(self):
        logged = []
        from mr import errors

        try:
            exec(compile("def f():\n    raise KeyError('k')\nf()", "plugin.py", "exec"), {})
        except KeyError as error:
            errors.failed(error, "fatal", "", None, logged.append)
        self.assertEqual(logged[0], "Traceback (most recent call last):")
        self.assertEqual(logged[-1], "KeyError: 'k'")
        self.assertTrue(any(line == '  File "plugin.py", line 2, in f' for line in logged), logged)

    def test_errors_have_kinds(self):
        for kind in ["Invalid", "Transient", "Fatal"]:
            failure = self.fails(f"raise mr.{kind}('the words')")
            self.assertEqual(failure.kind, {"Invalid": "invalid-input"}.get(kind, kind.lower()))
            self.assertTrue(str(failure).startswith("the words; while mapping the line at byte 0"), failure)
        self.assertIn("SystemExit: 3", str(self.fails("raise SystemExit(3)")))

    def test_wrong_types_are_named(self):
        for body, words in [
            ("yield line, 'one'", "the mapper yielded the value \"'one'\", a str, and its values are of type u64"),
            ("yield line, -1", 'the mapper yielded the value "-1", a int, and its values are of type u64'),
            ("yield line, 1 << 64", "its values are of type u64"),
            ("yield line, 1.5", "its values are of type u64"),
            ("yield 7, 1", 'the mapper yielded the key "7", a int, and its keys are of type text'),
            ("yield line", "the mapper yielded 'first', and not a pair of key and value"),
            ("yield line, 1, 2", "and not a pair of key and value"),
            ("return 7", "the mapper returned 7: yield pairs of key and value, or return a dict"),
            ("return {line: None}", "its values are of type u64"),
        ]:
            self.assertIn(words, str(self.fails(body)))

    def test_a_combiner_keeps_its_key(self):
        module = declare("@mr.combiner(mr.text, mr.u64)\ndef f(key, values):\n    yield key + 'x', 1\n")
        with self.assertRaisesRegex(testing.Failure, "a combiner yields pairs of the key that it was given"):
            testing.combine(module, [("a", [1])])

    def test_rejects_go_on(self):
        module = declare(
            "@mr.mapper(key=mr.text, value=mr.u64)\ndef f(line):\n"
            "    if 'bad' in line:\n        raise mr.Reject('it is bad')\n    yield line, 1\n"
        )
        run = testing.map(module, "a\nbad 1\nb\nbad 2\nbad 3\nc\n")
        self.assertEqual([key for key, _ in run.records()], ["a", "b", "c"])
        self.assertEqual(run.rejects[1], 'it is bad; while mapping the line at byte 10: "bad 2"')
        self.assertEqual(len(run.rejects), 3)

    def test_declarations_are_checked(self):
        for source, words in [
            ("@mr.mapper(key=str, value=mr.u64)\ndef f(x): pass", "not a type such as mr.text"),
            ("@mr.mapper(str, key=mr.text, value=mr.u64)\ndef f(x): pass", "not one such as mr.lines"),
            ("@mr.reducer(mr.text, mr.u64)\nclass C: pass", "class C has no method reduce"),
            ("mr.folding(mr.text, mr.u64, 3)", "takes a function such as sum"),
            ("for _ in range(2):\n    mr.folding(mr.text, mr.u64, sum)", "two combiners"),
        ]:
            with self.assertRaisesRegex(TypeError, words):
                declare(source)

    def test_attributes(self):

        module = declare(
            "@mr.mapper(mr.file_lines, key=mr.text, value=mr.u64, params=[mr.Param('n', mr.u64, 'how many', default=3)])\n"
            "def f(p, o, l): pass\n"
            "@mr.reducer(mr.text, mr.u64, out=(mr.text, mr.f64))\ndef g(k, v): pass\n"
        )
        self.assertEqual(
            dict(describe.attributes(module.__name__)),
            {
                "map.batch": "chunks", "map.input-key": "path-offset", "map.key": "text", "map.value": "u64",
                "param.n.type": "u64", "param.n.default": "3", "param.n.help": "how many",
                "reduce.in.key": "text", "reduce.in.value": "u64", "reduce.key": "text", "reduce.value": "f64",
            },
        )
        describe.check_roles(module.__name__, "plugin.py", ["mapper", "reducer"])
        with self.assertRaisesRegex(SystemExit, "names the role combiner, and plugin.py declares mapper, reducer"):
            describe.check_roles(module.__name__, "plugin.py", ["mapper", "combiner"])
        with self.assertRaisesRegex(SystemExit, "declares a reducer, and mr-engine.toml does not name it"):
            describe.check_roles(module.__name__, "plugin.py", ["mapper"])


if __name__ == "__main__":
    unittest.main()
