//! What the engine offers: its imports in WebAssembly, a double of it in native tests.
//!
//! The types are those of wit/engine.wit as the canonical ABI lays them out; no generator exists
//! for Zig. Lists that the engine hands in lie in frames (see frames.zig) until the call ends.

const std = @import("std");
const builtin = @import("builtin");
const double = @import("testing.zig");
const frames = @import("frames.zig");

pub const is_wasm = builtin.cpu.arch.isWasm();
pub const allocator = if (is_wasm) std.heap.wasm_allocator else std.heap.page_allocator;

pub const Level = enum(u8) { trace, debug, info, warn, err };

/// A column: cells end to end (see the interface).
pub const Column = struct { width: u32, ends: []const u8, data: []const u8 };
pub const Batch = struct { rows: u32, keys: Column, values: Column };
pub const Part = struct { rows: u32, cells: Column };

pub const String = extern struct { ptr: [*]const u8, len: usize };
pub const Delta = extern struct {
    name: String,
    delta: i64,

    pub fn slice(self: Delta) []const u8 {
        return self.name.ptr[0..self.name.len];
    }
};

pub const Mark = frames.Mark;
pub const mark = frames.mark;
pub const release = frames.release;

const imports = struct {
    extern "mr:engine/output@0.1.0" fn emit(port: u32, rows: u32, kw: u32, ke: [*]const u8, ken: usize, kd: [*]const u8, kdn: usize, vw: u32, ve: [*]const u8, ven: usize, vd: [*]const u8, vdn: usize) void;
    extern "mr:engine/output@0.1.0" fn reject(row: u32, reason: [*]const u8, len: usize) void;
    extern "mr:engine/group-values@0.1.0" fn next(ret: *Next) void;
    extern "mr:engine/config@0.1.0" fn get(key: [*]const u8, len: usize, ret: *Get) void;
    extern "mr:engine/counters@0.1.0" fn add(deltas: [*]const Delta, len: usize) void;
    extern "mr:engine/logging@0.1.0" fn log(level: u32, message: [*]const u8, len: usize) void;
    extern "mr:engine/side-input@0.1.0" fn size(name: [*]const u8, len: usize, ret: *Size) void;
    extern "mr:engine/side-input@0.1.0" fn read(name: [*]const u8, len: usize, offset: u64, bytes: u32, ret: *String) void;

    const Next = extern struct { some: u8, rows: u32, width: u32, ends: String, data: String };
    const Get = extern struct { some: u8, text: String };
    const Size = extern struct { some: u8, bytes: u64 };
};

pub fn emit(port: u32, batch: Batch) void {
    if (!is_wasm) return double.emit(port, batch);
    const k = batch.keys;
    const v = batch.values;
    imports.emit(port, batch.rows, k.width, k.ends.ptr, k.ends.len, k.data.ptr, k.data.len, v.width, v.ends.ptr, v.ends.len, v.data.ptr, v.data.len);
}

pub fn reject(row: u32, reason: []const u8) void {
    if (!is_wasm) return double.reject();
    imports.reject(row, reason.ptr, reason.len);
}

pub fn nextValues() ?Part {
    if (!is_wasm) return double.nextValues();
    var ret: imports.Next = undefined;
    imports.next(&ret);
    if (ret.some == 0) return null;
    return .{ .rows = ret.rows, .cells = .{ .width = ret.width, .ends = ret.ends.ptr[0..ret.ends.len], .data = ret.data.ptr[0..ret.data.len] } };
}

/// A parameter, in memory that stays.
pub fn param(name: []const u8) ?[]const u8 {
    if (!is_wasm) return double.param(name);
    var ret: imports.Get = undefined;
    imports.get(name.ptr, name.len, &ret);
    if (ret.some == 0) return null;
    return allocator.dupe(u8, ret.text.ptr[0..ret.text.len]) catch @panic("out of memory");
}

pub fn addCounters(deltas: []const Delta) void {
    if (!is_wasm) return double.addCounters(deltas);
    imports.add(deltas.ptr, deltas.len);
}

pub fn log(level: u8, message: []const u8) void {
    if (!is_wasm) return std.debug.print("{s}\n", .{message});
    imports.log(level, message.ptr, message.len);
}

pub fn sideInputBytes(name: []const u8) ?u64 {
    if (!is_wasm) return if (double.sideInput(name)) |file| file.len else null;
    var ret: imports.Size = undefined;
    imports.size(name.ptr, name.len, &ret);
    return if (ret.some == 0) null else ret.bytes;
}

/// Up to `len` bytes, which lie in a frame.
pub fn sideInputRead(name: []const u8, offset: u64, len: u32) []const u8 {
    if (!is_wasm) {
        const file = double.sideInput(name).?;
        const from: usize = @intCast(@min(offset, file.len));
        return file[from..@min(from + len, file.len)];
    }
    var ret: String = undefined;
    imports.read(name.ptr, name.len, offset, len, &ret);
    return ret.ptr[0..ret.len];
}
