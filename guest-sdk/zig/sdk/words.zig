//! Splits text at white space, 64 bytes at a time.
//!
//! A mask tells for each byte of a block whether it is white space; words begin and end where the
//! mask changes. White space is what C calls so: space, tab, newline, vertical tab, form feed,
//! carriage return.

const std = @import("std");

const block_bytes = 64;

/// The words of `text`.
pub fn words(text: []const u8) Words {
    var all: Words = .{ .text = text };
    if (text.len > 0) all.loadBlock();
    return all;
}

pub const Words = struct {
    text: []const u8,
    block: usize = 0,
    /// Places in the block, not yet passed, where words begin and end in turn.
    edges: u64 = 0,
    /// 1 if the last byte of the block belongs to a word.
    in_word: u64 = 0,

    /// The next word; null at the end.
    pub inline fn next(self: *Words) ?[]const u8 {
        @setRuntimeSafety(false);
        const start = self.edge() orelse return null;
        const end = self.edge() orelse self.text.len;
        return self.text[start..end];
    }

    inline fn edge(self: *Words) ?usize {
        @setRuntimeSafety(false);
        if (self.edges == 0 and !self.nextBlock()) return null;
        const place = self.block + @ctz(self.edges);
        self.edges &= self.edges - 1;
        return place;
    }

    noinline fn nextBlock(self: *Words) bool {
        while (self.text.len - self.block > block_bytes) {
            self.block += block_bytes;
            self.loadBlock();
            if (self.edges != 0) return true;
        }
        return false;
    }

    inline fn loadBlock(self: *Words) void {
        @setRuntimeSafety(false);
        const rest = self.text[self.block..];
        var letters: u64 = undefined;
        if (rest.len >= block_bytes) {
            letters = ~spaces(rest[0..block_bytes]);
        } else {
            // What is behind the end counts as white space, so that the last word ends.
            var block: [block_bytes]u8 = @splat(' ');
            @memcpy(block[0..rest.len], rest);
            letters = ~spaces(&block);
        }
        self.edges = letters ^ (letters << 1 | self.in_word);
        self.in_word = letters >> 63;
    }
};

/// One bit for each byte: is it white space?
inline fn spaces(block: *const [block_bytes]u8) u64 {
    @setRuntimeSafety(false);
    const Lane = @Vector(16, u8);
    var mask: u64 = 0;
    inline for (0..4) |i| {
        const bytes: Lane = block[i * 16 ..][0..16].*;
        const control = (bytes -% @as(Lane, @splat(9))) <= @as(Lane, @splat(4));
        const space = bytes == @as(Lane, @splat(' '));
        const either: @Vector(16, u1) = @as(@Vector(16, u1), @intFromBool(control)) | @as(@Vector(16, u1), @intFromBool(space));
        mask |= @as(u64, @as(u16, @bitCast(either))) << (i * 16);
    }
    return mask;
}

test "words are what is between white space" {
    const text = " a bc\tdef\n\x0b\x0c\r ghi " ++ @as([70]u8, @splat('x')) ++ " y\xff\x80 end";
    var naive = std.mem.tokenizeAny(u8, text, " \t\n\x0b\x0c\r");
    var found = words(text);
    while (naive.next()) |word| try std.testing.expectEqualStrings(word, found.next().?);
    try std.testing.expectEqual(null, found.next());
}
