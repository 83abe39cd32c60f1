//! What roles read: lines, chunks, records, and the values of a group.

const std = @import("std");
const codec = @import("codec.zig");
const current = @import("current.zig");
const host = @import("host.zig");
const words = @import("words.zig");
const Buffer = @import("buffer.zig").Buffer;

/// A line of text, without its newline.
pub const Line = struct {
    text: []const u8,
    /// Of its first byte in the file.
    offset: u64,

    /// What is between white space.
    pub fn words(self: Line) words_.Words {
        return words_.words(self.text);
    }
};
const words_ = words;

/// A line that knows the path of its file.
pub const FileLine = struct {
    text: []const u8,
    offset: u64,
    path: []const u8,
};

/// Whole lines with their newlines; the last one may lack its own.
pub const Chunk = struct {
    text: []const u8,
    offset: u64,

    /// What is between white space.
    pub fn words(self: Chunk) words_.Words {
        return words_.words(self.text);
    }
};

/// A record with a key of type `K` and a value of type `V`.
pub fn Record(comptime K: type, comptime V: type) type {
    return struct {
        key: codec.View(K),
        value: codec.View(V),

        pub const mr_key = K;
        pub const mr_value = V;
    };
}

/// Cell `row` of a column. The engine sends no malformed column; if it did, the plugin would stop.
pub inline fn cell(column: host.Column, row: usize) []const u8 {
    if (column.ends.len == 0) {
        const from = row * column.width;
        if (from + column.width > column.data.len) @panic("a column ends before its cells do");
        return column.data[from..][0..column.width];
    }
    const from = if (row == 0) 0 else endAt(column.ends, row - 1);
    const to = endAt(column.ends, row);
    if (from > to or to > column.data.len) @panic("a column ends before its cells do");
    return column.data[from..to];
}

pub inline fn endAt(ends: []const u8, row: usize) usize {
    if (row * 4 + 4 > ends.len) @panic("a column has too few ends");
    return std.mem.readInt(u32, ends[row * 4 ..][0..4], .little);
}

/// The values of one key, one after the other, however many batches they fill.
pub fn Values(comptime V: type) type {
    return struct {
        cells: host.Column,
        at: usize,
        end: usize,
        more: bool,
        mark: ?host.Mark = null,
        scratch: *Buffer,

        const Self = @This();
        pub const Value = V;

        /// The next value, good until the next one is asked for; null at the end of the group. A
        /// value that is not of type `V` is an error, which is meant to be passed on with `try`.
        pub inline fn next(self: *Self) !?codec.View(V) {
            if (self.at == self.end and !self.fetch()) return null;
            const bytes = cell(self.cells, self.at);
            self.at += 1;
            return codec.read(V, bytes, self.scratch) catch
                return current.invalid("a cell of {d} bytes is not of type {s}: was it written by another kind of plugin?", .{ bytes.len, comptime codec.name(V) });
        }

        /// Fetches the next part of the group; it replaces the one before.
        fn fetch(self: *Self) bool {
            @branchHint(.cold);
            while (self.more) {
                if (self.mark) |mark| host.release(mark) else self.mark = host.mark();
                const part = host.nextValues() orelse {
                    self.more = false;
                    return false;
                };
                self.cells = part.cells;
                self.at = 0;
                self.end = part.rows;
                if (self.end > 0) return true;
            }
            return false;
        }

        /// What was not read is passed over, as the engine requires.
        pub fn finish(self: *Self) void {
            while (self.more) _ = self.fetch();
        }
    };
}
