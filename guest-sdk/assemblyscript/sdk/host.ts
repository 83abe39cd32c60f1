// What the engine offers: its imports, as the canonical ABI has them (no generator exists for
// AssemblyScript), or a double of it where testing.ts is compiled in.
//
// Lists that the engine hands in lie in frames (see frames.ts) until the exported call ends.

import * as frames from "./frames";
import * as double from "./double";

// @ts-ignore: decorator
@external("mr:engine/output@0.1.0", "emit")
declare function importEmit(port: u32, rows: u32, kw: u32, ke: usize, ken: i32, kd: usize, kdn: i32, vw: u32, ve: usize, ven: i32, vd: usize, vdn: i32): void;
// @ts-ignore: decorator
@external("mr:engine/output@0.1.0", "reject")
declare function importReject(row: u32, reason: usize, len: i32): void;
// @ts-ignore: decorator
@external("mr:engine/group-values@0.1.0", "next")
declare function importNext(ret: usize): void;
// @ts-ignore: decorator
@external("mr:engine/config@0.1.0", "get")
declare function importGet(key: usize, len: i32, ret: usize): void;
// @ts-ignore: decorator
@external("mr:engine/counters@0.1.0", "add")
declare function importAdd(deltas: usize, len: i32): void;
// @ts-ignore: decorator
@external("mr:engine/logging@0.1.0", "log")
declare function importLog(level: u32, message: usize, len: i32): void;
// @ts-ignore: decorator
@external("mr:engine/side-input@0.1.0", "size")
declare function importSize(name: usize, len: i32, ret: usize): void;
// @ts-ignore: decorator
@external("mr:engine/side-input@0.1.0", "read")
declare function importRead(name: usize, len: i32, offset: u64, bytes: u32, ret: usize): void;

// Where imports answer.
const RET: usize = memory.data(32, 8);

/** A column: cells end to end (see the interface). */
export class Column {
  constructor(public width: u32 = 0, public ends: usize = 0, public endsLen: i32 = 0, public data: usize = 0, public dataLen: i32 = 0) {}
}

export function hostEmit(port: u32, rows: u32, keys: Column, values: Column): void {
  if (isDefined(MR_TEST)) double.emit(port, rows, keys, values);
  else importEmit(port, rows, keys.width, keys.ends, keys.endsLen, keys.data, keys.dataLen, values.width, values.ends, values.endsLen, values.data, values.dataLen);
}

export function hostReject(row: u32, reason: string): void {
  if (isDefined(MR_TEST)) double.reject(reason);
  else {
    const bytes = String.UTF8.encode(reason);
    importReject(row, changetype<usize>(bytes), bytes.byteLength);
  }
}

/** The next part of the open group into `cells`: its rows, or -1 at the end. */
export function hostNextValues(cells: Column): i32 {
  if (isDefined(MR_TEST)) return double.nextValues(cells);
  else {
    importNext(RET);
    if (load<u8>(RET) == 0) return -1;
    cells.width = load<u32>(RET, 8);
    cells.ends = load<usize>(RET, 12);
    cells.endsLen = load<i32>(RET, 16);
    cells.data = load<usize>(RET, 20);
    cells.dataLen = load<i32>(RET, 24);
    return load<i32>(RET, 4);
  }
}

export function hostParam(name: string): string | null {
  if (isDefined(MR_TEST)) return double.param(name);
  else {
    const bytes = String.UTF8.encode(name);
    importGet(changetype<usize>(bytes), bytes.byteLength, RET);
    if (load<u8>(RET) == 0) return null;
    return String.UTF8.decodeUnsafe(load<usize>(RET, 4), load<usize>(RET, 8));
  }
}

export function hostCount(names: string[], deltas: i64[]): void {
  if (isDefined(MR_TEST)) double.count(names, deltas);
  else {
    const entries = heap.alloc(<usize>names.length * 16);
    const kept: ArrayBuffer[] = [];
    for (let i = 0; i < names.length; i++) {
      const bytes = String.UTF8.encode(names[i]);
      kept.push(bytes);
      const entry = entries + <usize>i * 16;
      store<usize>(entry, changetype<usize>(bytes));
      store<i32>(entry, bytes.byteLength, 4);
      store<i64>(entry, deltas[i], 8);
    }
    importAdd(entries, names.length);
    heap.free(entries);
  }
}

export function hostLog(level: u32, message: string): void {
  if (isDefined(MR_TEST)) double.log(message);
  else {
    const bytes = String.UTF8.encode(message);
    importLog(level, changetype<usize>(bytes), bytes.byteLength);
  }
}

/** A whole file that was shipped with the job, or null where there is none. */
export function hostSideInput(name: string): ArrayBuffer | null {
  if (isDefined(MR_TEST)) return double.sideInput(name);
  else {
    const PART: u32 = 1 << 20;
    const bytes = String.UTF8.encode(name);
    importSize(changetype<usize>(bytes), bytes.byteLength, RET);
    if (load<u8>(RET) == 0) return null;
    const size = load<u64>(RET, 8);
    const all = new ArrayBuffer(<i32>size);
    for (let offset: u64 = 0; offset < size; offset += PART) {
      const at = frames.at, used = frames.used;
      importRead(changetype<usize>(bytes), bytes.byteLength, offset, PART, RET);
      memory.copy(changetype<usize>(all) + <usize>offset, load<usize>(RET), load<usize>(RET, 4));
      frames.release(at, used);
    }
    return all;
  }
}
