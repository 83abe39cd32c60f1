import assert from "node:assert/strict";
import test from "node:test";

import { job } from "./mr/testing.js";
import * as plugin from "./plugin.js";

test("words are counted", () => {
  assert.equal(job(plugin, "to be\nor not to be\n").text(), "be\t2\nnot\t1\nor\t1\nto\t2\n");
});
