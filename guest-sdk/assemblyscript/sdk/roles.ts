// What an author extends: one class for each role. Must not know of the component's exports.

import * as types from "./types";
import { Doing, failed, invalid, setBatch, setRow, setText } from "./current";
import { Chunk, FileLine, Line, Values, cell, cellLen, endAt } from "./input";
import { Column } from "./host";
import { Out, add } from "./out";
import { Reader, Text, Tuple2 } from "./types";
import { Task } from "./task";

/** A role: `setup` is called at the start of every task. */
export abstract class Role {
  setup(task: Task): void {}
  abstract mrOpen(batchBytes: u32): void;
  abstract mrClose(): void;
  abstract mrFacts(stage: string, facts: string[]): void;
}

export abstract class MapRole extends Role {
  abstract mrMap(rows: i32, keys: Column, values: Column): void;
}

export abstract class GroupRole extends Role {
  abstract mrReduce(groups: i32, keys: Column, ends: usize, endsLen: i32, values: Column, more: bool, combining: bool): void;
}

function typeFacts<K, V>(stage: string, facts: string[]): void {
  facts.push(stage + ".key");
  facts.push(types.typeName<K>());
  facts.push(stage + ".value");
  facts.push(types.typeName<V>());
}

/** What all mappers of text have in common. */
abstract class TextMapper<K, V> extends MapRole {
  protected out: Out<K, V> = new Out<K, V>();

  /** Ends a task: the last chance to emit. */
  finish(out: Out<K, V>): void {}
  protected withPath(): bool { return false; }
  abstract mrText(text: usize, len: i32, offset: u64, path: Text): void;

  mrOpen(batchBytes: u32): void { this.out.open(batchBytes); }
  mrClose(): void {
    this.finish(this.out);
    if (!failed) this.out.flush();
  }
  mrFacts(stage: string, facts: string[]): void {
    typeFacts<K, V>(stage, facts);
    facts.push("map.batch");
    facts.push("chunks");
    facts.push("map.input-key");
    facts.push(this.withPath() ? "path-offset" : "offset");
  }

  mrMap(rows: i32, keys: Column, values: Column): void {
    setBatch(values.data, values.dataLen);
    const none = new Text(0, 0);
    for (let row = 0; row < rows && !failed; row++) {
      const key = cell(keys, row), keyLen = cellLen;
      const text = cell(values, row), textLen = cellLen;
      setRow(Doing.Record, row, key, keyLen, text, textLen);
      let path = none;
      let offset: u64 = 0;
      if (this.withPath()) {
        const place = types.read<Tuple2<Text, u64>>(key, keyLen);
        path = place.a;
        offset = place.b;
      } else offset = types.read<u64>(key, keyLen);
      if (types.malformed) invalid("the key of a row of text is not its place");
      else this.mrText(text, textLen, offset, path);
    }
    setBatch(0, 0);
  }
}

/** Maps lines of text. */
export abstract class LineMapper<K, V> extends TextMapper<K, V> {
  private line: Line = new Line();
  abstract map(line: Line, out: Out<K, V>): void;

  mrText(text: usize, len: i32, offset: u64, path: Text): void {
    const line = this.line;
    let from = 0;
    do {
      let to = from;
      while (to < len && load<u8>(text + <usize>to) != 10) to++;
      line.text.ptr = text + <usize>from;
      line.text.len = to - from;
      line.offset = offset + <u64>from;
      setText(Doing.Line, line.offset, line.text.ptr, line.text.len);
      this.map(line, this.out);
      from = to + 1;
    } while (from < len && !failed);
  }
}

/** Maps lines that know the path of their file. */
export abstract class FileLineMapper<K, V> extends TextMapper<K, V> {
  private line: FileLine = new FileLine();
  abstract map(line: FileLine, out: Out<K, V>): void;
  protected withPath(): bool { return true; }

  mrText(text: usize, len: i32, offset: u64, path: Text): void {
    const line = this.line;
    line.path = path;
    let from = 0;
    do {
      let to = from;
      while (to < len && load<u8>(text + <usize>to) != 10) to++;
      line.text.ptr = text + <usize>from;
      line.text.len = to - from;
      line.offset = offset + <u64>from;
      setText(Doing.Line, line.offset, line.text.ptr, line.text.len);
      this.map(line, this.out);
      from = to + 1;
    } while (from < len && !failed);
  }
}

/** Maps chunks of whole lines: for plugins that are faster on much text at once. */
export abstract class ChunkMapper<K, V> extends TextMapper<K, V> {
  private chunk: Chunk = new Chunk();
  abstract map(chunk: Chunk, out: Out<K, V>): void;

  mrText(text: usize, len: i32, offset: u64, path: Text): void {
    const chunk = this.chunk;
    chunk.text.ptr = text;
    chunk.text.len = len;
    chunk.offset = offset;
    setText(Doing.Chunk, offset, text, len);
    this.map(chunk, this.out);
  }
}

/** Maps records with keys of type IK and values of type IV. */
export abstract class RecordMapper<IK, IV, K, V> extends MapRole {
  protected out: Out<K, V> = new Out<K, V>();
  abstract map(key: IK, value: IV, out: Out<K, V>): void;

  /** Ends a task: the last chance to emit. */
  finish(out: Out<K, V>): void {}

  mrOpen(batchBytes: u32): void { this.out.open(batchBytes); }
  mrClose(): void {
    this.finish(this.out);
    if (!failed) this.out.flush();
  }
  mrFacts(stage: string, facts: string[]): void {
    typeFacts<K, V>(stage, facts);
    facts.push("map.batch");
    facts.push("rows");
  }
  mrMap(rows: i32, keys: Column, values: Column): void {
    for (let row = 0; row < rows && !failed; row++) {
      const keyAt = cell(keys, row), keyLen = cellLen;
      const valueAt = cell(values, row), valueLen = cellLen;
      setRow(Doing.Record, row, keyAt, keyLen, valueAt, valueLen);
      const key = types.read<IK>(keyAt, keyLen);
      const bad = types.malformed;
      const value = types.read<IV>(valueAt, valueLen);
      if (bad || types.malformed) invalid("the record is not of the types " + types.typeName<IK>() + " and " + types.typeName<IV>());
      else this.map(key, value, this.out);
    }
  }
}

/** Turns the group of all values of a key into records. As a combiner it sees some of the values,
 * any number of times, and emits with the key that it was given. */
export abstract class Reducer<IK, IV, K, V> extends GroupRole {
  protected out: Out<K, V> = new Out<K, V>();
  private values: Values<IV> = new Values<IV>();
  abstract reduce(key: IK, values: Values<IV>, out: Out<K, V>): void;

  /** Ends a task: the last chance to emit. */
  finish(out: Out<K, V>): void {}

  mrOpen(batchBytes: u32): void { this.out.open(batchBytes); }
  mrClose(): void {
    this.finish(this.out);
    if (!failed) this.out.flush();
  }
  mrFacts(stage: string, facts: string[]): void {
    if (stage == "reduce") typeFacts<IK, IV>("reduce.in", facts);
    typeFacts<K, V>(stage, facts);
  }
  mrReduce(groups: i32, keys: Column, ends: usize, endsLen: i32, values: Column, more: bool, combining: bool): void {
    let start = 0;
    for (let group = 0; group < groups && !failed; group++) {
      const end = endAt(ends, endsLen, group);
      const keyAt = cell(keys, group), keyLen = cellLen;
      setRow(combining ? Doing.Combining : Doing.Reducing, group, keyAt, keyLen);
      const key = types.read<IK>(keyAt, keyLen);
      if (types.malformed) {
        invalid("the key is not of type " + types.typeName<IK>());
        return;
      }
      this.values.open(values, start, end, more && group + 1 == groups);
      this.reduce(key, this.values, this.out);
      this.values.finish();
      start = end;
    }
    // All output of a combiner leaves before it returns: the next batch may be of another run.
    if (combining && !failed) this.out.flush();
  }
}

/** Combiner or reducer that adds up u64 values. */
export class Sum<K> extends Reducer<K, u64, K, u64> {
  reduce(key: K, values: Values<u64>, out: Out<K, u64>): void {
    let sum: u64 = 0;
    while (values.next()) sum = add(sum, values.value);
    if (!failed) out.emit(key, sum);
  }
}

/** What all partitioners have in common. */
export abstract class PartitionRole extends Role {
  mrOpen(batchBytes: u32): void {}
  mrClose(): void {}
  abstract mrPartition(rows: i32, keys: Column, partitions: u32, chosen: usize): void;
}

/** Chooses the partition of a key, below `partitions`. Must be a pure function of the key. */
export abstract class Partitioner<K> extends PartitionRole {
  abstract partition(key: K, partitions: u32): u32;

  mrFacts(stage: string, facts: string[]): void {
    facts.push("partition.key");
    facts.push(types.typeName<K>());
  }
  mrPartition(rows: i32, keys: Column, partitions: u32, chosen: usize): void {
    for (let row = 0; row < rows && !failed; row++) {
      const keyAt = cell(keys, row), keyLen = cellLen;
      setRow(Doing.Partitioning, row, keyAt, keyLen);
      const key = types.read<K>(keyAt, keyLen);
      if (types.malformed) return invalid("the key is not of type " + types.typeName<K>());
      const partition = this.partition(key, partitions);
      if (partition >= partitions) throw new RangeError("partition " + partition.toString() + " of " + partitions.toString());
      store<u32>(chosen + (<usize>row << 2), partition);
    }
  }
}
