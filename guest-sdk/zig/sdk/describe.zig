//! What a plugin says of itself (wit/ATTRIBUTES.md of the engine).

const std = @import("std");
const codec = @import("codec.zig");
const input = @import("input.zig");
const port = @import("port.zig");

/// A parameter that a plugin takes.
pub const Param = struct {
    name: []const u8,
    /// text, u64, s64, f64 or bool.
    type: []const u8 = "text",
    required: bool = false,
    default: ?[]const u8 = null,
    /// One line for people.
    help: []const u8 = "",
};

/// The plugin: `pub const plugin: mr.Plugin = .{ .name = "..." };`
pub const Plugin = struct {
    name: []const u8,
    version: []const u8 = "0.1.0",
    params: []const Param = &.{},
    /// Number of elements of the mapper's keys, which are tuples, that make a group: the reducer reads the tuple
    /// of these, and the values come in the order of the others. 0 for the whole key.
    group_prefix: u32 = 0,
};

pub const Fact = struct { []const u8, []const u8 };

/// The attributes of a plugin's file.
pub fn facts(comptime user: type) []const Fact {
    comptime {
        var all: []const Fact = &.{};
        if (@hasDecl(user, "mapper")) {
            const map = Map(user.mapper);
            all = all ++ &[_]Fact{.{ "map.batch", if (map.is_text) "chunks" else "rows" }};
            if (map.is_text) all = all ++ &[_]Fact{.{ "map.input-key", if (map.Input == input.FileLine) "path-offset" else "offset" }};
            all = all ++ types("map", map.Out.Key, map.Out.Value);
        }
        if (@hasDecl(user, "combiner")) all = all ++ types("combine", Reduce(user.combiner).Out.Key, Reduce(user.combiner).Out.Value);
        if (@hasDecl(user, "reducer")) {
            const reduce = Reduce(user.reducer);
            all = all ++ types("reduce.in", reduce.InKey, reduce.InValue) ++ types("reduce", reduce.Out.Key, reduce.Out.Value);
            if (user.plugin.group_prefix > 0) all = all ++ &[_]Fact{.{ "reduce.group", std.fmt.comptimePrint("{d}", .{user.plugin.group_prefix}) }};
        }
        if (@hasDecl(user, "partitioner")) all = all ++ &[_]Fact{.{ "partition.key", codec.name(user.partitioner.Key) }};
        all = all ++ outputs(user);
        for (user.plugin.params) |param| {
            const prefix = "param." ++ param.name ++ ".";
            all = all ++ &[_]Fact{ .{ prefix ++ "type", param.type }, .{ prefix ++ "help", param.help } };
            if (param.required) all = all ++ &[_]Fact{.{ prefix ++ "required", "true" }};
            if (param.default) |default| all = all ++ &[_]Fact{.{ prefix ++ "default", default }};
        }
        return all;
    }
}

/// The named outputs of mapper and reducer; one that both list is one.
fn outputs(comptime user: type) []const Fact {
    comptime {
        var all: []const Fact = &.{};
        var names: []const u8 = "";
        const listed = (if (@hasDecl(user, "mapper")) port.of(user.mapper) else &[_]type{}) ++ (if (@hasDecl(user, "reducer")) port.of(user.reducer) else &[_]type{});
        for (listed, 0..) |P, i| {
            const again = for (listed[0..i]) |other| {
                if (std.mem.eql(u8, other.name, P.name)) break true;
            } else false;
            if (!again) names = names ++ (if (names.len > 0) "," else "") ++ P.name;
            all = all ++ types("output." ++ P.name, P.Key, P.Value);
        }
        return if (names.len > 0) all ++ &[_]Fact{.{ "outputs", names }} else all;
    }
}

fn types(comptime stage: []const u8, comptime K: type, comptime V: type) []const Fact {
    return &[_]Fact{ .{ stage ++ ".key", codec.name(K) }, .{ stage ++ ".value", codec.name(V) } };
}

fn Argument(comptime function: anytype, comptime place: usize) type {
    return @typeInfo(@TypeOf(function)).@"fn".param_types[place].?;
}

fn Pointee(comptime Pointer: type) type {
    return @typeInfo(Pointer).pointer.child;
}

/// The types of a mapper.
pub fn Map(comptime Role: type) type {
    return struct {
        pub const Input = Argument(Role.map, 1);
        pub const Out = Pointee(Argument(Role.map, 2));
        pub const is_text = Input == input.Line or Input == input.FileLine or Input == input.Chunk;
    };
}

/// The types of a combiner or reducer. Where the key that is read is not of the type that is
/// emitted, the role says so: `pub const InKey = mr.Text;`
pub fn Reduce(comptime Role: type) type {
    return struct {
        pub const Out = Pointee(Argument(Role.reduce, 3));
        pub const InValue = Pointee(Argument(Role.reduce, 2)).Value;
        pub const InKey = if (@hasDecl(Role, "InKey")) Role.InKey else Out.Key;
        comptime {
            if (codec.View(InKey) != Argument(Role.reduce, 1)) @compileError("the reducer reads another type of key than it emits: add `pub const InKey = ...;`");
        }
    };
}
