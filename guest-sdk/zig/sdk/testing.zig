//! A native double of the engine, for tests of a plugin without it:
//!
//!     test "words are counted" {
//!         var run: mr.Test = .{};
//!         try run.job(@This(), "to be or not to be\n");
//!         try run.expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
//!     }
//!
//! It runs the plugin's roles in small batches, with long groups in parts, on one thread.

const std = @import("std");
const codec = @import("codec.zig");
const describe = @import("describe.zig");
const host = @import("host.zig");
const input = @import("input.zig");
const port = @import("port.zig");
const roles = @import("run.zig");
const Buffer = @import("buffer.zig").Buffer;

/// Rows in a batch, values in a part of a group.
const batch_rows = 3;
const out_bytes = 200;
const named_max = 32;
const outputs_max = 16;

const Record = struct { key: []const u8, value: []const u8 };
const Records = struct {
    all: []Record = &.{},
    len: usize = 0,

    fn add(self: *Records, record: Record) void {
        if (self.len == self.all.len) self.all = host.allocator.realloc(self.all, self.len * 2 + 16) catch @panic("out of memory");
        self.all[self.len] = record;
        self.len += 1;
    }

    fn items(self: *const Records) []Record {
        return self.all[0..self.len];
    }
};
const Named = struct { name: []const u8, text: []const u8 = "", sum: i64 = 0 };

var emitted: Records = .{};
/// What was emitted to the named outputs of the role that ran last, in their order.
var named: [outputs_max]Records = @splat(.{});
var params: [named_max]Named = undefined;
var params_len: usize = 0;
var side_inputs: [named_max]Named = undefined;
var side_inputs_len: usize = 0;
var counters: [named_max]Named = undefined;
var counters_len: usize = 0;
var rejects: u32 = 0;
var rest: []const Record = &.{};

fn copy(bytes: []const u8) []const u8 {
    return host.allocator.dupe(u8, bytes) catch @panic("out of memory");
}

pub fn emit(at: u32, batch: host.Batch) void {
    const to = if (at == 0) &emitted else &named[at - 1];
    for (0..batch.rows) |row| to.add(.{ .key = copy(input.cell(batch.keys, row)), .value = copy(input.cell(batch.values, row)) });
}

pub fn reject() void {
    rejects += 1;
}

pub fn nextValues() ?host.Part {
    if (rest.len == 0) return null;
    const part = rest[0..@min(rest.len, batch_rows)];
    rest = rest[part.len..];
    return .{ .rows = @intCast(part.len), .cells = pack(part, "value") };
}

fn find(all: []Named, name: []const u8) ?*Named {
    for (all) |*one| if (std.mem.eql(u8, one.name, name)) return one;
    return null;
}

pub fn param(name: []const u8) ?[]const u8 {
    return if (find(params[0..params_len], name)) |set| set.text else null;
}

pub fn sideInput(name: []const u8) ?[]const u8 {
    return if (find(side_inputs[0..side_inputs_len], name)) |file| file.text else null;
}

pub fn addCounters(deltas: []const host.Delta) void {
    for (deltas) |delta| {
        const counter = find(counters[0..counters_len], delta.slice()) orelse blk: {
            counters[counters_len] = .{ .name = delta.slice() };
            counters_len += 1;
            break :blk &counters[counters_len - 1];
        };
        counter.sum += delta.delta;
    }
}

fn pack(records: []const Record, comptime side: []const u8) host.Column {
    var data: Buffer = .{};
    var ends: Buffer = .{};
    for (records) |record| {
        data.append(@field(record, side));
        const to: u32 = @intCast(data.len);
        ends.append(std.mem.asBytes(&to));
    }
    return .{ .width = 0, .ends = ends.items(), .data = data.items() };
}

/// A run of a plugin's roles. Start a test with `var run: mr.Test = .{};`
pub const Test = struct {
    started: bool = false,
    text: Buffer = .{},
    /// The message of the last run, if it failed.
    failure: []const u8 = "",
    render: *const fn (*Buffer, []const Record) void = undefined,
    outputs: []const Output = &.{},

    fn start(self: *Test) void {
        if (self.started) return;
        self.started = true;
        emitted = .{};
        params_len = 0;
        side_inputs_len = 0;
        counters_len = 0;
        rejects = 0;
    }

    /// Sets a parameter.
    pub fn param(self: *Test, name: []const u8, value: []const u8) void {
        self.start();
        params[params_len] = .{ .name = name, .text = value };
        params_len += 1;
    }

    /// Ships a file.
    pub fn sideInput(self: *Test, name: []const u8, bytes: []const u8) void {
        self.start();
        side_inputs[side_inputs_len] = .{ .name = name, .text = bytes };
        side_inputs_len += 1;
    }

    /// Maps the lines of a text, as a job without reducers does.
    pub fn map(self: *Test, comptime user: type, text: []const u8) !void {
        try self.mapLines(user, text, true);
    }

    fn mapLines(self: *Test, comptime user: type, text: []const u8, last: bool) !void {
        self.start();
        const Driver = roles.Mapper(user.mapper);
        try self.open(Driver, user.mapper, describe.Map(user.mapper).Out, last);
        var from: usize = 0;
        while (from < text.len) {
            var to = from;
            var lines: usize = 0;
            while (to < text.len and lines < batch_rows) : (to += 1) lines += @intFromBool(text[to] == '\n');
            var key: Buffer = .{};
            if (describe.Map(user.mapper).Input == input.FileLine) codec.put(codec.Text, &key, "input");
            codec.put(u64, &key, @as(u64, from));
            const rows = [_]Record{.{ .key = key.items(), .value = text[from..to] }};
            try self.check(Driver.work(.{ .rows = 1, .keys = pack(&rows, "key"), .values = pack(&rows, "value") }));
            from = to;
        }
        try self.check(Driver.close());
    }

    /// Reduces what was emitted.
    pub fn reduce(self: *Test, comptime user: type) !void {
        const prefix = if (user.plugin.group_prefix > 0) describe.Reduce(user.reducer).InKey else null;
        try self.groups(roles.Reducer(user.reducer, false), user.reducer, describe.Reduce(user.reducer).Out, false, prefix);
    }

    /// Combines what was emitted.
    pub fn combine(self: *Test, comptime user: type) !void {
        try self.groups(roles.Reducer(user.combiner, true), user.combiner, describe.Reduce(user.combiner).Out, true, null);
    }

    /// Runs the plugin over a text, with its combiner where it has one.
    pub fn job(self: *Test, comptime user: type, text: []const u8) !void {
        try self.mapLines(user, text, false);
        if (@hasDecl(user, "combiner")) try self.combine(user);
        try self.reduce(user);
    }

    /// Only the last role of a job has its named outputs.
    fn open(self: *Test, comptime Driver: type, comptime Role: type, comptime Out: type, last: bool) !void {
        emitted.len = 0;
        self.failure = "";
        self.render = Render(Out.Key, Out.Value).all;
        self.outputs = comptime outputsOf(Role);
        var names: [outputs_max + 1]host.String = undefined;
        names[0] = .{ .ptr = "main", .len = 4 };
        for (self.outputs, 1..) |output, at| {
            named[at - 1].len = 0;
            names[at] = .{ .ptr = output.name.ptr, .len = output.name.len };
        }
        const has = names[0..if (last) self.outputs.len + 1 else 1];
        try self.check(Driver.open(.{ .job = "test", .number = 0, .attempt = 0, .partitions = if (last) 0 else 1, .seed = 0 }, out_bytes, has));
    }

    /// Keys that begin with the same `Prefix`, a tuple, are one group, if it is given.
    fn groups(self: *Test, comptime Driver: type, comptime Role: type, comptime Out: type, whole: bool, comptime Prefix: ?type) !void {
        const records = emitted;
        emitted = .{};
        std.sort.insertion(Record, records.items(), {}, before);
        try self.open(Driver, Role, Out, !whole);
        var from: usize = 0;
        while (from < records.len) {
            const all = records.items();
            const key = front(Prefix, all[from].key);
            var to = from + 1;
            while (to < records.len and std.mem.eql(u8, key, front(Prefix, all[to].key))) to += 1;
            const first = if (whole) to - from else @min(to - from, batch_rows);
            rest = all[from + first .. to];
            const ends: u32 = @intCast(first);
            try self.check(Driver.work(.{
                .groups = 1,
                .keys = pack(&[_]Record{.{ .key = key, .value = "" }}, "key"),
                .ends = std.mem.asBytes(&ends),
                .rows = ends,
                .values = pack(all[from..][0..first], "value"),
                .more = first < to - from,
            }));
            from = to;
        }
        try self.check(Driver.close());
    }

    fn check(self: *Test, failure: ?roles.Failure) !void {
        if (failure) |why| {
            self.failure = copy(why.message);
            return error.PluginFailed;
        }
    }

    /// What was emitted is this text, as the engine writes it: key, tab, value, newline.
    pub fn expect(self: *Test, text: []const u8) !void {
        self.text.clear();
        self.render(&self.text, emitted.items());
        try std.testing.expectEqualStrings(text, self.text.items());
    }

    /// What was emitted to a named output is this text.
    pub fn expectOutput(self: *Test, name: []const u8, text: []const u8) !void {
        self.text.clear();
        for (self.outputs, named[0..self.outputs.len]) |output, *records| {
            if (!std.mem.eql(u8, output.name, name)) continue;
            output.render(&self.text, records.items());
            return std.testing.expectEqualStrings(text, self.text.items());
        }
        return error.NoSuchOutput;
    }

    /// The counter has this sum.
    pub fn expectCounter(_: *Test, name: []const u8, sum: i64) !void {
        try std.testing.expectEqual(sum, if (find(counters[0..counters_len], name)) |counter| counter.sum else 0);
    }

    /// So many records were rejected.
    pub fn expectRejects(_: *Test, expected: u32) !void {
        try std.testing.expectEqual(expected, rejects);
    }
};

const Output = struct { name: []const u8, render: *const fn (*Buffer, []const Record) void };

fn outputsOf(comptime Role: type) []const Output {
    comptime {
        var all: []const Output = &.{};
        for (port.of(Role)) |P| all = all ++ &[_]Output{.{ .name = P.name, .render = Render(P.Key, P.Value).all }};
        return all;
    }
}

/// The part of a key that makes a group: the elements of `Prefix`, or all of it.
fn front(comptime Prefix: ?type, key: []const u8) []const u8 {
    const P = Prefix orelse return key;
    var scratch: Buffer = .{};
    defer scratch.free();
    return key[0 .. codec.size(P, key, &scratch) catch @panic("a key does not begin with the elements that the reducer reads")];
}

fn before(_: void, a: Record, b: Record) bool {
    return std.mem.lessThan(u8, a.key, b.key);
}

fn Render(comptime K: type, comptime V: type) type {
    return struct {
        fn all(text: *Buffer, records: []const Record) void {
            var scratch: Buffer = .{};
            for (records) |record| {
                one(K, text, codec.read(K, record.key, &scratch) catch @panic("a key is not of its type"));
                if (K != void and V != void) text.append("\t");
                one(V, text, codec.read(V, record.value, &scratch) catch @panic("a value is not of its type"));
                text.append("\n");
            }
        }

        fn one(comptime T: type, text: *Buffer, value: codec.View(T)) void {
            switch (T) {
                codec.Text, codec.Bytes => text.append(value),
                u64, i64, f64 => text.print("{d}", .{value}),
                bool => text.append(if (value) "true" else "false"),
                void => {},
                else => if (@hasDecl(T, "mr_desc")) one(T.mr_desc, text, value) else inline for (T.mr_elements, 0..) |Element, i| {
                    if (i > 0) text.append("\t");
                    one(Element, text, value[i]);
                },
            }
        }
    };
}
