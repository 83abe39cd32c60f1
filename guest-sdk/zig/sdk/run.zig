//! Runs roles over batches: what the exported functions do, in the sandbox and in native tests.

const std = @import("std");
const codec = @import("codec.zig");
const current = @import("current.zig");
const describe = @import("describe.zig");
const host = @import("host.zig");
const input = @import("input.zig");
const out = @import("out.zig");
const port = @import("port.zig");
const task = @import("task.zig");
const Buffer = @import("buffer.zig").Buffer;
const Task = task.Task;

pub const Grouped = struct { groups: u32, keys: host.Column, ends: []const u8, rows: u32, values: host.Column, more: bool };

/// How an error is answered by the engine.
pub const Kind = enum(u8) { invalid_input, transient, fatal };
pub const Failure = struct { kind: Kind, message: []const u8, row: ?u32 };

var answer: Buffer = .{};
var scratch: Buffer = .{};

/// Ends a call: counters are sent, and an error gets its kind, message and place.
fn end(result: anyerror!void, otherwise: Kind) ?Failure {
    task.sendCounters();
    defer current.doing = .nothing;
    const failed = if (result) |_| return null else |why| why;
    answer.clear();
    const kind: Kind = switch (failed) {
        error.Invalid => .invalid_input,
        error.Transient => .transient,
        error.Fatal => .fatal,
        else => otherwise,
    };
    answer.append(switch (failed) {
        error.Invalid, error.Transient, error.Fatal => current.message.items(),
        else => @errorName(failed),
    });
    current.describe(&answer);
    return .{ .kind = kind, .message = answer.items(), .row = if (current.doing == .nothing) null else current.row };
}

/// One instance serves one role at a time, and may be opened again.
fn State(comptime Role: type, comptime Out: type) type {
    return struct {
        var role: Role = undefined;
        var to: Out = .{};

        fn open(about: Task, batch_bytes: u32, outputs: []const host.String) ?Failure {
            to.open(batch_bytes);
            inline for (comptime port.of(Role)) |P| P.open(outputs, batch_bytes);
            return end(setup(Role, &role, about), .fatal);
        }

        fn close() ?Failure {
            const result: anyerror!void = if (@hasDecl(Role, "finish")) role.finish(&to) else {};
            if (result) |_| {
                to.flush();
                inline for (comptime port.of(Role)) |P| P.close();
            } else |_| {}
            return end(result, .invalid_input);
        }
    };
}

/// A role with a `setup` is made by it: `pub fn setup(task: mr.Task) !@This()`.
fn setup(comptime Role: type, role: *Role, about: Task) anyerror!void {
    role.* = if (@hasDecl(Role, "setup")) try Role.setup(about) else .{};
}

pub fn Mapper(comptime Role: type) type {
    const types = describe.Map(Role);
    return struct {
        const state = State(Role, types.Out);
        pub const open = state.open;
        pub const close = state.close;

        pub fn work(batch: host.Batch) ?Failure {
            out.batch = batch.values.data;
            defer out.batch = "";
            return end(rows(batch), .invalid_input);
        }

        fn rows(batch: host.Batch) anyerror!void {
            for (0..batch.rows) |row| {
                current.row = @intCast(row);
                try one(input.cell(batch.keys, row), input.cell(batch.values, row));
            }
        }

        fn one(key: []const u8, value: []const u8) anyerror!void {
            current.doing = .record;
            current.key = key;
            current.value = value;
            if (!types.is_text) {
                const K = types.Input.mr_key;
                const V = types.Input.mr_value;
                const malformed = "the record is not of the types {s} and {s}";
                const names = .{ comptime codec.name(K), comptime codec.name(V) };
                // Both may need room to be unescaped.
                var second: Buffer = .{};
                defer second.free();
                const k = codec.read(K, key, &scratch) catch return current.invalid(malformed, names);
                const v = codec.read(V, value, &second) catch return current.invalid(malformed, names);
                return state.role.map(.{ .key = k, .value = v }, &state.to);
            }
            const not_place = "the key of a row of text is not its place";
            if (types.Input == input.FileLine) {
                const path, const offset = codec.read(codec.Tuple(.{ codec.Text, u64 }), key, &scratch) catch return current.invalid(not_place, .{});
                return lines(value, offset, path);
            }
            const offset = codec.read(u64, key, &scratch) catch return current.invalid(not_place, .{});
            if (types.Input == input.Line) return lines(value, offset, "");
            current.doing = .chunk;
            current.offset = offset;
            current.key = value;
            return state.role.map(.{ .text = value, .offset = offset }, &state.to);
        }

        /// The lines of a row: an empty row is an empty line.
        fn lines(text: []const u8, offset: u64, path: []const u8) anyerror!void {
            current.doing = .line;
            var from: usize = 0;
            while (true) {
                const to = std.mem.indexOfScalarPos(u8, text, from, '\n') orelse text.len;
                current.offset = offset + from;
                current.key = text[from..to];
                try state.role.map(if (types.Input == input.FileLine)
                    .{ .text = current.key, .offset = current.offset, .path = path }
                else
                    .{ .text = current.key, .offset = current.offset }, &state.to);
                from = to + 1;
                if (from >= text.len) return;
            }
        }
    };
}

pub fn Reducer(comptime Role: type, comptime combining: bool) type {
    const types = describe.Reduce(Role);
    return struct {
        const state = State(Role, types.Out);
        pub const open = state.open;
        pub const close = state.close;

        pub fn work(batch: Grouped) ?Failure {
            const result = groups(batch);
            // All output of a combiner leaves before it returns: the next batch may be of another run.
            if (combining) if (result) |_| state.to.flush() else |_| {};
            return end(result, .invalid_input);
        }

        fn groups(batch: Grouped) anyerror!void {
            current.doing = if (combining) .combining else .reducing;
            var key_scratch: Buffer = .{};
            defer key_scratch.free();
            var from: usize = 0;
            for (0..batch.groups) |group| {
                const to = input.endAt(batch.ends, group);
                current.row = @intCast(group);
                current.key = input.cell(batch.keys, group);
                const key = codec.read(types.InKey, current.key, &key_scratch) catch
                    return current.invalid("the key is not of type {s}", .{comptime codec.name(types.InKey)});
                var values: input.Values(types.InValue) = .{
                    .cells = batch.values,
                    .at = from,
                    .end = to,
                    .more = batch.more and group + 1 == batch.groups,
                    .scratch = &scratch,
                };
                try state.role.reduce(key, &values, &state.to);
                values.finish();
                from = to;
            }
        }
    };
}

/// A partitioner: `pub const Key = mr.Text; pub fn partition(self, key, partitions: u32) !u32`.
pub fn Partitioner(comptime Role: type) type {
    return struct {
        var role: Role = undefined;
        var partitions: u32 = 0;
        pub var chosen: Buffer = .{};

        pub fn open(about: Task, _: u32, _: []const host.String) ?Failure {
            partitions = about.partitions;
            return end(setup(Role, &role, about), .fatal);
        }

        pub fn work(rows: u32, keys: host.Column) ?Failure {
            chosen.clear();
            return end(each(rows, keys), .invalid_input);
        }

        fn each(rows: u32, keys: host.Column) anyerror!void {
            current.doing = .partitioning;
            for (0..rows) |row| {
                current.row = @intCast(row);
                current.key = input.cell(keys, row);
                const key = codec.read(Role.Key, current.key, &scratch) catch
                    return current.invalid("the key is not of type {s}", .{comptime codec.name(Role.Key)});
                const partition: u32 = try role.partition(key, partitions);
                if (partition >= partitions) return current.fatal("partition {d} of {d}", .{ partition, partitions });
                chosen.append(std.mem.asBytes(&partition));
            }
        }
    };
}
