// A double of the engine, for tests in node without it: what plugins emit, count and reject is kept
// here. Compiled in by testing.ts alone.

import { Buffer } from "./buffer";
import { cell, cellLen } from "./input";
import { Column } from "./host";

// @ts-ignore: decorator
@external("env", "print")
declare function print(text: usize, len: i32): void;

/** Values in a part of a group. */
export const PART_ROWS: i32 = 3;

export class Record {
  constructor(public key: ArrayBuffer, public value: ArrayBuffer) {}
}

export let emitted: Record[] = [];
/** What was emitted to named outputs, in their order. */
export let named: Record[][] = [];
export const params: Map<string, string> = new Map();
export const sideInputs: Map<string, ArrayBuffer> = new Map();
export const counters: Map<string, i64> = new Map();
export let rejects: i32 = 0;
export let rest: Record[] = [];

/** Begins a role that has so many named outputs. */
export function start(outputs: i32): void {
  emitted = [];
  named = [];
  for (let i = 0; i < outputs; i++) named.push([]);
}
export function setRest(records: Record[]): void { rest = records; }

function copied(column: Column, row: i32): ArrayBuffer {
  const from = cell(column, row), len = cellLen;
  const bytes = new ArrayBuffer(len);
  memory.copy(changetype<usize>(bytes), from, <usize>len);
  return bytes;
}

export function emit(port: u32, rows: u32, keys: Column, values: Column): void {
  const to = port == 0 ? emitted : named[<i32>port - 1];
  for (let row: i32 = 0; row < <i32>rows; row++) to.push(new Record(copied(keys, row), copied(values, row)));
}

export function reject(reason: string): void { rejects++; }

/** Cells into a column; they stay for ever, as tests are short. */
export function pack(records: Record[], values: bool, column: Column): void {
  const data = new Buffer(), ends = new Buffer();
  for (let i = 0; i < records.length; i++) {
    const bytes = values ? records[i].value : records[i].key;
    data.push(changetype<usize>(bytes), bytes.byteLength);
    ends.pushEnd(data.len);
  }
  column.width = 0;
  column.ends = ends.ptr;
  column.endsLen = ends.len;
  column.data = data.ptr;
  column.dataLen = data.len;
}

export function nextValues(cells: Column): i32 {
  if (rest.length == 0) return -1;
  const part = rest.splice(0, PART_ROWS);
  pack(part, true, cells);
  return part.length;
}

export function param(name: string): string | null { return params.has(name) ? params.get(name) : null; }

export function sideInput(name: string): ArrayBuffer | null { return sideInputs.has(name) ? sideInputs.get(name) : null; }

export function count(names: string[], deltas: i64[]): void {
  for (let i = 0; i < names.length; i++) {
    const before = counters.has(names[i]) ? counters.get(names[i]) : 0;
    counters.set(names[i], before + deltas[i]);
  }
}

export function log(message: string): void {
  const bytes = String.UTF8.encode(message);
  print(changetype<usize>(bytes), bytes.byteLength);
}
