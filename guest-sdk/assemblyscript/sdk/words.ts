// Splits text at white space, 64 bytes at a time: a mask tells for each byte of a block whether it
// is white space; words begin and end where the mask changes. White space is what C calls so:
// space, tab, newline, vertical tab, form feed, carriage return.

import { Text } from "./types";

const BLOCK: usize = 64;
const SPACES: usize = memory.data(64);

/** The words of a text: `while (words.next()) ... words.word`. */
export class Words {
  /** The word that `next` went to: always the same object, copy it to keep it. */
  word: Text = new Text(0, 0);
  private end: usize;
  private block: usize;
  // Places in the block, not yet passed, where words begin and end in turn.
  private edges: u64 = 0;
  // 1 if the last byte of the block belongs to a word.
  private inWord: u64 = 0;

  constructor(ptr: usize, len: i32) {
    this.block = ptr;
    this.end = ptr + <usize>len;
    if (len > 0) this.loadBlock();
  }

  /** Goes to the next word; false at the end of the text. */
  @inline next(): bool {
    const start = this.edge();
    if (start == 0) return false;
    const edge = this.edge();
    const word = this.word;
    word.ptr = start;
    word.len = <i32>((edge == 0 ? this.end : edge) - start);
    return true;
  }

  // The next place where a word begins or ends; 0 at the end.
  @inline private edge(): usize {
    if (this.edges == 0 && !this.nextBlock()) return 0;
    const place = this.block + <usize>ctz<u64>(this.edges);
    this.edges &= this.edges - 1;
    return place;
  }

  private nextBlock(): bool {
    while (this.end - this.block > BLOCK) {
      this.block += BLOCK;
      this.loadBlock();
      if (this.edges != 0) return true;
    }
    return false;
  }

  private loadBlock(): void {
    const left = this.end - this.block;
    let from = this.block;
    if (left < BLOCK) {
      // What is behind the end counts as white space, so that the last word ends.
      memory.fill(SPACES, 32, BLOCK);
      memory.copy(SPACES, from, left);
      from = SPACES;
    }
    const letters = ~(lane(from) | (lane(from + 16) << 16) | (lane(from + 32) << 32) | (lane(from + 48) << 48));
    this.edges = letters ^ ((letters << 1) | this.inWord);
    this.inWord = letters >> 63;
  }
}

/** One bit for each of 16 bytes: is it white space? */
// @ts-ignore: decorator
@inline
function lane(from: usize): u64 {
  const bytes = v128.load(from);
  const control = i8x16.le_u(i8x16.sub(bytes, i8x16.splat(9)), i8x16.splat(4));
  return <u64><u32>i8x16.bitmask(v128.or(control, i8x16.eq(bytes, i8x16.splat(32))));
}
