// Runs the registered plugin without the engine, in node:
//
//     import "./main";
//     import { Test } from "./mr/testing";
//
//     const test = new Test();
//     test.job("to be or not to be\n");
//     test.expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
//
// Roles run in small batches, with long groups in parts.

import * as current from "./current";
import * as double from "./double";
import * as types from "./types";
import { Buffer } from "./buffer";
import { Column } from "./host";
import { GroupRole, Role } from "./roles";
import { Record } from "./double";
import { Text } from "./types";
import { Task, sendCounters } from "./task";
import { flushPorts, openPorts } from "./port";
import { plugin } from "./run";

// @ts-ignore: decorator
@global
const MR_TEST: bool = true;

// Lines in a row, and bytes that output batches aim for.
const ROW_LINES: i32 = 3;
const OUT_BYTES: u32 = 200;

function bytesOf(buffer: Buffer): ArrayBuffer {
  const bytes = new ArrayBuffer(buffer.len);
  memory.copy(changetype<usize>(bytes), buffer.ptr, <usize>buffer.len);
  return bytes;
}

function compare(a: ArrayBuffer, b: ArrayBuffer): i32 {
  const order = memory.compare(changetype<usize>(a), changetype<usize>(b), <usize>min(a.byteLength, b.byteLength));
  return order != 0 ? order : a.byteLength - b.byteLength;
}

export class Test {
  /** The message of the last run, if it failed. */
  failure: string = "";
  private facts: string[] = [];
  private stage: string = "";

  /** Sets a parameter. */
  param(name: string, value: string): void { double.params.set(name, value); }
  /** Ships a file. */
  sideInput(name: string, text: string): void { double.sideInputs.set(name, String.UTF8.encode(text)); }

  // Opens a role; only the last one of a job has the named outputs.
  private start(role: Role, stage: string, last: bool): void {
    const outputs = plugin().outputs, names: string[] = ["main"];
    for (let i = 0; i < outputs.length && last; i++) names.push(outputs[i].name);
    double.start(outputs.length);
    this.failure = "";
    this.facts = [];
    this.stage = stage;
    role.mrFacts(stage, this.facts);
    openPorts(outputs, names, OUT_BYTES);
    role.mrOpen(OUT_BYTES);
    role.setup(new Task("test", 0, 0, last ? 0 : 1, 0));
    this.ended();
  }

  // Ends a call; false where it failed.
  private ended(): bool {
    if (current.failed) this.failure = current.failure();
    sendCounters();
    current.setIdle();
    return this.failure.length == 0;
  }

  // Ends a role.
  private close(role: Role): void {
    if (this.failure.length == 0) role.mrClose();
    if (this.failure.length == 0 && !current.failed) flushPorts(plugin().outputs);
    this.ended();
  }

  /** Maps the lines of a text, as a job without reducers does. */
  map(text: string): void { this.mapLines(text, true); }

  private mapLines(text: string, last: bool): void {
    const role = plugin().mapper!;
    this.start(role, "map", last);
    const all = Text.from(text);
    const withPath = this.facts.includes("path-offset");
    let from = 0;
    while (from < all.len && this.failure.length == 0) {
      let to = from;
      for (let lines = 0; to < all.len && lines < ROW_LINES; to++) if (all.at(to) == 10) lines++;
      const key = new Buffer(), value = new Buffer();
      if (withPath) types.put<string>(key, "input");
      types.put<u64>(key, <u64>from);
      value.push(all.ptr + <usize>from, to - from);
      const rows = [new Record(bytesOf(key), bytesOf(value))], keys = new Column(), values = new Column();
      double.pack(rows, false, keys);
      double.pack(rows, true, values);
      role.mrMap(1, keys, values);
      this.ended();
      from = to;
    }
    this.close(role);
  }

  /** Combines what was emitted. */
  combine(): void { this.groups(plugin().combiner!, "combine"); }
  /** Reduces what was emitted. */
  reduce(): void { this.groups(plugin().reducer!, "reduce"); }

  /** Runs the plugin over a text, with its combiner where it has one. */
  job(text: string): void {
    this.mapLines(text, false);
    if (this.failure.length == 0 && plugin().combiner) this.combine();
    if (this.failure.length == 0) this.reduce();
  }

  private groups(role: GroupRole, stage: string): void {
    const records = double.emitted;
    // A stable sort: records of one key stay in their order.
    for (let i = 1; i < records.length; i++) {
      const moving = records[i];
      let to = i;
      for (; to > 0 && compare(records[to - 1].key, moving.key) > 0; to--) records[to] = records[to - 1];
      records[to] = moving;
    }
    this.start(role, stage, stage == "reduce");
    let from = 0;
    while (from < records.length && this.failure.length == 0) {
      let to = from + 1;
      const group = this.groupKey(records[from].key);
      while (to < records.length && compare(group, this.groupKey(records[to].key)) == 0) to++;
      const first = stage == "reduce" ? min(to, from + double.PART_ROWS) : to;
      double.setRest(records.slice(first, to));
      const keys = new Column(), values = new Column(), ends = new Buffer();
      double.pack([new Record(group, group)], false, keys);
      double.pack(records.slice(from, first), true, values);
      ends.pushEnd(first - from);
      role.mrReduce(1, keys, ends.ptr, ends.len, values, first < to, stage == "combine");
      this.ended();
      from = to;
    }
    this.close(role);
  }

  // The part of a key that makes a group: of a reducer's tuple, the elements that it reads.
  private groupKey(key: ArrayBuffer): ArrayBuffer {
    if (this.stage != "reduce" || plugin().groupPrefix == 0) return key;
    const reader = new types.Reader(changetype<usize>(key), key.byteLength, key);
    place = 0;
    renderFront(this.facts[this.facts.indexOf("reduce.in.key") + 1], reader);
    return key.slice(0, key.byteLength - reader.len);
  }

  /** What was emitted, as the engine writes it: key, tab, value, newline. */
  text(): string {
    const keyType = this.facts[this.facts.indexOf(this.stage + ".key") + 1];
    const valueType = this.facts[this.facts.indexOf(this.stage + ".value") + 1];
    return textOf(double.emitted, keyType, valueType);
  }

  /** What was emitted to a named output, as the engine writes it. */
  output(name: string): string {
    const outputs = plugin().outputs;
    for (let i = 0; i < outputs.length; i++) {
      if (outputs[i].name != name) continue;
      const facts: string[] = [];
      outputs[i].mrFacts(facts);
      return textOf(double.named[i], facts[1], facts[3]);
    }
    throw new Error("the plugin lists no output " + name);
  }

  /** What was emitted to a named output is this text. */
  expectOutput(name: string, text: string): void {
    const got = this.output(name);
    if (got != text) throw new Error("output " + name + ": expected\n" + text + "\nbut got\n" + got);
  }

  /** The output of the last run is this text. */
  expect(text: string): void {
    if (this.failure.length > 0) throw new Error("the plugin failed: " + this.failure);
    if (this.text() != text) throw new Error("expected\n" + text + "\nbut got\n" + this.text());
  }

  /** The last run failed with a message that has this text in it. */
  expectFailure(text: string): void {
    if (!this.failure.includes(text)) throw new Error("expected a failure with " + text + " but got " + this.failure);
  }

  /** The counter has this sum, over all that ran. */
  expectCounter(name: string, sum: i64): void {
    const got = double.counters.has(name) ? double.counters.get(name) : 0;
    if (got != sum) throw new Error("counter " + name + ": expected " + sum.toString() + " but got " + got.toString());
  }

  /** So many records were rejected. */
  expectRejects(rejects: i32): void {
    if (double.rejects != rejects) throw new Error("rejects: expected " + rejects.toString() + " but got " + double.rejects.toString());
  }
}

function textOf(records: Record[], keyType: string, valueType: string): string {
  let text = "";
  for (let i = 0; i < records.length; i++) {
    text += render(keyType, records[i].key);
    if (keyType != "unit" && valueType != "unit") text += "\t";
    text += render(valueType, records[i].value) + "\n";
  }
  return text;
}

function render(type: string, cell: ArrayBuffer): string {
  if (type == "text" || type == "bytes") return String.UTF8.decode(cell);
  place = 0;
  return renderFront(type, new types.Reader(changetype<usize>(cell), cell.byteLength, cell));
}

/** Where in a type's name the next type begins. */
let place = 0;

/** Takes the next type off a name, and a cell of it off a reader. */
function renderFront(type: string, reader: types.Reader): string {
  if (type.substr(place, 6) == "tuple<") {
    place += 6;
    const parts: string[] = [];
    do parts.push(renderFront(type, reader));
    while (type.charAt(place++) == ",");
    return parts.join("\t");
  }
  if (type.substr(place, 5) == "desc<") {
    place += 5;
    const inner = reader.flipped();
    const text = renderFront(type, inner);
    place++;
    reader.leave(inner);
    return text;
  }
  const start = place;
  while (place < type.length && type.charAt(place) != "," && type.charAt(place) != ">") place++;
  return element(type.substring(start, place), reader);
}

function element(type: string, reader: types.Reader): string {
  if (type == "u64") return types.get<u64>(reader).toString();
  if (type == "s64") return types.get<i64>(reader).toString();
  if (type == "f64") return types.get<f64>(reader).toString();
  if (type == "bool") return types.get<bool>(reader).toString();
  if (type == "unit") return "";
  return types.get<string>(reader);
}
