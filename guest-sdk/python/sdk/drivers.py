"""Runs a role over batches: what the exported functions do, in the sandbox and in tests.

Pairs are collected as they come and leave as columns; loops over pairs are those of Python's own functions
written in C. A generator is emptied in portions, so that a record may yield more than fits in memory.
"""

from dataclasses import replace
from itertools import islice, pairwise

from . import host
from .context import begin, send_counters, state
from .errors import Failed, Fatal, Invalid, Reject, failed, sample, sentence
from .types import cells_of, pack_ends, read_ends

# Pairs that are kept before they leave.
PAIRS_MAX = 32 * 1024
# Bytes of a column that leave at once; the engine takes 16 MiB.
COLUMN_BYTES_MAX = 4 * 1024 * 1024


class Emitter:
    """Collects pairs of a stage and emits them."""

    def __init__(self, stage, port=0):
        self.stage = stage
        self.port = port
        self.pairs = []

    def put(self, key, value):
        """Takes one pair."""
        self.pairs.append((key, value))
        if len(self.pairs) >= PAIRS_MAX:
            self.flush()

    def take(self, result):
        """Takes what an author's function yielded or returned."""
        if result is None:
            return
        if isinstance(result, dict):
            self.flush()
            self.send(list(result), list(result.values()))
            return
        try:
            rest = iter(result)
        except TypeError:
            raise Invalid(
                f"the {self.stage.role} returned {result!r}: yield pairs of key and value, or return a dict"
            ) from None
        pairs = self.pairs
        while True:
            pairs.extend(islice(rest, PAIRS_MAX))
            if len(pairs) < PAIRS_MAX:
                return
            self.flush()
            pairs = self.pairs

    def flush(self):
        """Emits what was collected."""
        if not self.pairs:
            return
        pairs, self.pairs = self.pairs, []
        try:
            keys, values = zip(*pairs, strict=True)
        except (TypeError, ValueError):
            bad = next(pair for pair in pairs if not is_pair(pair))
            raise Invalid(f"the {self.stage.role} yielded {bad!r}, and not a pair of key and value") from None
        self.send(keys, values)

    def send(self, keys, values):
        rows = len(keys)
        if rows > PAIRS_MAX:
            for at in range(0, rows, PAIRS_MAX):
                self.send(keys[at:at + PAIRS_MAX], values[at:at + PAIRS_MAX])
            return
        if rows:
            key_column = encode(self.stage, "key", self.stage.key, keys)
            value_column = encode(self.stage, "value", self.stage.value, values)
            emit(rows, key_column, value_column, self.port)


def emit(rows, keys, values, port=0):
    """Emits columns, in portions that the engine takes."""
    if rows > 1 and len(keys[2]) + len(values[2]) > COLUMN_BYTES_MAX:
        half = rows // 2
        emit(half, part(keys, 0, half), part(values, 0, half), port)
        emit(rows - half, part(keys, half, rows), part(values, half, rows), port)
    elif rows:
        host.current.emit(port, rows, keys, values)


def part(column, start, end):
    """Some rows of a column."""
    width, packed, data = column
    if not packed:
        return width, b"", data[start * width:end * width]
    ends = read_ends(packed)
    first = ends[start - 1] if start else 0
    return 0, pack_ends([at - first for at in ends[start:end]]), data[first:ends[end - 1]]


def is_pair(pair):
    try:
        return len(pair) == 2
    except TypeError:
        return False


def encode(stage, side, datatype, values):
    """A column; what is of another type is named."""
    try:
        return datatype.encode_column(values)
    except (TypeError, ValueError, OverflowError, AttributeError):
        for value in values:
            try:
                datatype.encode_column([value])
            except (TypeError, ValueError, OverflowError, AttributeError) as why:
                raise Invalid(
                    f"the {stage.role} yielded the {side} {sample(repr(value))}, a {type(value).__name__}, and "
                    f"its {side}s are of type {datatype.name} ({sentence_of(why)})"
                ) from None
        raise


def sentence_of(why):
    return " ".join(str(why).split())


class Driver:
    """A role at work."""

    def __init__(self, stage, context):
        self.stage = stage
        self.row = None
        self.describe = None
        self.out = Emitter(stage)
        self.call("fatal", lambda: self.begin(context))

    def begin(self, context):
        begin(context, self.stage.params)
        state.named = dict(self.named(context))
        self.work, self.finish = (None, None) if self.stage.fold else self.stage.start(context)

    def named(self, context):
        """Emitters of those of its named outputs that the task has."""
        for name, (key, value) in self.stage.outputs.items():
            if name in context.outputs:
                yield name, Emitter(replace(self.stage, key=key, value=value), context.outputs.index(name))

    def flush(self):
        """Emits what was collected."""
        self.out.flush()
        for out in state.named.values():
            out.flush()

    def call(self, otherwise, work):
        """Runs one exported call: an exception becomes an answer, counters are sent at its end."""
        self.row = self.describe = None
        try:
            answer = work()
            send_counters()
            return answer
        except Failed:
            raise
        except Reject as reject:
            raise failed(Fatal(f"rejected outside of any record: {reject}"), otherwise, "", None, log_error) from None
        except BaseException as error:
            doing = self.describe() if self.describe else ""
            raise failed(error, otherwise, doing, self.row, log_error) from None

    def rejected(self, reject):
        """A record or group is given up."""
        doing = self.describe() if self.describe else ""
        host.current.reject(self.row, f"{sentence(reject)}; {doing}")

    def close(self):
        def end():
            if self.finish:
                self.out.take(self.finish())
            self.flush()

        self.call("invalid-input", end)


def log_error(line):
    host.current.log("error", line)


class MapDriver(Driver):
    def map_batch(self, rows, keys, values):
        self.call("invalid-input", lambda: self.map_rows(rows, cells_of(rows, *keys), cells_of(rows, *values)))

    def map_rows(self, rows, keys, values):
        input_ = self.stage.input
        one = self.map_single if input_.single else self.map_several
        for row, (key, value) in enumerate(zip(keys, values)):
            self.row, self.at = row, 0
            self.describe = lambda: input_.doing(key, value, records, self.at)
            records = ()
            records = input_.records(key, value)
            rest = enumerate(records)
            while not one(rest):
                pass
        self.row = self.describe = None
        self.flush()

    # Two loops rather than a test for each record; each ends where a record is given up, and is called again.
    def map_single(self, records):
        work, take = self.work, self.out.take
        at = 0
        try:
            for at, record in records:
                take(work(record))
            return True
        except Reject as reject:
            self.at = at
            self.rejected(reject)
            return False
        except BaseException:
            self.at = at
            raise

    def map_several(self, records):
        work, take = self.work, self.out.take
        at = 0
        try:
            for at, record in records:
                take(work(*record))
            return True
        except Reject as reject:
            self.at = at
            self.rejected(reject)
            return False
        except BaseException:
            self.at = at
            raise


class GroupDriver(Driver):
    """What combiner and reducer have in common: groups of a batch."""

    def run_batch(self, groups, keys, ends, rows, values, more):
        run = self.fold_groups if self.stage.fold else self.run_groups
        self.call("invalid-input", lambda: run(groups, keys, read_ends(ends).tolist(), rows, values, more))

    def group(self, row, key):
        verb = "combining" if self.stage.role == "combiner" else "reducing"
        return f"while {verb} the group with key {sample(key)}"

    def run_groups(self, groups, keys, ends, rows, values, more):
        stage, work, take = self.stage, self.work, self.out.take
        cells = None

        def describe():
            return self.group(self.row, cells_of(groups, *keys)[self.row])

        names = stage.key_in.decode_column(groups, *keys)
        decoded = stage.value_in.decode_column(rows, *values)
        self.describe = describe
        last = groups - 1
        for row, (start, end) in enumerate(pairwise([0, *ends])):
            self.row = row
            values_ = iter(decoded[start:end])
            if more and row == last:
                values_ = further(values_, stage.value_in)
            try:
                if stage.role == "combiner":
                    cells = cells or cells_of(groups, *keys)
                    take(self.same_key(cells[row], work(names[row], values_)))
                else:
                    take(work(names[row], values_))
            except Reject as reject:
                self.rejected(reject)
            if more and row == last:
                # The engine requires that a group is read to its end.
                for _ in values_:
                    pass
        self.row = self.describe = None
        self.flush()

    def same_key(self, cell, pairs):
        """Fails where a combiner emits another key than it was given."""
        pairs = pairs.items() if isinstance(pairs, dict) else pairs
        for pair in pairs or ():
            if not is_pair(pair) or encode(self.stage, "key", self.stage.key, [pair[0]])[2] != cell:
                raise Invalid(f"the combiner yielded {pair!r}: a combiner yields pairs of the key that it was given")
            yield pair

    def fold_groups(self, groups, keys, ends, rows, values, more):
        stage, fold = self.stage, self.stage.fold
        decoded = stage.value_in.decode_column(rows, *values)
        bounds = list(pairwise([0, *ends]))
        if fold is sum and rows == groups and not more:
            folded = decoded
        elif not more:
            folded = [fold(decoded[start:end]) for start, end in bounds]
        else:
            start, end = bounds.pop()
            folded = [fold(decoded[start:end]) for start, end in bounds]
            rest = further(iter(decoded[start:end]), stage.value_in)
            folded.append(fold(rest))
            # The engine requires that a group is read to its end.
            for _ in rest:
                pass
        # Keys go out as they came in.
        emit(groups, keys, encode(stage, "value", stage.value, folded))


def further(values, datatype):
    """The values of a group that goes on: those at hand, then those that the engine still has."""
    yield from values
    while (fetched := host.current.next_values()) is not None:
        rows, column = fetched
        yield from datatype.decode_column(rows, *column)


class CombineDriver(GroupDriver):
    combine_batch = GroupDriver.run_batch


class ReduceDriver(GroupDriver):
    reduce_batch = GroupDriver.run_batch


class PartitionDriver(Driver):
    def begin(self, context):
        super().begin(context)
        self.partitions = context.partitions

    def partition_batch(self, rows, keys):
        return self.call("invalid-input", lambda: self.partition_keys(rows, keys))

    def partition_keys(self, rows, keys):
        cells = cells_of(rows, *keys)
        self.describe = lambda: f"while partitioning the key {sample(cells[self.row])}"
        answer = []
        for row, key in enumerate(self.stage.key_in.decode_column(rows, *keys)):
            self.row = row
            partition = self.work(key, self.partitions)
            if type(partition) is not int or not 0 <= partition < self.partitions:
                raise Fatal(f"partition {partition!r} of {self.partitions}")
            answer.append(partition)
        return pack_ends(answer)


DRIVERS = {"mapper": MapDriver, "combiner": CombineDriver, "reducer": ReduceDriver, "partitioner": PartitionDriver}
