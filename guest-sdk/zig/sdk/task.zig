//! What `setup` is told, and what every role may say besides its records.

const std = @import("std");
const current = @import("current.zig");
const host = @import("host.zig");
const Buffer = @import("buffer.zig").Buffer;
const Out = @import("out.zig").Out;

const counters_max = 64;

/// The task that a role is set up for.
pub const Task = struct {
    job: []const u8,
    number: u32,
    attempt: u32,
    partitions: u32,
    /// Equal for all attempts of a task.
    seed: u64,

    /// A parameter, where it is set or has a default: as text, or as the number or bool asked for.
    pub fn param(_: Task, comptime T: type, name: []const u8) !?T {
        const text = host.param(name) orelse return null;
        return switch (@typeInfo(T)) {
            .pointer => text,
            .int => std.fmt.parseInt(T, text, 10) catch return current.fatal("parameter {s} = {s} is not a number", .{ name, text }),
            .float => std.fmt.parseFloat(T, text) catch return current.fatal("parameter {s} = {s} is not a number", .{ name, text }),
            .bool => if (std.mem.eql(u8, text, "true")) true else if (std.mem.eql(u8, text, "false")) false else return current.fatal("parameter {s} = {s} is neither true nor false", .{ name, text }),
            else => @compileError("parameters are []const u8, integers, floats or bool"),
        };
    }

    /// A parameter that is required or has a default.
    pub fn required(self: Task, comptime T: type, name: []const u8) !T {
        return try self.param(T, name) orelse current.fatal("parameter {s} is not set", .{name});
    }

    /// Opens a named output, a `mr.Port` that the role lists in `outputs`.
    pub fn output(_: Task, comptime P: type) !*Out(P.Key, P.Value) {
        return P.opened();
    }

    /// A whole file that was shipped with the job.
    pub fn sideInput(_: Task, name: []const u8) ![]const u8 {
        const part = 1 << 20;
        const bytes = host.sideInputBytes(name) orelse return current.fatal("the job has no side input {s}", .{name});
        var all: Buffer = .{};
        var at: u64 = 0;
        while (at < bytes) : (at += part) {
            const mark = host.mark();
            defer host.release(mark);
            all.append(host.sideInputRead(name, at, part));
        }
        return all.items();
    }
};

var counters: [counters_max]host.Delta = undefined;
var counters_len: usize = 0;

/// Adds to a counter of the job. The name has to stay, as a literal does.
pub fn count(name: []const u8, delta: i64) void {
    for (counters[0..counters_len]) |*counter| {
        if (counter.name.ptr == name.ptr or std.mem.eql(u8, counter.slice(), name)) {
            counter.delta += delta;
            return;
        }
    }
    if (counters_len == counters_max) @panic("more than 64 counters");
    counters[counters_len] = .{ .name = .{ .ptr = name.ptr, .len = name.len }, .delta = delta };
    counters_len += 1;
}

/// Sends what was counted since the last time.
pub fn sendCounters() void {
    var deltas: [counters_max]host.Delta = undefined;
    var len: usize = 0;
    for (counters[0..counters_len]) |*counter| {
        if (counter.delta == 0) continue;
        deltas[len] = counter.*;
        len += 1;
        counter.delta = 0;
    }
    if (len > 0) host.addCounters(deltas[0..len]);
}

/// Writes a line to the attempt's log, which the engine keeps within limits.
pub fn log(level: host.Level, comptime format: []const u8, args: anytype) void {
    var text: Buffer = .{};
    defer text.free();
    text.print(format, args);
    host.log(@intFromEnum(level), text.items());
}

/// Gives up on the record (or group) in hand and goes on: it lands in the job's rejects with the
/// reason, and the job fails once it has too many. Return after it.
pub fn reject(comptime format: []const u8, args: anytype) void {
    if (current.doing == .nothing) @panic("rejected outside of any record");
    var text: Buffer = .{};
    defer text.free();
    text.print(format, args);
    current.describe(&text);
    host.reject(current.row, text.items());
}
