//! Named outputs: files beside those of the main one, each with records of types of its own.

const std = @import("std");
const current = @import("current.zig");
const host = @import("host.zig");
const out = @import("out.zig");

/// A named output with keys of type `K` and values of type `V`. A role that writes to it lists it, and opens it in `setup`:
///
///     const Errors = mr.Port("errors", mr.Text, mr.Text);
///
///     pub const reducer = struct {
///         pub const outputs = .{Errors};
///         errors: *mr.Out(mr.Text, mr.Text),
///         pub fn setup(task: mr.Task) !@This() {
///             return .{ .errors = try task.output(Errors) };
///         }
///
/// Only the last stage of a job has them: its reducer, or its mapper where there are no reducers.
pub fn Port(comptime port_name: []const u8, comptime K: type, comptime V: type) type {
    return struct {
        /// Also that of its folder: a-z, 0-9, - and _, a letter first.
        pub const name = port_name;
        pub const Key = K;
        pub const Value = V;

        var to: out.Out(K, V) = .{};

        pub fn open(names: []const host.String, batch_bytes: u32) void {
            to.open(batch_bytes);
            to.clear();
            to.port = 0;
            for (names, 0..) |other, at| {
                if (at > 0 and std.mem.eql(u8, other.ptr[0..other.len], name)) to.port = @intCast(at);
            }
        }

        pub fn opened() !*out.Out(K, V) {
            if (to.port > 0) return &to;
            return current.fatal("there is no output {s} in this stage: list it in `outputs` of the reducer, or of the mapper of a job without reducers", .{name});
        }

        pub fn close() void {
            to.flush();
            to.port = 0;
        }
    };
}

/// The named outputs of a role.
pub fn of(comptime Role: type) []const type {
    comptime {
        if (!@hasDecl(Role, "outputs")) return &.{};
        var all: []const type = &.{};
        for (Role.outputs) |P| all = all ++ &[_]type{P};
        return all;
    }
}
