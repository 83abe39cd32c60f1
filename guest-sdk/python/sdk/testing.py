"""Runs a plugin in an ordinary test: the same code as in the sandbox, with a stand-in for the engine. Batches are
small and groups are cut, so that a few lines of input meet what a big job meets.

    import plugin
    from mr import testing

    run = testing.job(plugin, "to be\\nor not to be\\n")
    assert run.text() == "be\\t2\\nnot\\t1\\nor\\t1\\nto\\t2\\n"
"""

from itertools import accumulate, groupby

from . import host, types
from .drivers import DRIVERS
from .errors import Failed, Fatal
from .stages import stages_of
from .context import Task

# Records, groups, and values of one group in an input batch.
BATCH_ROWS = 3


class Failure(Exception):
    """The task failed: its `kind` and its message."""

    def __init__(self, failed):
        super().__init__(failed.message)
        self.kind, self.row = failed.kind, failed.row


class Run:
    """What came of a run: `cells` (pairs of bytes), `counters`, `rejects` (reasons) and the `log` (level, line)."""

    def __init__(self, stage):
        self.key, self.value = stage.key, stage.value
        self.outputs = stage.outputs
        self.cells, self.counters, self.rejects, self.log = [], {}, [], []
        # Pairs of bytes of named outputs, by name.
        self.named = {name: [] for name in stage.outputs}

    def records(self):
        """The pairs, in the order in which they were emitted."""
        return [(self.key.decode(key), self.value.decode(value)) for key, value in self.cells]

    def output(self, name):
        """The pairs of a named output, in the order in which they were emitted."""
        kind, cells = self.outputs[name], self.named[name]
        return [(kind[0].decode(key), kind[1].decode(value)) for key, value in cells]

    def text(self):
        """The pairs as the engine writes them: key, tab, value, newline."""
        lines = []
        for key, value in self.records():
            sides = [types.render(self.key, key), types.render(self.value, value)]
            lines.append(b"\t".join(side for side in sides if side is not None) + b"\n")
        return b"".join(lines).decode("utf-8", "surrogateescape")


class Double:
    """Stands in for the engine."""

    def __init__(self, run, params, side_inputs):
        self.run, self.given, self.side_inputs = run, params, side_inputs
        self.rest = []

    def emit(self, port, rows, keys, values):
        cells = list(zip(types.cells_of(rows, *keys), types.cells_of(rows, *values), strict=True))
        assert len(cells) == rows, "a malformed batch was emitted"
        (self.run.named[list(self.run.outputs)[port - 1]] if port else self.run.cells).extend(cells)

    def reject(self, row, reason):
        self.run.rejects.append(reason)

    def params(self):
        return list(self.given.items())

    def count(self, deltas):
        for name, delta in deltas:
            self.run.counters[name] = self.run.counters.get(name, 0) + delta

    def log(self, level, message):
        self.run.log.append((level, message))

    def next_values(self):
        return self.rest.pop(0) if self.rest else None

    def side_size(self, name):
        return len(self.side_inputs[name]) if name in self.side_inputs else None

    def side_read(self, name, offset, length):
        return self.side_inputs[name][offset:offset + length]


def job(plugin, text, *, params=None, side_inputs=None):
    """Runs a whole job on a text, or on files as a dict of path and text: mapper, combiner where there is one, and
    reducer. The pairs of all partitions, in key order."""
    options = {"params": params, "side_inputs": side_inputs}
    mapped = map(plugin, text, **options)
    roles = stages_of(plugin.__name__)
    done, cells = [mapped], mapped.cells
    if "combiner" in roles:
        parts = [cells[at:at + 2 * BATCH_ROWS] for at in range(0, len(cells), 2 * BATCH_ROWS)]
        for part in [*parts, None]:
            groups = grouped(cells if part is None else part)
            combined = run_groups(plugin, "combiner", groups, **options)
            done.append(combined)
            # First parts of what the mapper emitted, then what came of them.
            cells = combined.cells if part is None else [*combined.cells, *(cells if part is not parts[0] else [])]
    last = run_groups(plugin, "reducer", reduce_groups(plugin, cells), **options) if "reducer" in roles else sorted_run(mapped)
    for earlier in done if last is not mapped else []:
        for name, delta in earlier.counters.items():
            last.counters[name] = last.counters.get(name, 0) + delta
        last.rejects, last.log = earlier.rejects + last.rejects, earlier.log + last.log
    return last


def sorted_run(run):
    run.cells.sort(key=lambda pair: pair[0])
    return run


def map(plugin, text, *, params=None, side_inputs=None):
    """Maps the lines of a text, or of files as a dict of path and text; or a list of records, where the mapper reads
    records."""
    stage = stage_of(plugin, "mapper")
    input_ = stage.input
    rows = []
    if "map.batch" not in dict(input_.attributes):
        rows = [(input_.key.encode(key), input_.value.encode(value)) for key, value in text]
    else:
        for path, content in (text if isinstance(text, dict) else {"input": text}).items():
            rows.extend(chunks_of(path, types.to_bytes(content), "map.input-key" in dict(input_.attributes)))

    def work(driver, double):
        for at in range(0, len(rows), BATCH_ROWS):
            batch = rows[at:at + BATCH_ROWS]
            keys, values = zip(*batch)
            driver.map_batch(len(batch), column(keys), column(values))

    return run_stage(stage, work, params, side_inputs)


def chunks_of(path, content, with_path):
    """Rows of text: chunks of two lines, then a line by itself, in turn."""
    offset, take = 0, 2
    lines = content.splitlines(True) if b"\r" not in content else [
        line + b"\n" for line in content.split(b"\n")[:-1]
    ] + ([content.split(b"\n")[-1]] if not content.endswith(b"\n") else [])
    while lines:
        chunk, lines = b"".join(lines[:take]), lines[take:]
        place = offset.to_bytes(8, "big")
        key = types.text.element([path])[0] + place if with_path else place
        yield key, chunk if take == 2 else chunk.removesuffix(b"\n")
        offset += len(chunk)
        take = 3 - take


def combine(plugin, groups, *, params=None, side_inputs=None):
    """Combines groups, given as pairs of a key and a list of values, in key order."""
    return given_groups(plugin, "combiner", groups, params, side_inputs)


def reduce(plugin, groups, *, params=None, side_inputs=None):
    """Reduces groups, given as pairs of a key and a list of values, in key order."""
    return given_groups(plugin, "reducer", groups, params, side_inputs)


def partition(plugin, keys, partitions, *, params=None):
    """The partitions of keys."""
    stage = stage_of(plugin, "partitioner")
    cells = [stage.key_in.encode(key) for key in keys]
    found = []

    def work(driver, double):
        found.extend(types.read_ends(driver.partition_batch(len(cells), column(cells))))

    run_stage(stage, work, params, None, partitions)
    return found


def given_groups(plugin, role, groups, params, side_inputs):
    stage = stage_of(plugin, role)
    cells = [(stage.key_in.encode(key), [stage.value_in.encode(value) for value in values]) for key, values in groups]
    return run_groups(plugin, role, cells, params=params, side_inputs=side_inputs)


def grouped(cells):
    """Pairs as groups: sorted by key, in the order in which they were emitted."""
    ordered = sorted(cells, key=lambda pair: pair[0])
    return [(key, [value for _, value in group]) for key, group in groupby(ordered, key=lambda pair: pair[0])]


def reduce_groups(plugin, cells):
    """The groups that the reducer is given."""
    stage = stages_of(plugin.__name__)["reducer"]
    if not stage.group_prefix:
        return grouped(cells)
    groups = groupby(grouped(cells), key=lambda group: group[0][:stage.key_in.take(group[0], 0)[1]])
    return [(key, [value for _, values in group for value in values]) for key, group in groups]


def run_groups(plugin, role, groups, *, params=None, side_inputs=None):
    stage = stage_of(plugin, role)
    cut = role == "reducer"

    def work(driver, double):
        batch = []
        for at, (key, values) in enumerate(groups):
            batch.append((key, values))
            long = cut and len(values) > BATCH_ROWS
            if long or len(batch) == BATCH_ROWS or at + 1 == len(groups):
                run_batch(driver, double, batch, long)
                batch = []

    return run_stage(stage, work, params, side_inputs)


def run_batch(driver, double, batch, long):
    """One batch; a group that is `long` goes on, in portions."""
    if long:
        key, values = batch[-1]
        rest = [values[at:at + BATCH_ROWS] for at in range(BATCH_ROWS, len(values), BATCH_ROWS)]
        double.rest = [(len(part), column(part)) for part in rest]
        batch[-1] = key, values[:BATCH_ROWS]
    values = [value for _, values in batch for value in values]
    ends = types.pack_ends(accumulate(len(values) for _, values in batch))
    driver.run_batch(len(batch), column([key for key, _ in batch]), ends, len(values), column(values), long)
    assert not double.rest, "a group was left before its end"


def run_stage(stage, work, params, side_inputs, partitions=1):
    run = Run(stage)
    double = Double(run, defaults(stage, params or {}), side_inputs or {})
    before = host.use(double)
    try:
        outputs = ("main", *stage.outputs)
        driver = DRIVERS[stage.role](stage, Task("test", 0, 0, 0, partitions, 0, outputs=outputs))
        work(driver, double)
        driver.close()
    except Failed as failed:
        raise Failure(failed) from failed.__context__
    finally:
        host.use(before)
    return run


def defaults(stage, given):
    """Parameters as the engine gives them: required ones must be set, others have defaults."""
    params = {name: value if isinstance(value, str) else str(value).lower() for name, value in given.items()}
    for param in stage.params:
        if param.name in params:
            continue
        if param.required:
            raise Fatal(f"parameter {param.name} is required")
        if param.default is not None:
            params[param.name] = param.default_text()
    return params


def stage_of(plugin, role):
    stages = stages_of(plugin.__name__)
    if role not in stages:
        raise Fatal(f"{plugin.__name__} has no {role}")
    return stages[role]


def column(cells):
    """Cells as a column of variable width."""
    return 0, types.pack_ends(accumulate(len(cell) for cell in cells)), b"".join(cells)
