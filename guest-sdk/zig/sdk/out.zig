//! Where records go: packed into columns, sent on a batch at a time; sums are added up early.

const std = @import("std");
const codec = @import("codec.zig");
const current = @import("current.zig");
const host = @import("host.zig");
const Buffer = @import("buffer.zig").Buffer;

/// Largest size that batches aim for, in bytes: the engine refuses much more.
const batch_bytes_max = 8 << 20;
/// Slots of the table that adds up, as a power of two: one MiB, about a core's second-level cache.
const slots_log2 = 15;
/// Longest key that is kept in the table, in bytes: with its length it fills three words.
const short_key = 23;

/// The bytes that may be loaded beyond the end of a key: those of the batch in hand.
pub var batch: []const u8 = "";

pub fn add(a: u64, b: u64) u64 {
    const sum, const over = @addWithOverflow(a, b);
    if (over != 0) @panic("a sum is larger than u64 can hold");
    return sum;
}

/// Where a role emits records with keys of type `K` and values of type `V`.
pub fn Out(comptime K: type, comptime V: type) type {
    return struct {
        keys: Buffer = .{},
        key_ends: Buffer = .{},
        values: Buffer = .{},
        value_ends: Buffer = .{},
        rows: u32 = 0,
        batch_bytes: usize = 1,
        /// The output: 0 for the main one.
        port: u32 = 0,
        table: ?*[1 << slots_log2]Slot = null,

        const Self = @This();
        pub const Key = K;
        pub const Value = V;

        /// Emits a record.
        pub inline fn emit(self: *Self, key: anytype, value: anytype) void {
            codec.write(K, &self.keys, key);
            self.endRecord(value);
        }

        /// Emits a count that may be added up with others of the key, here or later: for jobs whose
        /// combiner and reducer are `mr.Sum`. A table of fixed size, made for the cache, catches
        /// most repetitions; a key that finds its slot taken sends that one on.
        pub inline fn sum(self: *Self, key: []const u8, value: u64) void {
            if (V != u64 or (K != codec.Text and K != codec.Bytes)) @compileError("sum is for keys of type Text and values of type u64");
            @setRuntimeSafety(false);
            if (key.len > short_key) return self.emit(key, value);
            const table = self.table orelse self.makeTable();
            var slot = Slot.of(key);
            const at = &table[slot.place()];
            if (at.is(slot)) {
                at.value = add(at.value, value);
                return;
            }
            if (at.words[2] != 0) self.emitSlot(at);
            slot.value = value;
            at.* = slot;
        }

        fn makeTable(self: *Self) *[1 << slots_log2]Slot {
            @branchHint(.cold);
            const table = host.allocator.create([1 << slots_log2]Slot) catch @panic("out of memory");
            @memset(table, .{});
            self.table = table;
            return table;
        }

        inline fn emitSlot(self: *Self, slot: *const Slot) void {
            @setRuntimeSafety(false);
            self.keys.reserve(24);
            self.keys.ptr[self.keys.len..][0..24].* = @bitCast(slot.words);
            self.keys.len += @intCast((slot.words[2] >> 56) - 1);
            self.endRecord(slot.value);
        }

        inline fn endRecord(self: *Self, value: anytype) void {
            codec.write(V, &self.values, value);
            endCell(K, &self.keys, &self.key_ends);
            endCell(V, &self.values, &self.value_ends);
            self.rows += 1;
            // Empty records fill no bytes, so rows are bounded too.
            if (self.keys.len + self.values.len >= self.batch_bytes or self.rows >= self.batch_bytes) self.send();
        }

        pub fn open(self: *Self, batch_bytes: u32) void {
            self.batch_bytes = @min(@max(batch_bytes, 1), batch_bytes_max);
        }

        noinline fn send(self: *Self) void {
            if (self.rows == 0) return;
            host.emit(self.port, .{
                .rows = self.rows,
                .keys = column(K, &self.keys, &self.key_ends),
                .values = column(V, &self.values, &self.value_ends),
            });
            self.clear();
        }

        /// Forgets what is still here.
        pub fn clear(self: *Self) void {
            self.rows = 0;
            for ([_]*Buffer{ &self.keys, &self.key_ends, &self.values, &self.value_ends }) |buffer| buffer.clear();
        }

        /// Sends on everything that is still here.
        pub fn flush(self: *Self) void {
            if (V == u64) if (self.table) |table| for (table) |*slot| {
                if (slot.words[2] != 0) self.emitSlot(slot);
                slot.* = .{};
            };
            self.send();
        }
    };
}

/// Columns of a fixed width need no ends.
inline fn endCell(comptime T: type, data: *const Buffer, ends: *Buffer) void {
    if (comptime codec.width(T) == null) {
        const end: u32 = @truncate(data.len);
        ends.append(std.mem.asBytes(&end));
    }
}

fn column(comptime T: type, data: *const Buffer, ends: *const Buffer) host.Column {
    return .{ .width = @intCast(comptime codec.width(T) orelse 0), .ends = ends.items(), .data = data.items() };
}

/// A key of up to 23 bytes: its bytes in memory order, zeros, and in the topmost byte its length
/// plus one, so that no key is all zeros.
const Slot = struct {
    words: [3]u64 = @splat(0),
    value: u64 = 0,

    inline fn of(key: []const u8) Slot {
        @setRuntimeSafety(false);
        var slot: Slot = .{};
        const from = @intFromPtr(key.ptr);
        const begin = @intFromPtr(batch.ptr);
        if (from >= begin and from + 24 <= begin + batch.len) {
            // Whole words are loaded, and what is behind the key is masked out.
            slot.words = @bitCast(key.ptr[0..24].*);
            inline for (0..3) |i| slot.words[i] &= mask(key.len -| i * 8);
        } else {
            @memcpy(std.mem.asBytes(&slot.words)[0..key.len], key);
        }
        slot.words[2] |= (@as(u64, key.len) + 1) << 56;
        return slot;
    }

    inline fn is(self: *const Slot, other: Slot) bool {
        return (self.words[0] ^ other.words[0]) | (self.words[1] ^ other.words[1]) | (self.words[2] ^ other.words[2]) == 0;
    }

    inline fn place(self: *const Slot) usize {
        const a, const b, const c = self.words;
        var mixed = a *% 0x9e3779b97f4a7c15 ^ b *% 0xc2b2ae3d27d4eb4f ^ c *% 0x165667b19e3779f9;
        mixed ^= mixed >> 32;
        return @intCast((mixed *% 0x9e3779b97f4a7c15) >> (64 - slots_log2));
    }
};

/// The bits of the first `bytes` bytes of a word.
inline fn mask(bytes: usize) u64 {
    if (bytes >= 8) return ~@as(u64, 0);
    return ~(~@as(u64, 0) << @intCast(bytes * 8));
}
