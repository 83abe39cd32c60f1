//! The component: exports the roles of the plugin's file by the names of wit/engine.wit, as the
//! canonical ABI has them.

const std = @import("std");
const user = @import("plugin");
const current = @import("mr").sdk.current;
const describe = @import("mr").sdk.describe;
const frames = @import("mr").sdk.frames;
const host = @import("mr").sdk.host;
const run = @import("mr").sdk.run;

pub const panic = std.debug.FullPanic(current.panic);

const String = host.String;
/// `result<_, error>` and `result<list<u8>, error>`.
const Result = extern struct {
    is_err: u8 = 0,
    /// The kind of error, or where the list is.
    first: usize = 0,
    /// The message, or the length of the list.
    second: usize = 0,
    message_len: usize = 0,
    has_row: u8 = 0,
    row: u32 = 0,
};

var result: Result = .{};

fn finish(failure: ?run.Failure) *const Result {
    result = .{};
    if (failure) |why| result = .{
        .is_err = 1,
        .first = @intFromEnum(why.kind),
        .second = @intFromPtr(why.message.ptr),
        .message_len = why.message.len,
        .has_row = @intFromBool(why.row != null),
        .row = why.row orelse 0,
    };
    frames.reset();
    return &result;
}

fn column(width: u32, ends: [*]const u8, ends_len: usize, data: [*]const u8, data_len: usize) host.Column {
    return .{ .width = width, .ends = ends[0..ends_len], .data = data[0..data_len] };
}

/// The functions that every role has.
fn Ends(comptime Driver: type) type {
    return struct {
        fn open(job: [*]const u8, job_len: usize, _: u32, number: u32, attempt: u32, partitions: u32, seed: u64, batch_bytes: u32, outputs: [*]const String, outputs_len: usize) callconv(.c) *const Result {
            const name = host.allocator.dupe(u8, job[0..job_len]) catch @panic("out of memory");
            return finish(Driver.open(.{ .job = name, .number = number, .attempt = attempt, .partitions = partitions, .seed = seed }, batch_bytes, outputs[0..outputs_len]));
        }

        fn close() callconv(.c) *const Result {
            return finish(Driver.close());
        }
    };
}

fn Map(comptime Driver: type) type {
    return struct {
        fn work(rows: u32, kw: u32, ke: [*]const u8, ken: usize, kd: [*]const u8, kdn: usize, vw: u32, ve: [*]const u8, ven: usize, vd: [*]const u8, vdn: usize) callconv(.c) *const Result {
            return finish(Driver.work(.{ .rows = rows, .keys = column(kw, ke, ken, kd, kdn), .values = column(vw, ve, ven, vd, vdn) }));
        }
    };
}

fn Reduce(comptime Driver: type) type {
    return struct {
        fn work(groups: u32, kw: u32, ke: [*]const u8, ken: usize, kd: [*]const u8, kdn: usize, ends: [*]const u8, ends_len: usize, rows: u32, vw: u32, ve: [*]const u8, ven: usize, vd: [*]const u8, vdn: usize, more: u32) callconv(.c) *const Result {
            return finish(Driver.work(.{
                .groups = groups,
                .keys = column(kw, ke, ken, kd, kdn),
                .ends = ends[0..ends_len],
                .rows = rows,
                .values = column(vw, ve, ven, vd, vdn),
                .more = more != 0,
            }));
        }
    };
}

fn Partition(comptime Driver: type) type {
    return struct {
        fn work(rows: u32, kw: u32, ke: [*]const u8, ken: usize, kd: [*]const u8, kdn: usize) callconv(.c) *const Result {
            const failure = Driver.work(rows, column(kw, ke, ken, kd, kdn));
            const answer = finish(failure);
            if (failure == null) {
                result.first = @intFromPtr(Driver.chosen.ptr);
                result.second = Driver.chosen.len;
            }
            return answer;
        }
    };
}

const Pair = extern struct { name: String, value: String };
const Info = extern struct { name: String, version: String, sdk: String, facts: [*]const Pair, facts_len: usize };

fn string(comptime text: []const u8) String {
    return .{ .ptr = text.ptr, .len = text.len };
}

const pairs: []const Pair = blk: {
    const facts = describe.facts(user);
    var all: [facts.len]Pair = undefined;
    for (facts, 0..) |fact, i| all[i] = .{ .name = string(fact[0]), .value = string(fact[1]) };
    const done = all;
    break :blk &done;
};
const info: Info = .{
    .name = string(user.plugin.name),
    .version = string(user.plugin.version),
    .sdk = string("mr-zig 0.1.0"),
    .facts = pairs.ptr,
    .facts_len = pairs.len,
};

fn about() callconv(.c) *const Info {
    return &info;
}

fn realloc(old: ?[*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
    const new = frames.take(len, alignment);
    if (old) |bytes| @memcpy(new[0..@min(old_len, len)], bytes[0..@min(old_len, len)]);
    return new;
}

fn exportRole(comptime role: []const u8, comptime work: []const u8, comptime Driver: type, comptime function: anytype) void {
    const interface = "mr:engine/" ++ role ++ "@0.1.0#";
    @export(&Ends(Driver).open, .{ .name = interface ++ "open" });
    @export(function, .{ .name = interface ++ work });
    if (@hasDecl(Driver, "close")) @export(&Ends(Driver).close, .{ .name = interface ++ "close" });
}

comptime {
    @export(&realloc, .{ .name = "cabi_realloc" });
    @export(&about, .{ .name = "mr:engine/plugin@0.1.0#describe" });
    if (@hasDecl(user, "mapper")) exportRole("mapper", "map-batch", run.Mapper(user.mapper), &Map(run.Mapper(user.mapper)).work);
    if (@hasDecl(user, "combiner")) exportRole("combiner", "combine-batch", run.Reducer(user.combiner, true), &Reduce(run.Reducer(user.combiner, true)).work);
    if (@hasDecl(user, "reducer")) exportRole("reducer", "reduce-batch", run.Reducer(user.reducer, false), &Reduce(run.Reducer(user.reducer, false)).work);
    if (@hasDecl(user, "partitioner")) exportRole("partitioner", "partition-batch", run.Partitioner(user.partitioner), &Partition(run.Partitioner(user.partitioner)).work);
}
