"""What a plugin may ask and say besides its records: parameters, counters, the log, side inputs, the task."""

import io
from dataclasses import dataclass

from . import host
from .errors import Fatal

# Bytes that are asked for at once, at least, of a side input.
READ_BYTES = 64 * 1024
READ_BYTES_MAX = 1024 * 1024
TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Task:
    """The task that is under way."""

    job: str
    stage: int
    number: int
    """Number of the task in its stage, from 0; for reducers the partition."""
    attempt: int
    """From 0. Output must not depend on it."""
    partitions: int
    seed: int
    """Equal for all attempts of the task."""
    batch_bytes: int = 256 * 1024
    outputs: tuple = ("main",)
    """Names of the outputs, the main one first."""

    def param(self, name):
        """As `mr.param`."""
        return param(name)


class State:
    """What is known while a task runs."""

    def __init__(self):
        self.task = None
        self.declared = {}
        self.params = {}
        self.counted = {}
        self.named = {}


state = State()


def begin(task_, declared):
    """A task begins: parameters are read once, with the types that the plugin declares."""
    state.task = task_
    state.counted = {}
    state.declared = {param_.name: param_ for param_ in declared}
    state.params = {name: typed(name, text) for name, text in host.current.params()}


def typed(name, text):
    declared = state.declared.get(name)
    kind = declared.type if declared else "text"
    try:
        if kind in ("u64", "s64"):
            return int(text)
        if kind == "f64":
            return float(text)
        return TRUTH[text] if kind == "bool" else text
    except (KeyError, ValueError):
        raise Fatal(f"parameter {name} = {text!r} is no {kind}") from None


def task():
    """The task that is under way."""
    return state.task


def param(name):
    """A parameter of the job: a str, or what its declaration says. None where it is not set and has no default."""
    try:
        return state.params[name]
    except KeyError:
        pass
    if name in state.declared or not state.declared:
        return None
    raise Fatal(f"parameter {name} is not declared; there are {', '.join(state.declared)}")


def emit(output, key, value):
    """Emits a pair to a named output, one of those that the stage declares as `outputs`."""
    try:
        named = state.named[output]
    except KeyError:
        raise Fatal(
            f"there is no output {output} in this stage: declare it in outputs={{...}}, of the reducer, or of the mapper "
            f"of a job without reducers"
        ) from None
    named.put(key, value)


def count(name, delta=1):
    """Adds to a counter of the job."""
    counted = state.counted
    counted[name] = counted.get(name, 0) + delta


def send_counters():
    """Sends what was counted since the last time."""
    if state.counted:
        counted, state.counted = state.counted, {}
        host.current.count(list(counted.items()))


def log(message, level="info"):
    """Writes a line to the task's log: level is trace, debug, info, warn or error. `print` does so, too."""
    host.current.log(level, str(message))


class SideInput(io.RawIOBase):
    """A read-only file that was shipped with the job."""

    def __init__(self, name):
        size = host.current.side_size(name)
        if size is None:
            raise Fatal(f"the job has no side input {name}")
        self.name, self.size, self.at = name, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer):
        data = host.current.side_read(self.name, self.at, min(len(buffer), READ_BYTES_MAX))
        buffer[:len(data)] = data
        self.at += len(data)
        return len(data)


def side_input(name):
    """Opens a side input of the job: a binary file, buffered."""
    return io.BufferedReader(SideInput(name), READ_BYTES)
