//! The encodings against wit/vectors.json, as lines (see tests/languages/vectors.rs): the list's type, the
//! cell in hexadecimal, and the elements of the value; `malformed` and a cell that must be refused.

const std = @import("std");
const mr = @import("mr");
const codec = mr.sdk.codec;
const Buffer = mr.sdk.Buffer;

const types = .{
    mr.Text,                                         mr.Bytes,                         u64,                             i64,
    f64,                                             bool,                             void,                            mr.Tuple(.{mr.Text}),
    mr.Tuple(.{ mr.Text, u64 }),                     mr.Tuple(.{ mr.Text, mr.Text }),  mr.Tuple(.{ mr.Bytes, i64 }),    mr.Tuple(.{ mr.Tuple(.{ i64, f64 }), bool }),
    mr.Tuple(.{ u64, void, mr.Text }),
    mr.Desc(mr.Text),                                mr.Desc(mr.Bytes),                mr.Desc(u64),                    mr.Desc(i64),
    mr.Desc(f64),                                    mr.Desc(bool),                    mr.Desc(void),                   mr.Desc(mr.Tuple(.{ mr.Text, u64 })),
    mr.Desc(mr.Desc(mr.Text)),                       mr.Tuple(.{ mr.Text, mr.Desc(u64) }), mr.Tuple(.{ mr.Desc(mr.Text), mr.Text }),
};

const Fields = std.mem.SplitIterator(u8, .scalar);

fn unhex(hex: []const u8) []const u8 {
    const bytes = std.heap.page_allocator.alloc(u8, hex.len / 2) catch unreachable;
    return std.fmt.hexToBytes(bytes, hex) catch unreachable;
}

fn parse(comptime T: type, fields: *Fields) !codec.View(T) {
    switch (T) {
        mr.Text, mr.Bytes => return unhex(fields.next().?),
        u64, i64 => return std.fmt.parseInt(T, fields.next().?, 10),
        f64 => return std.fmt.parseFloat(f64, fields.next().?),
        bool => return std.mem.eql(u8, fields.next().?, "true"),
        void => {
            _ = fields.next();
            return;
        },
        else => {
            if (@hasDecl(T, "mr_desc")) return parse(T.mr_desc, fields);
            var view: codec.View(T) = undefined;
            inline for (T.mr_elements, 0..) |Element, i| view[i] = try parse(Element, fields);
            return view;
        },
    }
}

fn check(comptime T: type, cell: []const u8, fields: *Fields) !void {
    var scratch: Buffer = .{};
    var written: Buffer = .{};
    codec.write(T, &written, try parse(T, fields));
    try std.testing.expectEqualSlices(u8, cell, written.items());
    written.clear();
    codec.write(T, &written, try codec.read(T, cell, &scratch));
    try std.testing.expectEqualSlices(u8, cell, written.items());
    if (codec.width(T)) |width| try std.testing.expectEqual(width, cell.len);
}

test "cells are those of the vectors" {
    var lines = std.mem.splitScalar(u8, std.mem.trimEnd(u8, @embedFile("vectors.txt"), "\n"), '\n');
    var last: []const u8 = "";
    var last_type: []const u8 = "";
    var checked: usize = 0;
    while (lines.next()) |line| {
        errdefer std.debug.print("{s}\n", .{line});
        var fields = std.mem.splitScalar(u8, line, '\t');
        const whole = fields.next().?;
        const malformed = std.mem.startsWith(u8, whole, "malformed ");
        const name = if (malformed) whole["malformed ".len..] else whole;
        const cell = unhex(fields.next().?);
        const before = checked;
        inline for (types) |T| {
            if (std.mem.eql(u8, comptime codec.name(T), name)) {
                checked += 1;
                var scratch: Buffer = .{};
                if (malformed) try std.testing.expectError(error.Malformed, codec.read(T, cell, &scratch)) else try check(T, cell, &fields);
            }
        }
        // Otherwise add the type to this test.
        try std.testing.expectEqual(before + 1, checked);
        if (!malformed and std.mem.eql(u8, name, last_type)) try std.testing.expect(std.mem.lessThan(u8, last, cell));
        if (!malformed) last = cell;
        if (!malformed) last_type = name;
    }
    try std.testing.expect(checked > 50);
}
