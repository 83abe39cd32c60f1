// Passes on every line as it is: a beginning.

import * as mr from "./mr/index.js";

export const mapper = mr.mapper({
  key: mr.unit,
  value: mr.text,
  map(line, out) {
    out.emit(null, line);
  },
});
