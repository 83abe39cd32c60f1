//! Passes on every line as it is: a beginning.

const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "{{name}}" };

pub const mapper = struct {
    pub fn map(_: *@This(), line: mr.Line, out: *mr.Out(void, mr.Text)) !void {
        out.emit({}, line.text);
    }
};

test "lines pass" {
    var run: mr.Test = .{};
    try run.map(@This(), "a\nb\n");
    try run.expect("a\nb\n");
}
