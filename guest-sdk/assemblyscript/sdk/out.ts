// Where records go: packed into columns, sent on a batch at a time; sums are added up early.

import { Buffer } from "./buffer";
import { Column, hostEmit } from "./host";
import { Text, VARIABLE, typeName, typeWidth, write } from "./types";
import { batchBegin, batchEnd } from "./current";

// Largest size that batches aim for, in bytes: the engine refuses much more.
const BATCH_BYTES_MAX: u32 = 8 << 20;
// Slots of the table that adds up, as a power of two: one MiB, about a core's second-level cache.
const SLOTS_LOG2: u64 = 15;
// A slot is three words, the key's bytes, zeros and in the topmost byte its length plus one; and its sum.
const SLOT_BYTES: usize = 32;
const TABLE_BYTES: usize = SLOT_BYTES << 15;
// Longest key that is kept in the table, in bytes.
const SHORT_KEY: i32 = 23;
const WORDS: usize = memory.data(24, 8);

/** Where a role emits records with keys of type K and values of type V. */
export class Out<K, V> {
  private keys: Buffer = new Buffer();
  private keyEnds: Buffer = new Buffer();
  private values: Buffer = new Buffer();
  private valueEnds: Buffer = new Buffer();
  private rows: u32 = 0;
  private batchBytes: i32 = 1;
  private keyWidth: i32 = typeWidth<K>();
  private valueWidth: i32 = typeWidth<V>();
  private table: usize = 0;
  /** The output: 0 for the main one. */
  port: u32 = 0;

  /** Emits a record. */
  @inline emit(key: K, value: V): void {
    write<K>(this.keys, key);
    write<V>(this.values, value);
    this.endRecord();
  }

  @inline private endRecord(): void {
    const keys = this.keys, values = this.values;
    if (this.keyWidth == VARIABLE) this.keyEnds.pushEnd(keys.len);
    if (this.valueWidth == VARIABLE) this.valueEnds.pushEnd(values.len);
    this.rows++;
    // Empty records fill no bytes, so rows are bounded too.
    if (keys.len + values.len >= this.batchBytes || <i32>this.rows >= this.batchBytes) this.send();
  }

  /** Emits a count that may be added up with others of the key, here or later: for jobs whose
   * combiner and reducer are Sum. A table of fixed size, made for the cache, catches most
   * repetitions; a key that finds its slot taken sends that one on. */
  sum(key: Text, value: u64): void {
    const len = key.len;
    if (len > SHORT_KEY) {
      this.keys.push(key.ptr, len);
      this.values.pushBits(value);
      this.endRecord();
      return;
    }
    if (this.table == 0) this.makeTable();
    let a: u64, b: u64, c: u64;
    const from = key.ptr;
    if (from >= batchBegin && from + 24 <= batchEnd) {
      // Whole words are loaded, and what is behind the key is masked out.
      a = load<u64>(from);
      b = 0;
      c = 0;
      if (len < 8) a &= ~(<u64>-1 << (<u64>len << 3));
      else {
        b = load<u64>(from, 8);
        if (len < 16) b &= ~(<u64>-1 << (<u64>(len - 8) << 3));
        else c = load<u64>(from, 16) & ~(<u64>-1 << (<u64>(len - 16) << 3));
      }
    } else {
      memory.fill(WORDS, 0, 24);
      memory.copy(WORDS, from, <usize>len);
      a = load<u64>(WORDS);
      b = load<u64>(WORDS, 8);
      c = load<u64>(WORDS, 16);
    }
    c |= <u64>(len + 1) << 56;
    let mixed = (a * 0x9e3779b97f4a7c15) ^ (b * 0xc2b2ae3d27d4eb4f) ^ (c * 0x165667b19e3779f9);
    mixed ^= mixed >> 32;
    const slot = this.table + <usize>((mixed * 0x9e3779b97f4a7c15) >> (64 - SLOTS_LOG2)) * SLOT_BYTES;
    if (((load<u64>(slot) ^ a) | (load<u64>(slot, 8) ^ b) | (load<u64>(slot, 16) ^ c)) == 0) {
      store<u64>(slot, add(load<u64>(slot, 24), value), 24);
      return;
    }
    if (load<u64>(slot, 16) != 0) this.emitSlot(slot);
    store<u64>(slot, a);
    store<u64>(slot, b, 8);
    store<u64>(slot, c, 16);
    store<u64>(slot, value, 24);
  }

  private makeTable(): void {
    if (typeName<K>() != "text" || typeName<V>() != "u64") throw new Error("sum is for keys of type text and values of type u64");
    this.table = heap.alloc(TABLE_BYTES);
    memory.fill(this.table, 0, TABLE_BYTES);
  }

  private emitSlot(slot: usize): void {
    const keys = this.keys;
    keys.reserve(24);
    const to = keys.end();
    store<u64>(to, load<u64>(slot));
    store<u64>(to, load<u64>(slot, 8), 8);
    store<u64>(to, load<u64>(slot, 16), 16);
    keys.len += <i32>(load<u64>(slot, 16) >> 56) - 1;
    this.values.pushBits(load<u64>(slot, 24));
    this.endRecord();
  }

  private send(): void {
    if (this.rows == 0) return;
    hostEmit(this.port, this.rows, column(this.keyWidth, this.keyEnds, this.keys), column(this.valueWidth, this.valueEnds, this.values));
    this.clear();
  }

  /** Forgets what is still here. */
  clear(): void {
    this.rows = 0;
    this.keys.len = this.keyEnds.len = this.values.len = this.valueEnds.len = 0;
  }

  open(batchBytes: u32): void {
    this.batchBytes = <i32>min(max(batchBytes, 1), BATCH_BYTES_MAX);
  }

  /** Sends on everything that is still here. */
  flush(): void {
    if (this.table != 0) {
      for (let slot = this.table; slot < this.table + TABLE_BYTES; slot += SLOT_BYTES) {
        if (load<u64>(slot, 16) != 0) this.emitSlot(slot);
      }
      memory.fill(this.table, 0, TABLE_BYTES);
    }
    this.send();
  }
}

function column(width: i32, ends: Buffer, data: Buffer): Column {
  return new Column(<u32>max(width, 0), ends.ptr, ends.len, data.ptr, data.len);
}

export function add(a: u64, b: u64): u64 {
  const sum = a + b;
  if (sum < a) throw new RangeError("a sum is larger than u64 can hold");
  return sum;
}
