"""What an author declares: functions or classes for the roles, with the types that they speak."""

import sys
from dataclasses import dataclass, field

from . import inputs, types

ROLES = ("mapper", "combiner", "reducer", "partitioner")
METHODS = {"mapper": "map", "combiner": "combine", "reducer": "reduce", "partitioner": "partition"}
PARAM_TYPES = ("text", "u64", "s64", "f64", "bool")


@dataclass(frozen=True)
class Param:
    """A parameter of a job that a plugin takes."""

    name: str
    type: object = types.text
    help: str = ""
    required: bool = False
    default: object = None

    def __post_init__(self):
        name = self.type.name if isinstance(self.type, types.Type) else self.type
        if name not in PARAM_TYPES:
            raise TypeError(f"parameter {self.name} is of type {name}; parameters are {', '.join(PARAM_TYPES)}")
        object.__setattr__(self, "type", name)

    def attributes(self):
        yield f"param.{self.name}.type", self.type
        if self.required:
            yield f"param.{self.name}.required", "true"
        if self.default is not None:
            yield f"param.{self.name}.default", self.default_text()
        yield f"param.{self.name}.help", self.help

    def default_text(self):
        return {True: "true", False: "false"}[self.default] if self.type == "bool" else str(self.default)


@dataclass(frozen=True)
class Stage:
    """One role of a plugin."""

    role: str
    work: object
    """A function, or a class with the role's method."""
    input: object = None
    key_in: object = None
    value_in: object = None
    key: object = None
    value: object = None
    params: tuple = ()
    outputs: dict = field(default_factory=dict)
    """Named outputs: types of key and value, by name."""
    fold: object = None
    """Makes one value of an iterable of them; then there is no `work`."""
    group_prefix: int = 0
    """Number of elements of the mapper's keys that make a group; 0 for the whole key."""

    def start(self, task):
        """The function that does the work, and what to call at the end."""
        if not isinstance(self.work, type):
            return self.work, None
        code = getattr(self.work.__init__, "__code__", None)
        made = self.work(task) if code and code.co_argcount > 1 else self.work()
        return getattr(made, METHODS[self.role]), getattr(made, "finish", None)

    def attributes(self):
        """What `describe` says of it."""
        if self.role == "mapper":
            yield from self.input.attributes
            yield from types_as("map", self.key, self.value)
        elif self.role == "combiner":
            yield from types_as("combine", self.key, self.value)
        elif self.role == "reducer":
            yield from types_as("reduce.in", self.key_in, self.value_in)
            yield from types_as("reduce", self.key, self.value)
            if self.group_prefix:
                yield "reduce.group", str(self.group_prefix)
        else:
            yield "partition.key", self.key_in.name
        for name, (key, value) in self.outputs.items():
            yield from types_as(f"output.{name}", key, value)
        for param in self.params:
            yield from param.attributes()


def types_as(stage, key, value):
    yield f"{stage}.key", key.name
    yield f"{stage}.value", value.name


# What each module declares: module -> role -> stage.
declared = {}


def stages_of(module):
    """The roles that a module declares."""
    return declared.get(module, {})


def declare(module, stage):
    roles = declared.setdefault(module, {})
    if stage.role in roles:
        raise TypeError(f"{module} has two {stage.role}s, and a plugin has one")
    if stage.fold is None and not callable(stage.work):
        raise TypeError(f"@mr.{stage.role} goes before a function or a class")
    if isinstance(stage.work, type) and not callable(getattr(stage.work, METHODS[stage.role], None)):
        raise TypeError(f"class {stage.work.__name__} has no method {METHODS[stage.role]}, as a {stage.role} needs")
    roles[stage.role] = stage


def decorator(make):
    def declaring(work):
        declare(getattr(work, "__module__", "?"), make(work))
        return work

    return declaring


def both(role, key, value):
    return types.check_type(key, f"the key of a {role}"), types.check_type(value, f"the value of a {role}")


def named(role, outputs):
    return {name: both(f"{role}'s output {name}", *kinds) for name, kinds in (outputs or {}).items()}


def mapper(input=inputs.lines, *, key, value, outputs=None, params=()):
    """Declares the mapper: a function of a record that yields (or returns) pairs of key and value, or returns a
    dict of them; or a class with such a method `map`, made with the task if its `__init__` takes one, and perhaps
    a method `finish`. In a job without reducers it may write to named outputs, `outputs={name: (key, value)}`, with
    `mr.emit`."""
    if not isinstance(input, inputs.Input):
        raise TypeError(f"the input of a mapper is {input!r}, and not one such as mr.lines or mr.records(...)")
    key, value = both("mapper", key, value)
    outputs, params = named("mapper", outputs), tuple(params)
    return decorator(
        lambda work: Stage("mapper", work, input=input, key=key, value=value, outputs=outputs, params=params)
    )


def combiner(key, value, *, params=()):
    """Declares the combiner: a function of a key and its values that yields fewer pairs of that same key. It may
    run any number of times, also never, on parts of a group."""
    key, value = both("combiner", key, value)
    params = tuple(params)
    return decorator(
        lambda work: Stage("combiner", work, key_in=key, value_in=value, key=key, value=value, params=params)
    )


def reducer(key, value, *, out=None, group_prefix=0, outputs=None, params=()):
    """Declares the reducer: a function of a key and its values, an iterator that is gone through once, that yields
    pairs. They are of the same types, or of those in `out=(key, value)`. With `group_prefix`, so many elements of the
    mapper's keys make a group: `key` is the tuple of these, and the values come in the order of the others. It may
    write to named outputs, `outputs={name: (key, value)}`, with `mr.emit`."""
    if group_prefix and not (isinstance(key, types.Tuple) and len(key.elements) == group_prefix):
        raise TypeError(f"the key of a reducer with group_prefix={group_prefix} is a tuple of as many elements")
    key, value = both("reducer", key, value)
    out_key, out_value = both("reducer's out", *(out or (key, value)))
    outputs, params = named("reducer", outputs), tuple(params)
    return decorator(
        lambda work: Stage(
            "reducer", work, key_in=key, value_in=value, key=out_key, value=out_value, outputs=outputs, params=params,
            group_prefix=group_prefix,
        )
    )


def partitioner(key, *, params=()):
    """Declares the partitioner: a function of a key and the number of partitions that returns one of them."""
    key = types.check_type(key, "the key of a partitioner")
    params = tuple(params)
    return decorator(lambda work: Stage("partitioner", work, key_in=key, params=params))


def folding(key, value, fold, *, combine=True):
    """Declares a reducer, and a combiner (unless `combine=False`), that make one value of all values of a key:
    `sum`, `min`, `max`, or any function of an iterable. For the combiner's sake it must not matter in which order
    and in which portions values meet; so add up floats with `combine=False`."""
    key, value = both("folding", key, value)
    if not callable(fold):
        raise TypeError(f"mr.folding takes a function such as sum, and not {fold!r}")
    module = sys._getframe(1).f_globals.get("__name__", "?")
    for role in ("combiner", "reducer") if combine else ("reducer",):
        declare(module, Stage(role, None, key_in=key, value_in=value, key=key, value=value, fold=fold))
    return fold
