//! What the plugin is working on, so that an error, a reject and a panic name their record; and the
//! three kinds of errors.

const std = @import("std");
const host = @import("host.zig");
const Buffer = @import("buffer.zig").Buffer;

/// Errors that a role may give: made by `invalid` and its kin. Any other error is one of invalid
/// input, or fatal in `setup`, with its name as the message.
pub const Error = error{ Invalid, Transient, Fatal };

pub const Doing = enum { nothing, line, chunk, record, combining, reducing, partitioning };

pub var doing: Doing = .nothing;
pub var row: u32 = 0;
pub var offset: u64 = 0;
pub var key: []const u8 = "";
pub var value: []const u8 = "";
/// The message of the last error that was made.
pub var message: Buffer = .{};

const sample_bytes_max = 256;

/// The input cannot be processed: no other attempt would do better. Meant to be returned.
pub fn invalid(comptime format: []const u8, args: anytype) Error {
    return fail(error.Invalid, format, args);
}

/// Worth another attempt, perhaps on another machine.
pub fn transient(comptime format: []const u8, args: anytype) Error {
    return fail(error.Transient, format, args);
}

/// Fails the job at once: a parameter makes no sense, for example.
pub fn fatal(comptime format: []const u8, args: anytype) Error {
    return fail(error.Fatal, format, args);
}

fn fail(kind: Error, comptime format: []const u8, args: anytype) Error {
    @branchHint(.cold);
    message.clear();
    message.print(format, args);
    return kind;
}

/// Appends what is being done: `; while mapping the line at byte 17: "..."`.
pub fn describe(buffer: *Buffer) void {
    @branchHint(.cold);
    switch (doing) {
        .nothing => {},
        .line => {
            buffer.print("; while mapping the line at byte {d}: ", .{offset});
            sample(buffer, key);
        },
        .chunk => buffer.print("; while mapping the {d} bytes at byte {d}", .{ key.len, offset }),
        .record => {
            buffer.append("; while mapping the record with key ");
            sample(buffer, key);
            buffer.append(" and value ");
            sample(buffer, value);
        },
        .combining, .reducing, .partitioning => {
            buffer.print("; while {s} the key ", .{if (doing == .partitioning) "choosing the partition of" else @tagName(doing)});
            sample(buffer, key);
        },
    }
}

fn sample(buffer: *Buffer, bytes: []const u8) void {
    const shown = bytes[0..@min(bytes.len, sample_bytes_max)];
    buffer.append("\"");
    for (shown) |byte| switch (byte) {
        '"', '\\' => buffer.append(&.{ '\\', byte }),
        32...33, 35...91, 93...126 => buffer.append(&.{byte}),
        else => buffer.print("\\x{x:0>2}", .{byte}),
    };
    buffer.append("\"");
    if (shown.len < bytes.len) buffer.print(" and {d} bytes more", .{bytes.len - shown.len});
}

var panicking = false;

/// A panic is a trap, and a trap has no words: they go to the log ahead of it, with the record.
pub fn panic(why: []const u8, _: ?usize) noreturn {
    if (!panicking) {
        panicking = true;
        var text: Buffer = .{};
        text.append("panicked: ");
        text.append(why);
        describe(&text);
        host.log(@intFromEnum(host.Level.err), text.items());
    }
    @trap();
}
