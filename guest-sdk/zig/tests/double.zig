//! The double of the engine: named outputs, and groups by a prefix of the key.

const std = @import("std");
const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "double", .group_prefix = 1 };

const Odd = mr.Port("odd", mr.Text, void);
const Large = mr.Port("large", mr.Text, u64);

/// Lines of a name and a number; those without a number are odd.
pub const mapper = struct {
    pub const outputs = .{Odd};

    odd: ?*mr.Out(mr.Text, void),

    pub fn setup(task: mr.Task) !@This() {
        const writes = task.partitions == 0 or try task.param(bool, "stray") orelse false;
        return .{ .odd = if (writes) try task.output(Odd) else null };
    }

    pub fn map(self: *@This(), line: mr.Line, out: *mr.Out(mr.Tuple(.{ mr.Text, mr.Desc(u64) }), u64)) !void {
        const space = std.mem.indexOfScalar(u8, line.text, ' ') orelse return self.odd.?.emit(line.text, {});
        const n = try std.fmt.parseInt(u64, line.text[space + 1 ..], 10);
        out.emit(.{ line.text[0..space], n }, n);
    }
};

pub const reducer = struct {
    pub const InKey = mr.Tuple(.{mr.Text});
    pub const outputs = .{ Large, Odd };

    large: *mr.Out(mr.Text, u64),

    pub fn setup(task: mr.Task) !@This() {
        return .{ .large = try task.output(Large) };
    }

    pub fn reduce(self: *@This(), key: mr.View(InKey), values: *mr.Values(u64), out: *mr.Out(mr.Text, mr.Text)) !void {
        var all: mr.sdk.Buffer = .{};
        defer all.free();
        while (try values.next()) |n| {
            if (all.len > 0) all.append(",");
            all.print("{d}", .{n});
            if (n > 9) self.large.emit(key[0], n);
        }
        out.emit(key[0], all.items());
    }
};

test "named outputs and groups by a prefix" {
    var run: mr.Test = .{};
    try run.job(@This(), "b 1\na 2\na 10\nb 3\na 11\na 1\n");
    try run.expect("a\t11,10,2,1\nb\t3,1\n");
    try run.expectOutput("large", "a\t11\na\t10\n");
    try run.expectOutput("odd", "");
    try run.map(@This(), "x\nb 1\ny\n");
    try run.expectOutput("odd", "x\ny\n");
    // In a job with a reducer the mapper has none.
    run.param("stray", "true");
    try std.testing.expectError(error.PluginFailed, run.job(@This(), "b 1\n"));
    try std.testing.expect(std.mem.startsWith(u8, run.failure, "there is no output odd in this stage"));
}

test "a port that is not listed is missed" {
    const stray = struct {
        pub const plugin: mr.Plugin = .{ .name = "stray" };
        pub const mapper = struct {
            pub fn setup(task: mr.Task) !@This() {
                _ = try task.output(mr.Port("stray", mr.Text, mr.Text));
                return .{};
            }
            pub fn map(_: *@This(), _: mr.Line, _: *mr.Out(mr.Text, mr.Text)) !void {}
        };
    };
    var run: mr.Test = .{};
    try std.testing.expectError(error.PluginFailed, run.map(stray, "x\n"));
    try std.testing.expect(std.mem.startsWith(u8, run.failure, "there is no output stray in this stage"));
}

test "the plugin tells of them" {
    var found: usize = 0;
    inline for (comptime mr.sdk.describe.facts(@This())) |fact| {
        inline for (.{ .{ "outputs", "odd,large" }, .{ "output.large.key", "text" }, .{ "output.large.value", "u64" } }) |expected| {
            if (comptime !std.mem.eql(u8, fact[0], expected[0])) continue;
            try std.testing.expectEqualStrings(expected[1], fact[1]);
            found += 1;
        }
    }
    try std.testing.expectEqual(3, found);
}
