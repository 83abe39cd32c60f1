import assert from "node:assert/strict";
import test from "node:test";

import { map } from "./mr/testing.js";
import * as plugin from "./plugin.js";

test("lines are found", () => {
  const run = map(plugin, "an error\nall is well\nsorry\n", { params: { pattern: "rr" } });
  assert.equal(run.text(), "an error\nsorry\n");
  assert.deepEqual(run.counters, { "lines matched": 2 });
});
