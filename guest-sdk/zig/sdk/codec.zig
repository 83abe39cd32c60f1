//! Types of keys and values: their names, and how cells of them are written and read
//! (wit/ENCODING.md of the engine).
//!
//! `Text`, `Bytes`, `u64`, `i64`, `f64`, `bool`, `void`, and `Tuple(.{ ... })` and `Desc(T)` of these.

const std = @import("std");
const Buffer = @import("buffer.zig").Buffer;

/// Text, read as bytes: UTF-8 by intention, never checked.
pub const Text = struct {
    pub const mr_name = "text";
};

/// Bytes.
pub const Bytes = struct {
    pub const mr_name = "bytes";
};

/// A tuple of types: `Tuple(.{ Text, u64 })`.
pub fn Tuple(comptime types: anytype) type {
    return struct {
        pub const mr_elements = types;
    };
}

/// A type that sorts the other way round, the greatest first: `Desc(u64)`. Its values are those of `T`.
pub fn Desc(comptime T: type) type {
    return struct {
        pub const mr_desc = T;
    };
}

pub const Malformed = error{Malformed};

fn isTuple(comptime T: type) bool {
    return @typeInfo(T) == .@"struct" and @hasDecl(T, "mr_elements");
}

fn isDesc(comptime T: type) bool {
    return @typeInfo(T) == .@"struct" and @hasDecl(T, "mr_desc");
}

/// How often bytes of a cell are flipped to read it, at most.
fn flips(comptime T: type) usize {
    if (comptime isDesc(T)) return 1 + comptime flips(T.mr_desc);
    var sum: usize = 0;
    if (comptime isTuple(T)) inline for (T.mr_elements) |Element| {
        sum += comptime flips(Element);
    };
    return sum;
}

fn isString(comptime T: type) bool {
    return T == Text or T == Bytes;
}

/// Name of a type in attributes.
pub fn name(comptime T: type) []const u8 {
    if (comptime isTuple(T)) {
        comptime var text: []const u8 = "tuple<";
        inline for (T.mr_elements, 0..) |Element, i| text = text ++ (if (i > 0) "," else "") ++ comptime name(Element);
        return text ++ ">";
    }
    if (comptime isDesc(T)) return "desc<" ++ comptime name(T.mr_desc) ++ ">";
    return switch (T) {
        Text, Bytes => T.mr_name,
        u64 => "u64",
        i64 => "s64",
        f64 => "f64",
        bool => "bool",
        void => "unit",
        else => @compileError(@typeName(T) ++ " is not a type of keys and values: use Text, Bytes, u64, i64, f64, bool, void, Tuple or Desc"),
    };
}

/// Bytes of every cell, where all have the same.
pub fn width(comptime T: type) ?usize {
    if (comptime isTuple(T)) {
        var sum: usize = 0;
        inline for (T.mr_elements) |Element| sum += (comptime width(Element)) orelse return null;
        return sum;
    }
    if (comptime isDesc(T)) return comptime width(T.mr_desc);
    return switch (T) {
        Text, Bytes => null,
        bool => 1,
        void => 0,
        else => 8,
    };
}

/// What a plugin reads for a type.
pub fn View(comptime T: type) type {
    if (comptime isTuple(T)) {
        comptime var views: [T.mr_elements.len]type = undefined;
        inline for (T.mr_elements, 0..) |Element, i| views[i] = View(Element);
        const done = views;
        return @Tuple(&done);
    }
    if (comptime isDesc(T)) return View(T.mr_desc);
    return if (comptime isString(T)) []const u8 else T;
}

const sign: u64 = 1 << 63;

/// Appends a value as a whole cell.
pub inline fn write(comptime T: type, buffer: *Buffer, value: anytype) void {
    if (comptime isString(T)) buffer.append(value) else put(T, buffer, value);
}

/// Appends a value as an element of a tuple.
pub fn put(comptime T: type, buffer: *Buffer, value: anytype) void {
    if (comptime isTuple(T)) {
        inline for (T.mr_elements, 0..) |Element, i| put(Element, buffer, value[i]);
        return;
    }
    if (comptime isDesc(T)) {
        const start = buffer.len;
        put(T.mr_desc, buffer, value);
        flip(buffer.items()[start..]);
        return;
    }
    switch (T) {
        Text, Bytes => putString(buffer, value),
        u64 => putBits(buffer, value),
        i64 => putBits(buffer, @as(u64, @bitCast(@as(i64, value))) ^ sign),
        f64 => {
            const x: f64 = value;
            // The sign and payload of a computed NaN differ between machines; output must not.
            const bits: u64 = if (x != x) 0x7ff8 << 48 else @bitCast(x);
            putBits(buffer, if (bits & sign != 0) ~bits else bits | sign);
        },
        bool => buffer.append(&.{@intFromBool(value)}),
        void => {},
        else => _ = comptime name(T),
    }
}

fn flip(bytes: []u8) void {
    for (bytes) |*byte| byte.* = ~byte.*;
}

inline fn putBits(buffer: *Buffer, bits: u64) void {
    var bytes: [8]u8 = undefined;
    std.mem.writeInt(u64, &bytes, bits, .big);
    buffer.append(&bytes);
}

/// 00 becomes 00 FF, 00 00 ends it.
fn putString(buffer: *Buffer, text: []const u8) void {
    var rest = text;
    while (std.mem.indexOfScalar(u8, rest, 0)) |zero| {
        buffer.append(rest[0 .. zero + 1]);
        buffer.append(&.{0xff});
        rest = rest[zero + 1 ..];
    }
    buffer.append(rest);
    buffer.append(&.{ 0, 0 });
}

/// Reads a whole cell. Text that had to be unescaped lies in `scratch`.
pub inline fn read(comptime T: type, cell: []const u8, scratch: *Buffer) Malformed!View(T) {
    if (comptime isString(T)) return cell;
    scratch.clear();
    // No growth while it is read: elements point into it.
    if (comptime isTuple(T) or isDesc(T)) scratch.reserve(cell.len * (1 + comptime flips(T)));
    var rest = cell;
    const value = try get(T, &rest, scratch);
    return if (rest.len == 0) value else error.Malformed;
}

/// Bytes of the element that a cell begins with.
pub fn size(comptime T: type, cell: []const u8, scratch: *Buffer) Malformed!usize {
    scratch.clear();
    scratch.reserve(cell.len * (1 + comptime flips(T)));
    var rest = cell;
    _ = try get(T, &rest, scratch);
    return cell.len - rest.len;
}

/// Reads an element off the front of `rest`.
fn get(comptime T: type, rest: *[]const u8, scratch: *Buffer) Malformed!View(T) {
    if (comptime isTuple(T)) {
        var view: View(T) = undefined;
        inline for (T.mr_elements, 0..) |Element, i| view[i] = try get(Element, rest, scratch);
        return view;
    }
    if (comptime isDesc(T)) {
        const start = scratch.len;
        scratch.append(rest.*);
        flip(scratch.items()[start..]);
        var inner: []const u8 = scratch.items()[start..];
        const value = try get(T.mr_desc, &inner, scratch);
        rest.* = rest.*[rest.len - inner.len ..];
        return value;
    }
    switch (T) {
        Text, Bytes => return getString(rest, scratch),
        u64 => return getBits(rest),
        i64 => return @bitCast(try getBits(rest) ^ sign),
        f64 => {
            const bits = try getBits(rest);
            return @bitCast(if (bits & sign != 0) bits ^ sign else ~bits);
        },
        bool => {
            if (rest.len < 1 or rest.*[0] > 1) return error.Malformed;
            defer rest.* = rest.*[1..];
            return rest.*[0] == 1;
        },
        void => return,
        else => _ = comptime name(T),
    }
}

inline fn getBits(rest: *[]const u8) Malformed!u64 {
    if (rest.len < 8) return error.Malformed;
    defer rest.* = rest.*[8..];
    return std.mem.readInt(u64, rest.*[0..8], .big);
}

fn getString(rest: *[]const u8, scratch: *Buffer) Malformed![]const u8 {
    const all = rest.*;
    const begin = scratch.len;
    var from: usize = 0;
    while (true) {
        const zero = std.mem.indexOfScalarPos(u8, all, from, 0) orelse return error.Malformed;
        if (zero + 1 == all.len) return error.Malformed;
        switch (all[zero + 1]) {
            0 => {
                rest.* = all[zero + 2 ..];
                if (from == 0) return all[0..zero];
                scratch.append(all[from..zero]);
                return scratch.items()[begin..];
            },
            0xff => scratch.append(all[from .. zero + 1]),
            else => return error.Malformed,
        }
        from = zero + 2;
    }
}
