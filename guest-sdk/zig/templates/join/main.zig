//! Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
//! `id TAB name TAB item`.

const std = @import("std");
const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "{{name}}" };

const Said = mr.Tuple(.{ mr.Text, mr.Text });

/// Emits what a line says under its id.
pub const mapper = struct {
    pub fn map(_: *@This(), line: mr.Line, out: *mr.Out(mr.Text, Said)) !void {
        var fields = std.mem.splitScalar(u8, line.text, '\t');
        const kind = fields.first();
        const known = std.mem.eql(u8, kind, "user") or std.mem.eql(u8, kind, "order");
        const id = fields.next();
        const what = fields.next();
        if (!known or what == null or fields.next() != null) return mr.reject("not a user and not an order", .{});
        out.emit(id.?, .{ kind, what.? });
    }
};

/// Brings the users and the orders of an id together.
pub const reducer = struct {
    pub fn reduce(_: *@This(), id: []const u8, values: *mr.Values(Said), out: *mr.Out(mr.Text, Said)) !void {
        var arena: std.heap.ArenaAllocator = .init(mr.allocator);
        defer arena.deinit();
        const memory = arena.allocator();
        var users: std.ArrayList([]const u8) = .empty;
        var orders: std.ArrayList([]const u8) = .empty;
        while (try values.next()) |value| {
            const kind, const what = value;
            const side = if (std.mem.eql(u8, kind, "user")) &users else &orders;
            try side.append(memory, try memory.dupe(u8, what));
        }
        if (users.items.len == 0) mr.count("orders without a user", @intCast(orders.items.len));
        for (users.items) |name| for (orders.items) |item| out.emit(id, .{ name, item });
    }
};

test "orders meet their users" {
    var run: mr.Test = .{};
    try run.job(@This(), "order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\norder\t7\tpen\norder\t7\tink\norder\t7\tlamp\n?\n");
    try run.expect("7\tAda\tbook\n7\tAda\tpen\n7\tAda\tink\n7\tAda\tlamp\n");
    try run.expectCounter("orders without a user", 1);
    try run.expectRejects(1);
}
