//! Memory for what the engine hands in: taken from the end of a chunk, given back all at once when
//! the exported call ends, and used again by the next one.

const host = @import("host.zig");

const chunk_bytes = 1 << 20;
const chunks_max = 32;

const Chunk = struct { bytes: []u8 = &.{}, used: usize = 0 };

var chunks: [chunks_max]Chunk = @splat(.{});
var len: usize = 0;
/// The chunk that is taken from.
var at: usize = 0;

/// A place to go back to.
pub const Mark = struct { at: usize, used: usize };

pub fn mark() Mark {
    return .{ .at = at, .used = if (len > 0) chunks[at].used else 0 };
}

/// Gives back all that was taken since `to`.
pub fn release(to: Mark) void {
    if (len == 0) return;
    for (chunks[to.at..len]) |*chunk| chunk.used = 0;
    at = to.at;
    chunks[at].used = to.used;
}

pub fn reset() void {
    release(.{ .at = 0, .used = 0 });
}

pub fn take(bytes: usize, alignment: usize) [*]u8 {
    while (at < len) : (at += 1) {
        const chunk = &chunks[at];
        const from = alignUp(@intFromPtr(chunk.bytes.ptr) + chunk.used, alignment) - @intFromPtr(chunk.bytes.ptr);
        if (from + bytes <= chunk.bytes.len) {
            chunk.used = from + bytes;
            return chunk.bytes.ptr + from;
        }
        if (at + 1 == len) break;
    }
    return grow(bytes, alignment);
}

/// Chunks double, so that few of them hold any batch.
fn grow(bytes: usize, alignment: usize) [*]u8 {
    @branchHint(.cold);
    if (len == chunks_max) @panic("the engine hands in too much at once");
    const room = @max(chunk_bytes, bytes + alignment, if (len > 0) chunks[len - 1].bytes.len * 2 else 0);
    chunks[len] = .{ .bytes = host.allocator.alloc(u8, room) catch @panic("out of memory") };
    at = len;
    len += 1;
    const base = @intFromPtr(chunks[at].bytes.ptr);
    const from = alignUp(base, alignment) - base;
    chunks[at].used = from + bytes;
    return chunks[at].bytes.ptr + from;
}

fn alignUp(place: usize, alignment: usize) usize {
    return (place + alignment - 1) & ~(alignment - 1);
}
