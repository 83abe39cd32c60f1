import assert from "node:assert/strict";
import test from "node:test";

import { job } from "./mr/testing.js";
import * as plugin from "./plugin.js";

test("orders meet their users", () => {
  const run = job(plugin, "order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\n");
  assert.equal(run.text(), "7\tAda\tbook\n");
  assert.deepEqual(run.counters, { "orders without a user": 1 });
});

test("other lines are rejected", () => {
  const run = job(plugin, "user\t7\tAda\nnobody\n");
  assert.equal(run.rejects.length, 1);
  assert.match(run.rejects[0], /the line at byte 11: "nobody"/);
});
