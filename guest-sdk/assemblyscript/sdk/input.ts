// What roles read: lines, chunks, and the values of a group.

import * as frames from "./frames";
import * as types from "./types";
import { Column, hostNextValues } from "./host";
import { Text } from "./types";
import { failed, invalid } from "./current";

/** A line of text, without its newline. */
export class Line {
  text: Text = new Text(0, 0);
  /** Of its first byte in the file. */
  offset: u64 = 0;
}

/** A line that knows the path of its file. */
export class FileLine extends Line {
  path: Text = new Text(0, 0);
}

/** Whole lines with their newlines; the last one may lack its own. */
export class Chunk extends Line {}

/** Where a cell of a column is; its length is in `cellLen`. */
// @ts-ignore: decorator
@inline
export function cell(column: Column, row: i32): usize {
  if (column.endsLen == 0) {
    cellLen = <i32>column.width;
    const start = row * cellLen;
    if (start + cellLen > column.dataLen) throw new RangeError("a column ends before its cells do");
    return column.data + <usize>start;
  }
  const start = row == 0 ? 0 : endAt(column.ends, column.endsLen, row - 1);
  const end = endAt(column.ends, column.endsLen, row);
  if (start > end || end > column.dataLen) throw new RangeError("a column ends before its cells do");
  cellLen = end - start;
  return column.data + <usize>start;
}
export let cellLen: i32 = 0;

// @ts-ignore: decorator
@inline
export function endAt(ends: usize, endsLen: i32, row: i32): i32 {
  if (row * 4 + 4 > endsLen) throw new RangeError("a column has too few ends");
  return load<i32>(ends + (<usize>row << 2));
}

/** The values of a key, one after the other, however many batches they fill:
 * `while (values.next()) ... values.value`. */
export class Values<V> {
  /** The value that `next` went to. Text in it is good until the next one. */
  value!: V;
  private cells: Column = new Column();
  private fetched: Column = new Column();
  private at: i32 = 0;
  private end: i32 = 0;
  private more: bool = false;
  private markAt: i32 = -1;
  private markUsed: usize = 0;

  open(cells: Column, start: i32, end: i32, more: bool): void {
    this.cells = cells;
    this.at = start;
    this.end = end;
    this.more = more;
    this.markAt = -1;
  }

  /** Goes to the next value; false at the end of the group. A value that is not of type V fails the
   * task, and ends the group. */
  @inline next(): bool {
    if (this.at == this.end && !this.fetch()) return false;
    const ptr = cell(this.cells, this.at++);
    const len = cellLen;
    this.value = types.read<V>(ptr, len);
    if (types.malformed) return this.bad(len);
    return true;
  }

  private bad(len: i32): bool {
    invalid("a cell of " + len.toString() + " bytes is not of type " + types.typeName<V>() + ": was it written by another kind of plugin?");
    this.at = this.end;
    this.more = false;
    return false;
  }

  // Fetches the next part of the group; it replaces the one before.
  private fetch(): bool {
    while (this.more && !failed) {
      if (this.markAt >= 0) frames.release(this.markAt, this.markUsed);
      this.markAt = frames.at;
      this.markUsed = frames.used;
      const rows = hostNextValues(this.fetched);
      if (rows < 0) {
        this.more = false;
        return false;
      }
      this.cells = this.fetched;
      this.at = 0;
      this.end = rows;
      if (rows > 0) return true;
    }
    return false;
  }

  /** What was not read is passed over, as the engine requires. */
  finish(): void {
    while (this.more && !failed) this.fetch();
  }
}
