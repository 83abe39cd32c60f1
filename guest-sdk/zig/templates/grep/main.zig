//! Finds the lines that contain a text.

const std = @import("std");
const mr = @import("mr");

pub const plugin: mr.Plugin = .{
    .name = "{{name}}",
    .params = &.{.{ .name = "pattern", .required = true, .help = "text that a line must contain" }},
};

pub const mapper = struct {
    pattern: []const u8,

    pub fn setup(task: mr.Task) !@This() {
        return .{ .pattern = try task.required([]const u8, "pattern") };
    }

    pub fn map(self: *@This(), line: mr.Line, out: *mr.Out(void, mr.Text)) !void {
        if (std.mem.indexOf(u8, line.text, self.pattern) != null) {
            out.emit({}, line.text);
            mr.count("lines matched", 1);
        }
    }
};

test "lines are found" {
    var run: mr.Test = .{};
    run.param("pattern", "rr");
    try run.map(@This(), "an error\nall is well\nsorry\n");
    try run.expect("an error\nsorry\n");
    try run.expectCounter("lines matched", 2);
}
