"""Write MapReduce plugins for mr-engine in Python: records in, pairs out.

    import mr

    @mr.mapper(mr.lines, key=mr.text, value=mr.u64)
    def words(line):
        for word in line.split():
            yield word, 1

    total = mr.folding(mr.text, mr.u64, sum)

In reading order: `stages` (what an author declares), `inputs` (what a mapper reads), `types` (of keys and
values), `context` (parameters, counters, log, side inputs), `errors`, `testing` (runs a plugin in ordinary tests).
The README beside this file goes from nothing to a running job. This package is a part of your project; it
needs nothing but Python's own library.
"""

from .errors import Error, Fatal, Invalid, Reject, Transient
from .inputs import byte_lines, chunks, file_lines, lines, records
from .stages import Param, combiner, folding, mapper, partitioner, reducer
from .context import Task, count, emit, log, param, side_input, task
from .types import bool_, bytes_, desc, f64, s64, text, tuple_, u64, unit

__all__ = [
    "Error", "Fatal", "Invalid", "Param", "Reject", "Task", "Transient", "bool_", "byte_lines", "bytes_", "chunks",
    "combiner", "count", "desc", "emit", "f64", "file_lines", "folding", "lines", "log", "mapper", "param", "partitioner",
    "records", "reducer", "s64", "side_input", "task", "text", "tuple_", "u64", "unit",
]
