//! Bytes that grow. Must not fail: a plugin that is out of memory ends here.

const std = @import("std");
const host = @import("host.zig");

pub const Buffer = struct {
    ptr: [*]u8 = undefined,
    len: usize = 0,
    room: usize = 0,

    pub inline fn items(self: *const Buffer) []u8 {
        return self.ptr[0..self.len];
    }

    pub inline fn clear(self: *Buffer) void {
        self.len = 0;
    }

    /// Room for `more` bytes behind what there is.
    pub inline fn reserve(self: *Buffer, more: usize) void {
        if (self.room - self.len < more) self.grow(more);
    }

    pub inline fn append(self: *Buffer, bytes: []const u8) void {
        self.reserve(bytes.len);
        @memcpy(self.ptr[self.len..][0..bytes.len], bytes);
        self.len += bytes.len;
    }

    fn grow(self: *Buffer, more: usize) void {
        @branchHint(.cold);
        const room = @max(self.room * 2, self.len + more, 64);
        const old = self.ptr[0..self.room];
        const new = if (self.room == 0) host.allocator.alloc(u8, room) else host.allocator.realloc(old, room);
        self.ptr = (new catch @panic("out of memory")).ptr;
        self.room = room;
    }

    pub fn print(self: *Buffer, comptime format: []const u8, args: anytype) void {
        var small: [512]u8 = undefined;
        const text = std.fmt.bufPrint(&small, format, args) catch {
            const long = std.fmt.allocPrint(host.allocator, format, args) catch @panic("out of memory");
            defer host.allocator.free(long);
            return self.append(long);
        };
        self.append(text);
    }

    pub fn free(self: *Buffer) void {
        if (self.room > 0) host.allocator.free(self.ptr[0..self.room]);
        self.* = .{};
    }
};
