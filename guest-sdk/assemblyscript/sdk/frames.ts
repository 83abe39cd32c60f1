// Memory for what the engine hands in: taken from the end of a chunk, given back all at once when
// the exported call ends, and used again by the next one.

const CHUNK_BYTES: usize = 1 << 20;
const CHUNKS_MAX: i32 = 32;
// Where chunks are, and how long.
const BASES: usize = memory.data(128);
const SIZES: usize = memory.data(128);

let len: i32 = 0;
/** A place to go back to. */
export let at: i32 = 0;
export let used: usize = 0;

/** Gives back all that was taken since this place. */
export function release(toAt: i32, toUsed: usize): void {
  at = toAt;
  used = toUsed;
}

export function take(bytes: usize, align: usize): usize {
  while (at < len) {
    const base = load<usize>(BASES + (<usize>at << 2));
    const from = (base + used + align - 1) & ~(align - 1);
    if (from + bytes <= base + load<usize>(SIZES + (<usize>at << 2))) {
      used = from + bytes - base;
      return from;
    }
    if (at + 1 == len) break;
    at++;
    used = 0;
  }
  return grow(bytes, align);
}

// Chunks double, so that few of them hold any batch.
function grow(bytes: usize, align: usize): usize {
  if (len == CHUNKS_MAX) throw new Error("the engine hands in too much at once");
  const before = len > 0 ? load<usize>(SIZES + (<usize>(len - 1) << 2)) : 0;
  const size = max(max(CHUNK_BYTES, bytes + align), before * 2);
  const base = heap.alloc(size);
  store<usize>(BASES + (<usize>len << 2), base);
  store<usize>(SIZES + (<usize>len << 2), size);
  at = len++;
  const from = (base + align - 1) & ~(align - 1);
  used = from + bytes - base;
  return from;
}
