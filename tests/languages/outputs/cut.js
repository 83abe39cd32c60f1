// Cuts lines behind their first word, and sends records to where the plugin `route` does.

import * as mr from "./mr/index.js";

const outputs = { errors: { key: mr.text, value: mr.text }, lengths: { key: mr.text, value: mr.u64 } };

export const mapper = mr.mapper({
  key: mr.text,
  value: mr.text,
  outputs,
  map(line, out) {
    const end = line.indexOf(" ");
    const [key, value] = [line.slice(0, end), line.slice(end + 1)];
    if (value.startsWith("!")) mr.emit("errors", key, value);
    else if (key.startsWith("z")) mr.emit("lengths", key, value.length);
    else out.emit(key, value);
  },
});
