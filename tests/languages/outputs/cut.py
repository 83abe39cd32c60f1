"""Cuts lines behind their first word, and sends records to where the plugin `route` does."""

import mr


@mr.mapper(key=mr.text, value=mr.text, outputs={"errors": (mr.text, mr.text), "lengths": (mr.text, mr.u64)})
def cut(line):
    key, _, value = line.partition(" ")
    if value.startswith("!"):
        mr.emit("errors", key, value)
    elif key.startswith("z"):
        mr.emit("lengths", key, len(value))
    else:
        yield key, value
