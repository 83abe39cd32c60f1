// The SDK against the shared vectors, and against what a job can meet. Run by `tests/languages/javascript.rs`, or by hand:
// `node --test guest-sdk/javascript/tests`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { cellsOf, columnOf, decode, encode } from "../sdk/bytes.js";
import * as mr from "../sdk/index.js";
import { combine, job, map, partition, reduce } from "../sdk/testing.js";
import { render } from "../sdk/types.js";

const vectors = JSON.parse(readFileSync(new URL("../../../wit/vectors.json", import.meta.url), "utf8"));

function parse(name, big) {
  const plain = { bytes: mr.bytes, text: mr.text, u64: big ? mr.u64Big : mr.u64, s64: big ? mr.s64Big : mr.s64, f64: mr.f64, bool: mr.bool, unit: mr.unit };
  if (name in plain) return plain[name];
  if (name.startsWith("desc<")) return mr.desc(parse(name.slice("desc<".length, -1), big));
  const parts = [];
  let level = 0;
  let part = "";
  for (const letter of name.slice("tuple<".length, -1)) {
    if (letter === "<") level++;
    if (letter === ">") level--;
    if (letter === "," && level === 0) {
      parts.push(part);
      part = "";
    } else part += letter;
  }
  return mr.tuple(...[...parts, part].map((each) => parse(each, big)));
}

const unhex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function valueOf(type, given) {
  if (type.inner) return valueOf(type.inner, given);
  if (type.parts) return type.parts.map((part, at) => valueOf(part, given[at]));
  if (type === mr.text || type === mr.bytes) {
    const raw = typeof given === "object" ? unhex(given.hex) : new TextEncoder().encode(given);
    return type === mr.text ? decode(raw) : raw;
  }
  if (type === mr.f64) return { inf: Infinity, "-inf": -Infinity }[given] ?? Number(given);
  if (type === mr.u64Big || type === mr.s64Big) return BigInt(given);
  return type === mr.u64 || type === mr.s64 ? Number(given) : given;
}

const safe = (value) => (Array.isArray(value) ? value.every(safe) : !Number.isInteger(value) || Number.isSafeInteger(value));

test("values and cells", () => {
  for (const { type: name, cells } of vectors.ordered) {
    for (const big of [true, false]) {
      const type = parse(name, big);
      assert.equal(type.name, name);
      const all = cells.map((cell) => ({ ...cell, value: valueOf(type, cell.value) }));
      const sorted = all.map((cell) => cell.bytes);
      assert.deepEqual(sorted, [...sorted].sort());
      const known = name.includes("f64") ? all : all.filter((cell) => safe(cell.value));
      for (const cell of known) {
        assert.equal(hex(type.encode(cell.value)), cell.bytes, name);
        assert.deepEqual(type.decode(unhex(cell.bytes)), cell.value, `${name} ${cell.bytes}`);
        if ("text" in cell) assert.equal(render(type, cell.value) ?? "", cell.text);
      }
      // All at once, in both layouts of a column.
      const values = known.map((cell) => cell.value);
      const column = type.encodeColumn(values);
      assert.deepEqual(cellsOf(values.length, column).map(hex), known.map((cell) => cell.bytes));
      for (const layout of [column, columnOf(known.map((cell) => unhex(cell.bytes)))]) {
        assert.deepEqual(type.decodeColumn(values.length, layout), values);
      }
    }
  }
});

test("malformed cells are refused", () => {
  for (const { type: name, bytes } of vectors.malformed) {
    for (const big of [true, false]) {
      const type = parse(name, big);
      assert.throws(() => type.decode(unhex(bytes)), `${name} ${bytes}`);
      assert.throws(() => type.decodeColumn(1, columnOf([unhex(bytes)])), `${name} ${bytes}`);
    }
  }
  assert.throws(() => mr.u64.decode(unhex("ffffffffffffffff")), /use u64Big/);
});

test("bytes that are no text come out as they went in", () => {
  for (const raw of ["636166c3a9", "ff", "c3", "e282", "80c3a9ff", "f09f9880", "eda080", "c080", "f5808080", "fffe00"]) {
    assert.equal(hex(encode(decode(unhex(raw)))), raw);
  }
  assert.equal(decode(unhex("636166c3a9f09f9880")), "caf\u00e9\u{1f600}");
});

const words = (input, record) => ({
  mapper: mr.mapper({
    input, key: mr.text, value: mr.u64,
    map(line, out) {
      for (const word of record(line)) out.emit(word, 1);
    },
  }),
  ...mr.folding(mr.text, mr.u64, mr.sum),
});

test("every way of counting words", () => {
  const text = `${"to be or not\n".repeat(7)}${"\n\n  whether tis\tn\u00f6bler \x0bx\n".repeat(5)}last`;
  const counts = new Map();
  for (const word of text.split(/[\t-\r ]+/).filter(Boolean)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const expected = [...counts].sort(([a], [b]) => (encode(a) < encode(b) ? -1 : 1)).sort(([a], [b]) => (a < b ? -1 : 1));
  const whole = expected.map(([word, count]) => `${word}\t${count}\n`).join("");
  const own = {
    combiner: mr.combiner({ key: mr.text, value: mr.u64, combine: (_, values, out) => out.emit([...values].reduce(mr.sum)) }),
    reducer: mr.reducer({ key: mr.text, value: mr.u64, reduce: (key, values, out) => out.emit(key, [...values].reduce(mr.sum)) }),
  };
  for (const plugin of [words(mr.lines, mr.words), words(mr.chunks, (chunk) => chunk.words)]) {
    assert.equal(job(plugin, text).text(), whole);
    assert.equal(job({ ...plugin, ...own }, text).text(), whole);
    assert.equal(job({ ...plugin, combiner: undefined }, text).text(), whole);
  }
});

test("what map may return", () => {
  const returns = (work) => map({ mapper: mr.mapper({ key: mr.text, value: mr.u64, map: work }) }, "b\na\n").records();
  const expected = [["b", 1], ["a", 1]];
  assert.deepEqual(returns((line, out) => out.emit(line, 1)), expected);
  assert.deepEqual(returns((line) => [[line, 1]]), expected);
  assert.deepEqual(returns((line) => new Map([[line, 1]])), expected);
  assert.deepEqual(returns(function* (line) { yield [line, 1]; }), expected);
});

test("a record may emit more than a batch", () => {
  const plugin = {
    mapper: mr.mapper({ key: mr.u64, value: mr.bytes, map(_, out) {
      for (let n = 0; n < 100_000; n++) out.emit(n, new Uint8Array(99));
    } }),
  };
  const { cells } = map(plugin, "a\n");
  assert.equal(cells.length, 100_000);
  assert.equal(mr.u64.decode(cells[99_999][0]), 99_999);
});

test("files and offsets, records and long groups", () => {
  const files = { mapper: mr.mapper({
    input: mr.fileLines, key: mr.tuple(mr.text, mr.u64), value: mr.text,
    map: ({ path, offset, line }, out) => out.emit([path, offset], line),
  }) };
  assert.equal(map(files, { a: "x\ny\u00e9\nz\n", b: "\nq\n" }).text(), "a\t0\tx\na\t2\ty\u00e9\na\t6\tz\nb\t0\t\nb\t1\tq\n");
  const means = {
    mapper: mr.mapper({ input: mr.records(mr.u64, mr.f64), key: mr.u64, value: mr.f64, map: ([key, value], out) => out.emit(key % 2, value) }),
    reducer: mr.reducer({
      key: mr.u64, value: mr.f64, out: { key: mr.u64, value: mr.tuple(mr.u64, mr.f64) },
      setup: () => ({ groups: 0 }),
      reduce(key, values, out, state) {
        state.groups++;
        const all = [...values];
        out.emit(key, [all.length, all.reduce(mr.sum)]);
      },
      finish: (out, state) => out.emit(99, [state.groups, 0]),
    }),
  };
  const input = Array.from({ length: 21 }, (_, n) => [n, n / 2]);
  assert.deepEqual(job(means, input).records(), [[0, [11, 55]], [1, [10, 50]], [99, [2, 0]]]);
});

test("folds, and groups that are left early", () => {
  const groups = [["a", [3, 1, 2]], ["b", [5]], ["c", Array.from({ length: 10 }, (_, n) => n)]];
  for (const [fold, expected] of [[mr.sum, [6, 5, 45]], [mr.min, [1, 5, 0]], [mr.max, [3, 5, 9]]]) {
    const plugin = mr.folding(mr.text, mr.u64, fold);
    assert.deepEqual(reduce(plugin, groups).records().map(([, value]) => value), expected);
    assert.deepEqual(combine(plugin, groups).records().map(([, value]) => value), expected);
  }
  const first = { reducer: mr.reducer({ key: mr.text, value: mr.u64, reduce(key, values, out) {
    for (const value of values) return out.emit(key, value);
  } }) };
  assert.deepEqual(reduce(first, groups).records(), [["a", 3], ["b", 5], ["c", 0]]);
});

test("partitions", () => {
  const plugin = (answer) => ({ partitioner: mr.partitioner({ key: mr.u64, partition: answer }) });
  assert.deepEqual(partition(plugin((key, all) => key % all), [0, 1, 5], 3), [0, 1, 2]);
  assert.throws(() => partition(plugin(() => 3), [0], 3), /partition 3 of 3; while partitioning the key/);
});

test("parameters, counters, log, side inputs", () => {
  const plugin = { mapper: mr.mapper({
    key: mr.text, value: mr.u64, params: { n: { type: "u64", default: 2 }, loud: { type: "bool", default: false } },
    setup: (task) => ({ n: task.param("n"), word: decode(task.sideInput("words").read()).slice(0, 5) }),
    map(line, out, { n, word }) {
      mr.count("lines");
      mr.log("seen", "warn");
      out.emit(word, n + Number(mr.param("loud")));
    },
  }) };
  const options = { params: { n: 5, loud: true }, sideInputs: { words: "hello ".repeat(300_000) } };
  const run = map(plugin, "a\nb\n", options);
  assert.deepEqual(run.records(), [["hello", 6], ["hello", 6]]);
  assert.deepEqual([run.counters, run.log[0]], [{ lines: 2 }, ["warn", "seen"]]);
  assert.throws(() => map(plugin, "a\n"), /the job has no side input words/);
  assert.throws(() => map(plugin, "a\n", { ...options, params: { n: "x" } }), /parameter n = "x" is no u64/);
});

function fails(work) {
  try {
    map({ mapper: mr.mapper({ key: mr.text, value: mr.u64, map: work }) }, "first\nsecond\nthird\n");
  } catch (failed) {
    return failed;
  }
  return assert.fail("it did not fail");
}

test("what is thrown names its place and record", () => {
  const failed = fails(function crash(line, out) {
    if (line === "third") null.x;
    out.emit(line, 1);
  });
  assert.match(failed.message, /^TypeError: .*null.* \(sdk\.test\.mjs:\d+ in .*crash\); while mapping the line at byte 13: "third"$/);
  assert.deepEqual([failed.kind, failed.row], ["invalid-input", 1]);
  assert.equal(fails(() => { throw "words"; }).message, 'thrown: words; while mapping the line at byte 0: "first"');
  for (const [Kind, kind] of [[mr.Invalid, "invalid-input"], [mr.Transient, "transient"], [mr.Fatal, "fatal"]]) {
    const own = fails(() => { throw new Kind("the words"); });
    assert.deepEqual([own.kind, own.message], [kind, 'the words; while mapping the line at byte 0: "first"']);
  }
});

test("wrong types are named", () => {
  for (const [work, words] of [
    [(line, out) => out.emit(line, "one"), 'the mapper emitted a value of another type: "one" is a string and not a value of type u64'],
    [(line, out) => out.emit(line, -1), "-1 is a number and not a value of type u64"],
    [(line, out) => out.emit(line, 1.5), "1.5 is a number and not a value of type u64"],
    [(line, out) => out.emit(line), "undefined is a undefined and not a value of type u64"],
    [(line, out) => out.emit(line, 2 ** 53), "not a value of type u64"],
    [(line, out) => out.emit(7, 1), "the mapper emitted a key of another type: 7 is a number and not a value of type text"],
    [() => 7, "map returned 7: emit with out.emit(key, value), or return pairs"],
    [() => ["ab"], 'map yielded "ab", and not a pair [key, value]'],
    [() => mr.count("lines", 0.5), "TypeError: counter lines: 0.5 is no whole number"],
  ]) {
    assert.ok(fails(work).message.includes(words), fails(work).message);
  }
});

test("rejects go on", () => {
  const plugin = { mapper: mr.mapper({ key: mr.text, value: mr.u64, map(line, out) {
    if (line.includes("bad")) throw new mr.Reject("it is bad");
    out.emit(line, 1);
  } }) };
  const run = map(plugin, "a\nbad 1\nb\nbad 2\nbad 3\nc\n");
  assert.deepEqual(run.records().map(([key]) => key), ["a", "b", "c"]);
  assert.equal(run.rejects[1], 'it is bad; while mapping the line at byte 10: "bad 2"');
  assert.equal(run.rejects.length, 3);
});

test("declarations are checked", () => {
  const map = () => {};
  assert.throws(() => mr.mapper({ key: String, value: mr.u64, map }), /not a type such as text/);
  assert.throws(() => mr.mapper({ input: "lines", key: mr.text, value: mr.u64, map }), /not one such as lines/);
  assert.throws(() => mr.reducer({ key: mr.text, value: mr.u64, map }), /a reducer needs a function reduce/);
  assert.throws(() => mr.folding(mr.text, mr.u64, 3), /such as sum/);
  const facts = Object.fromEntries(mr.mapper({ input: mr.fileLines, key: mr.text, value: mr.u64, map, params: { n: { type: "u64", default: 3, help: "how many" } } }).attributes());
  assert.deepEqual(facts, {
    "map.batch": "chunks", "map.input-key": "path-offset", "map.key": "text", "map.value": "u64",
    "param.n.type": "u64", "param.n.default": "3", "param.n.help": "how many",
  });
});

test("named outputs", () => {
  const outputs = { long: { key: mr.text, value: mr.u64 }, none: { key: mr.u64, value: mr.unit } };
  const work = (line, out) => (line.length > 3 ? mr.emit("long", line, line.length) : out.emit(null, line));
  const plugin = { mapper: mr.mapper({ key: mr.unit, value: mr.text, outputs, map: work }) };
  const run = map(plugin, "a\nbbbb\nc\n".repeat(9));
  assert.equal(run.text(), "a\nc\n".repeat(9));
  assert.deepEqual(run.output("long"), Array(9).fill(["bbbb", 4]));
  assert.deepEqual(run.output("none"), []);
  const facts = Object.fromEntries(plugin.mapper.attributes());
  assert.deepEqual([facts["output.long.key"], facts["output.long.value"]], ["text", "u64"]);
  // In a job with a reducer the mapper has none.
  const last = { reducer: mr.reducer({ key: mr.unit, value: mr.text, reduce: () => {} }) };
  assert.throws(() => job({ ...plugin, ...last }, "bbbb\n"), /there is no output long in this stage/);
  const none = { mapper: mr.mapper({ key: mr.unit, value: mr.text, map: work }) };
  assert.throws(() => map(none, "bbbb\n"), /there is no output long in this stage: .* the mapper of a job without reducers/);
  const wrong = { mapper: mr.mapper({ key: mr.unit, value: mr.text, outputs, map: () => mr.emit("long", 7, 7) }) };
  assert.throws(() => map(wrong, "a\n"), /the mapper emitted a key of another type: 7/);
  assert.throws(() => mr.reducer({ key: mr.text, value: mr.text, outputs: { long: mr.text }, reduce: work }), /reducer's output long/);
});

test("a prefix of the key makes a group", () => {
  const key = mr.tuple(mr.text, mr.desc(mr.u64));
  const mapper = mr.mapper({
    key,
    value: mr.u64,
    map(line, out) {
      const [name, number] = line.split(" ");
      out.emit([name, Number(number)], Number(number));
    },
  });
  const reduce = (name, numbers, out) => out.emit(name[0], [...numbers].join(","));
  const out = { key: mr.text, value: mr.text };
  const reducer = mr.reducer({ key: mr.tuple(mr.text), value: mr.u64, groupPrefix: 1, out, reduce });
  const done = job({ mapper, reducer }, "b 1\na 2\na 10\nb 3\na 1\n");
  assert.equal(done.text(), "a\t10,2,1\nb\t3,1\n");
  assert.throws(() => mr.reducer({ key: mr.text, value: mr.u64, groupPrefix: 1, reduce }));
});
