// Finds the lines that contain a text.

import * as mr from "./mr/index.js";

export const mapper = mr.mapper({
  key: mr.unit,
  value: mr.text,
  params: { pattern: { help: "text that a line must contain", required: true } },
  setup: (task): string => task.param("pattern"),
  map(line, out, pattern) {
    if (!line.includes(pattern)) return;
    mr.count("lines matched");
    out.emit(null, line);
  },
});
