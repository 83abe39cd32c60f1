"""Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
`id TAB name TAB item`."""

import mr

PAIR = mr.tuple_(mr.text, mr.text)


@mr.mapper(mr.lines, key=mr.text, value=PAIR)
def by_id(line):
    """What a line says, under its id."""
    fields = line.split("\t")
    if len(fields) != 3 or fields[0] not in ("user", "order"):
        raise mr.Reject("not a user and not an order")
    kind, id_, what = fields
    yield id_, (kind, what)


@mr.reducer(mr.text, PAIR)
def join(id_, values):
    """Brings the users and the orders of an id together."""
    users, orders = [], []
    for kind, what in values:
        (users if kind == "user" else orders).append(what)
    if not users:
        mr.count("orders without a user", len(orders))
    for name in users:
        for item in orders:
            yield id_, (name, item)
