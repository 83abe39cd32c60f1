// Runs a plugin in an ordinary test: the same code as in the sandbox, with a stand-in for the engine. Batches are small and
// groups are cut, so that a few lines of input meet what a big job meets.
//
//     import * as plugin from "./plugin.js";
//     import { job } from "./mr/testing.js";
//
//     assert.equal(job(plugin, "to be\nor not to be\n").text(), "be\t2\nnot\t1\nor\t1\nto\t2\n");

import { cellsOf, columnOf, encode, packEnds, readEnds } from "./bytes.js";
import { use } from "./context.js";
import { drive } from "./drivers.js";
import { render, text as textType, tuple, u64 } from "./types.js";

/** Records, groups, and values of one group in an input batch. */
const BATCH_ROWS = 3;

/** What came of a run: `cells`, `counters`, `rejects` (reasons) and the `log` (level and line). */
class Run {
  constructor(stage) {
    this.stage = stage;
    this.cells = [];
    // Pairs of bytes of named outputs, by name.
    this.named = new Map(Object.keys(stage.outputs).map((name) => [name, []]));
    this.counters = {};
    this.rejects = [];
    this.log = [];
  }

  /** The pairs, in the order in which they were emitted. */
  records() {
    return this.cells.map(([key, value]) => [this.stage.key.decode(key), this.stage.value.decode(value)]);
  }

  /** The pairs of a named output, in the order in which they were emitted. */
  output(name) {
    const { key: keyType, value: valueType } = this.stage.outputs[name];
    return this.named.get(name).map(([key, value]) => [keyType.decode(key), valueType.decode(value)]);
  }

  /** The pairs as the engine writes them: key, tab, value, newline. */
  text() {
    const { key: keyType, value: valueType } = this.stage;
    const line = ([key, value]) => [render(keyType, key), render(valueType, value)].filter((side) => side !== null);
    return this.records().map((record) => `${line(record).join("\t")}\n`).join("");
  }
}

/** Stands in for the engine. */
function double(run, params, sideInputs) {
  return {
    rest: [],
    emit(port, rows, keys, values) {
      const [keyCells, valueCells] = [cellsOf(rows, keys), cellsOf(rows, values)];
      const cells = port === 0 ? run.cells : [...run.named.values()][port - 1];
      keyCells.forEach((key, row) => cells.push([key.slice(), valueCells[row].slice()]));
    },
    reject: (_, reason) => run.rejects.push(reason),
    params: () => Object.entries(params),
    count: (deltas) => deltas.forEach(([name, delta]) => (run.counters[name] = (run.counters[name] ?? 0) + delta)),
    log: (level, message) => run.log.push([level, message]),
    nextValues() {
      return this.rest.shift();
    },
    sideSize: (name) => sideInputs[name]?.length,
    sideRead: (name, offset, length) => sideInputs[name].subarray(offset, offset + length),
  };
}

/** Runs a stage; only the last one of a job has its named outputs, and no partitions. */
function runStage(stage, options, work, last = true) {
  const { params: given = {}, sideInputs: files = {}, partitions = last ? 0 : 1 } = options ?? {};
  const params = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
  for (const [name, param] of Object.entries(stage.params)) {
    if (name in params) continue;
    if (param.required) throw new Error(`parameter ${name} is required`);
    if (param.default !== undefined) params[name] = String(param.default);
  }
  const bytes = (file) => (typeof file === "string" ? encode(file) : file);
  const run = new Run(stage);
  const stand = double(run, params, Object.fromEntries(Object.entries(files).map(([name, file]) => [name, bytes(file)])));
  const before = use(stand);
  try {
    const outputs = ["main", ...(last ? Object.keys(stage.outputs) : [])];
    const context = { jobId: "test", stage: 0, task: 0, attempt: 0, partitions, seed: 0, batchBytes: 128, outputs };
    const driver = drive(stage, context);
    work(driver, stand);
    driver.close();
  } finally {
    use(before);
  }
  return run;
}

function stageOf(plugin, role) {
  if (!plugin[role]) throw new Error(`the plugin has no ${role}`);
  return plugin[role];
}

/** Maps the lines of a text, or of files as an object of path and text; or an array of records, where the mapper reads
 * records. */
export function map(plugin, input, options) {
  return mapInput(plugin, input, options, true);
}

function mapInput(plugin, input, options, last) {
  const stage = stageOf(plugin, "mapper");
  const { types, attributes } = stage.input;
  let rows;
  if (types) rows = input.map(([key, value]) => [types[0].encode(key), types[1].encode(value)]);
  else {
    const files = typeof input === "string" ? { input } : input;
    const withPath = "map.input-key" in attributes;
    rows = Object.entries(files).flatMap(([path, content]) => chunksOf(path, encode(content), withPath));
  }
  return runStage(stage, options, (driver) => {
    for (let at = 0; at < rows.length; at += BATCH_ROWS) {
      const batch = rows.slice(at, at + BATCH_ROWS);
      const side = (of) => columnOf(batch.map((row) => row[of]));
      driver.mapBatch(batch.length, side(0), side(1));
    }
  }, last);
}

/** Rows of text: chunks of two lines, then a line by itself, in turn. */
function chunksOf(path, bytes, withPath) {
  const rows = [];
  for (let start = 0, take = 2; start < bytes.length; take = 3 - take) {
    let end = start;
    for (let line = 0; line < take && end < bytes.length; line++) {
      const newline = bytes.indexOf(10, end);
      end = newline < 0 ? bytes.length : newline + 1;
    }
    const key = withPath ? tuple(textType, u64).encode([path, start]) : u64.encode(start);
    const line = take === 1 && bytes[end - 1] === 10;
    rows.push([key, bytes.subarray(start, line ? end - 1 : end)]);
    start = end;
  }
  return rows;
}

/** Combines groups, given as pairs of a key and an array of values, in key order. */
export function combine(plugin, groups, options) {
  return runGroups(stageOf(plugin, "combiner"), given(plugin.combiner, groups), options);
}

/** Reduces groups, given as pairs of a key and an array of values, in key order. */
export function reduce(plugin, groups, options) {
  return runGroups(stageOf(plugin, "reducer"), given(plugin.reducer, groups), options);
}

/** The partitions of keys. */
export function partition(plugin, keys, partitions, options) {
  const stage = stageOf(plugin, "partitioner");
  let found = [];
  runStage(stage, { ...options, partitions }, (driver) => {
    const cells = keys.map((key) => stage.keyIn.encode(key));
    found = [...readEnds(driver.partitionBatch(cells.length, columnOf(cells), partitions))];
  });
  return found;
}

/** Runs a whole job on a text, or on files as an object of path and text: mapper, combiner where there is one, and reducer.
 * The pairs of all partitions, in key order. */
export function job(plugin, input, options) {
  const mapped = mapInput(plugin, input, options, !plugin.reducer);
  const runs = [mapped];
  let { cells } = mapped;
  if (plugin.combiner) {
    // First parts of what the mapper emitted, then what came of them.
    const once = [];
    for (let at = 0; at < cells.length; at += 2 * BATCH_ROWS) {
      const combined = runGroups(plugin.combiner, grouped(cells.slice(at, at + 2 * BATCH_ROWS)), options);
      runs.push(combined);
      once.push(...combined.cells);
    }
    const twice = runGroups(plugin.combiner, grouped(once), options);
    runs.push(twice);
    cells = twice.cells;
  }
  const last = plugin.reducer ? runGroups(plugin.reducer, reduceGroups(plugin.reducer, cells), options) : mapped;
  if (last === mapped) {
    last.cells.sort(([a], [b]) => compare(a, b));
    return last;
  }
  for (const run of runs.reverse()) {
    for (const [name, delta] of Object.entries(run.counters)) last.counters[name] = (last.counters[name] ?? 0) + delta;
    last.rejects.unshift(...run.rejects);
    last.log.unshift(...run.log);
  }
  return last;
}

function given(stage, groups) {
  return groups.map(([key, values]) => [stage.keyIn.encode(key), values.map((value) => stage.valueIn.encode(value))]);
}

function compare(a, b) {
  for (let at = 0; at < a.length && at < b.length; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

/** Pairs as groups: sorted by key, in the order in which they were emitted. */
function grouped(cells) {
  const groups = [];
  for (const [key, value] of [...cells].sort(([a], [b]) => compare(a, b))) {
    const last = groups[groups.length - 1];
    if (last && compare(last[0], key) === 0) last[1].push(value);
    else groups.push([key, [value]]);
  }
  return groups;
}

/** The groups that a reducer is given. */
function reduceGroups(stage, cells) {
  if (!stage.groupPrefix) return grouped(cells);
  const groups = [];
  for (const [whole, values] of grouped(cells)) {
    const key = whole.subarray(0, stage.keyIn.take(whole, 0)[1]);
    const last = groups[groups.length - 1];
    if (last && compare(last[0], key) === 0) last[1].push(...values);
    else groups.push([key, [...values]]);
  }
  return groups;
}

function runGroups(stage, groups, options) {
  return runStage(stage, options, (driver, stand) => {
    let batch = [];
    groups.forEach(([key, values], at) => {
      batch.push([key, values]);
      const long = stage.role === "reducer" && values.length > BATCH_ROWS;
      if (!long && batch.length < BATCH_ROWS && at + 1 < groups.length) return;
      if (long) {
        for (let from = BATCH_ROWS; from < values.length; from += BATCH_ROWS) {
          const cells = values.slice(from, from + BATCH_ROWS);
          stand.rest.push({ rows: cells.length, cells: columnOf(cells) });
        }
        batch[batch.length - 1] = [key, values.slice(0, BATCH_ROWS)];
      }
      const cells = batch.flatMap(([, some]) => some);
      const ends = new Uint32Array(batch.length);
      batch.reduce((sum, [, some], row) => (ends[row] = sum + some.length), 0);
      driver.runBatch(batch.length, columnOf(batch.map(([name]) => name)), packEnds(ends), cells.length, columnOf(cells), long);
      if (stand.rest.length > 0) throw new Error("a group was left before its end");
      batch = [];
    });
  }, stage.role === "reducer");
}
