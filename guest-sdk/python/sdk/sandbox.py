"""The plugin as the engine sees it: classes for the exported roles, and the imports as a host. The build makes a
module of a few lines that calls `export`; nothing else imports this one."""

import sys

import componentize_py_types as wit
from wit_world.imports import config, counters, group_values, logging, output, types
from wit_world.imports import side_input as side

from . import describe, errors, host
from .drivers import DRIVERS
from .errors import Failed
from .stages import stages_of
from .context import Task

KINDS = {
    "invalid-input": types.ErrorKind.INVALID_INPUT,
    "transient": types.ErrorKind.TRANSIENT,
    "fatal": types.ErrorKind.FATAL,
}
LEVELS = {level.name.lower(): level for level in logging.Level}
WORK = {
    "mapper": "map_batch",
    "combiner": "combine_batch",
    "reducer": "reduce_batch",
    "partitioner": "partition_batch",
}


class Engine:
    """The imports."""

    @staticmethod
    def emit(port, rows, keys, values):
        output.emit(port, types.Batch(rows, types.Column(*keys), types.Column(*values)))

    @staticmethod
    def log(level, message):
        logging.log(LEVELS.get(level, logging.Level.INFO), message)

    @staticmethod
    def next_values():
        values = group_values.next()
        return None if values is None else (values.rows, plain(values.cells))

    reject = staticmethod(output.reject)
    params = staticmethod(config.get_all)
    count = staticmethod(counters.add)
    side_size = staticmethod(side.size)
    side_read = staticmethod(side.read)


def plain(column):
    return column.width, column.ends, column.data


class Lines:
    """A stream of text that goes to the log, line by line: what authors print."""

    encoding = "utf-8"

    def __init__(self, level):
        self.level, self.begun = level, ""

    def write(self, text):
        *whole, self.begun = (self.begun + text).split("\n")
        for line in whole:
            Engine.log(self.level, line)
        return len(text)

    def flush(self):
        if self.begun:
            begun, self.begun = self.begun, ""
            Engine.log(self.level, begun)

    def isatty(self):
        return False


def answering(call):
    """An exported function whose failures cross the boundary."""

    def answer(*args):
        try:
            return call(*args)
        except Failed as failed:
            raise wit.Err(types.Error(KINDS[failed.kind], failed.message, failed.row)) from None

    return answer


def role(stage):
    """The class of an exported role. Every call is made on an instance of its own, so that what lasts from one call
    to the next is kept here."""
    driver = None

    class Exported:
        def open(self, ctx):
            nonlocal driver
            sys.stdout, sys.stderr = Lines("info"), Lines("warn")
            host.use(Engine)
            context = Task(
                ctx.job_id, ctx.stage, ctx.task, ctx.attempt, ctx.partitions, ctx.seed, ctx.batch_bytes,
                tuple(ctx.outputs),
            )
            driver = answering(DRIVERS[stage.role])(stage, context)

        def close(self):
            nonlocal driver
            ended, driver = driver, None
            answering(ended.close)()
            sys.stdout.flush()
            sys.stderr.flush()

    def map_batch(self, batch):
        answering(driver.map_batch)(batch.rows, plain(batch.keys), plain(batch.values))

    def group_batch(self, batch):
        answering(driver.run_batch)(
            batch.groups, plain(batch.keys), batch.ends, batch.rows, plain(batch.values), batch.more
        )

    def partition_batch(self, rows, keys):
        return answering(driver.partition_batch)(rows, plain(keys))

    work = {"mapper": map_batch, "partitioner": partition_batch}.get(stage.role, group_batch)
    setattr(Exported, WORK[stage.role], work)
    return Exported


def export(names, module, source, name, roles):
    """Puts the exports into the names of the built module."""
    from wit_world.exports import plugin

    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    errors.keep_sources(file for file in files if file and not file.startswith("/python"))
    roles = roles.split(",")
    describe.check_roles(module, source, roles)
    for exported in roles:
        names[exported.capitalize()] = role(stages_of(module)[exported])
    facts = describe.attributes(module)

    class Plugin:
        def describe(self):
            return plugin.Info(name, "0.1.0", describe.SDK, facts)

    names["Plugin"] = Plugin
