//! Cuts lines behind their first word, and sends records to where the plugin `route` does.

const std = @import("std");
const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "cut" };

const Errors = mr.Port("errors", mr.Text, mr.Text);
const Lengths = mr.Port("lengths", mr.Text, u64);

pub const mapper = struct {
    pub const outputs = .{ Errors, Lengths };

    errors: *mr.Out(mr.Text, mr.Text),
    lengths: *mr.Out(mr.Text, u64),

    pub fn setup(task: mr.Task) !@This() {
        return .{ .errors = try task.output(Errors), .lengths = try task.output(Lengths) };
    }

    pub fn map(self: *@This(), line: mr.Line, out: *mr.Out(mr.Text, mr.Text)) !void {
        const end = std.mem.indexOfScalar(u8, line.text, ' ').?;
        const key = line.text[0..end];
        const value = line.text[end + 1 ..];
        if (std.mem.startsWith(u8, value, "!")) {
            self.errors.emit(key, value);
        } else if (std.mem.startsWith(u8, key, "z")) {
            self.lengths.emit(key, @as(u64, value.len));
        } else {
            out.emit(key, value);
        }
    }
};
