// Exports of every plugin. `mr-engine build` gives them their names of the interface.

import * as frames from "../frames";
import * as run from "../run";

export function cabi_realloc(old: usize, oldLen: usize, align: usize, len: usize): usize {
  const to = frames.take(len, align);
  if (old) memory.copy(to, old, min(oldLen, len));
  return to;
}

export function plugin_describe(): usize {
  return run.describe();
}
