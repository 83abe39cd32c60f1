"""What an author raises, and how any exception becomes an answer that a person can read: one sentence with the
place in the source and the record in hand, and the traceback in the log."""

from pathlib import PurePath

# Bytes of a key or value that are shown.
SAMPLE_MAX = 256
# Lines of a traceback that are logged: the engine keeps 64.
TRACE_LINES_MAX = 40
HERE = str(PurePath(__file__).parent)

# Lines of source files, by name.
sources = {}


class Reject(Exception):
    """Gives up on the record (or group) in hand, and goes on: it lands in the job's rejects with the reason."""


class Error(Exception):
    """Fails the task. `Invalid`: the input cannot be processed, and another attempt would fail the same way."""

    kind = "invalid-input"


class Invalid(Error):
    """The input cannot be processed: another attempt would fail the same way."""


class Transient(Error):
    """Worth another attempt, perhaps elsewhere."""

    kind = "transient"


class Fatal(Error):
    """Fails the job without another attempt: bad configuration."""

    kind = "fatal"


class Failed(Exception):
    """An exported call failed: what crosses the boundary."""

    def __init__(self, kind, message, row):
        super().__init__(message)
        self.kind, self.message, self.row = kind, message, row


def failed(error, otherwise, doing, row, log):
    """What to answer for an exception; its traceback goes to `log`, line by line."""
    kind = error.kind if isinstance(error, Error) else otherwise
    message = sentence(error)
    if not isinstance(error, Error):
        for line in trace(error):
            log(line)
    return Failed(kind, f"{message}; {doing}" if doing else message, row)


def sentence(error):
    """An exception in a line: its type, its words, and the place in the author's source."""
    if isinstance(error, (Error, Reject)):
        return str(error) or type(error).__name__
    text = words(error)
    frames = own_frames(error)
    if frames:
        file, line, name = frames[-1]
        text += f" ({PurePath(file).name}:{line} in {name})"
    return text


def words(error):
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def trace(error):
    """The traceback in lines, without the frames of this package. Python's own module for this looks for files,
    and in the sandbox there are none."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = []
    if before is not None and not isinstance(before, Failed):
        why = "is the cause of" if error.__cause__ else "was being handled at the time of"
        lines = [*trace(before), f"The exception above {why} this one:"]
    lines.append("Traceback (most recent call last):")
    for file, line, name in own_frames(error):
        lines.append(f'  File "{PurePath(file).name}", line {line}, in {name}')
        source = sources.get(file, ())
        if line and line <= len(source):
            lines.append(f"    {source[line - 1].strip()}")
    lines.append(words(error))
    if len(lines) > TRACE_LINES_MAX:
        half = TRACE_LINES_MAX // 2
        lines = [*lines[:half], f"  ... {len(lines) - 2 * half} lines ...", *lines[-half:]]
    return lines


def own_frames(error):
    """File, line and function of the frames that are the author's."""
    frames, at = [], error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        if not code.co_filename.startswith((HERE, "<frozen")) and "wit_world" not in code.co_filename:
            frames.append((code.co_filename, at.tb_lineno, code.co_name))
        at = at.tb_next
    return frames


def keep_sources(files):
    """Keeps the text of files for tracebacks. Called when the plugin is built, where there are files."""
    for file in files:
        try:
            with open(file, encoding="utf-8", errors="replace") as text:
                sources[file] = text.read().splitlines()
        except OSError:
            continue


def sample(cell):
    """A cell in quotes, escaped and cut."""
    cell = cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "surrogateescape")
    text = repr(cell[:SAMPLE_MAX])[2:-1].replace('"', '\\"')
    return f'"{text}"' if len(cell) <= SAMPLE_MAX else f'"{text}"... ({len(cell)} bytes)'
