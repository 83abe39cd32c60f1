import assert from "node:assert/strict";
import test from "node:test";

import { map } from "./mr/testing.js";
import * as plugin from "./plugin.js";

test("lines pass", () => {
  assert.equal(map(plugin, "a\nb\n").text(), "a\nb\n");
});
