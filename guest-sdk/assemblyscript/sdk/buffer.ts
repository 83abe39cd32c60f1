// Bytes that grow, outside of the collector's memory.

export class Buffer {
  ptr: usize = 0;
  len: i32 = 0;
  room: i32 = 0;

  /** Room for `more` bytes behind what there is. */
  @inline reserve(more: i32): void {
    if (this.room - this.len < more) this.grow(more);
  }

  grow(more: i32): void {
    const room = max(max(this.room * 2, this.len + more), 64);
    this.ptr = this.ptr ? heap.realloc(this.ptr, <usize>room) : heap.alloc(<usize>room);
    this.room = room;
  }

  @inline end(): usize {
    return this.ptr + <usize>this.len;
  }

  @inline push(from: usize, len: i32): void {
    this.reserve(len);
    memory.copy(this.end(), from, <usize>len);
    this.len += len;
  }

  @inline pushByte(byte: u8): void {
    this.reserve(1);
    store<u8>(this.end(), byte);
    this.len++;
  }

  @inline pushEnd(end: i32): void {
    this.reserve(4);
    store<u32>(this.end(), <u32>end);
    this.len += 4;
  }

  /** Eight bytes, the highest first. */
  @inline pushBits(bits: u64): void {
    this.reserve(8);
    store<u64>(this.end(), bswap<u64>(bits));
    this.len += 8;
  }

  /** A string as UTF-8. */
  pushString(text: string): void {
    const bytes = String.UTF8.encode(text);
    this.push(changetype<usize>(bytes), bytes.byteLength);
  }
}
