//! Write plugins for mr-engine in Zig: typed records in, typed records out.
//!
//!     const mr = @import("mr");
//!
//!     pub const plugin: mr.Plugin = .{ .name = "words" };
//!     pub const mapper = struct {
//!         pub fn map(_: *@This(), line: mr.Line, out: *mr.Out(mr.Text, u64)) !void {
//!             var words = line.words();
//!             while (words.next()) |word| out.sum(word, 1);
//!         }
//!     };
//!
//! The roles are the public declarations `mapper`, `combiner`, `reducer` and `partitioner` of the
//! plugin's file. Their types are those of their functions: what they read, and what they emit.

const codec_ = @import("codec.zig");
const current_ = @import("current.zig");
const input = @import("input.zig");
const out = @import("out.zig");
const task = @import("task.zig");

pub const Text = codec_.Text;
pub const Bytes = codec_.Bytes;
pub const Tuple = codec_.Tuple;
pub const Desc = codec_.Desc;
pub const View = codec_.View;
pub const Line = input.Line;
pub const FileLine = input.FileLine;
pub const Chunk = input.Chunk;
pub const Record = input.Record;
pub const Values = input.Values;
pub const Words = @import("words.zig").Words;
pub const Out = out.Out;
pub const Port = @import("port.zig").Port;
pub const Task = task.Task;
pub const Plugin = @import("describe.zig").Plugin;
pub const Param = @import("describe.zig").Param;
pub const Error = current_.Error;
pub const Test = @import("testing.zig").Test;

/// Memory that a plugin keeps until the end of the task.
pub const allocator = @import("host.zig").allocator;

pub const invalid = current_.invalid;
pub const transient = current_.transient;
pub const fatal = current_.fatal;
pub const reject = task.reject;
pub const count = task.count;
pub const log = task.log;
pub const words = @import("words.zig").words;
/// How a value becomes a cell, and how it is read: for tests of keys, and side inputs in cells.
pub const encode = codec_.write;
pub const decode = codec_.read;

/// For root.zig.
pub const sdk = struct {
    pub const codec = codec_;
    pub const Buffer = @import("buffer.zig").Buffer;
    pub const current = current_;
    pub const describe = @import("describe.zig");
    pub const frames = @import("frames.zig");
    pub const host = @import("host.zig");
    pub const run = @import("run.zig");
};

/// Combiner and reducer that add up u64 values.
pub fn Sum(comptime K: type) type {
    return struct {
        pub fn reduce(_: *@This(), key: View(K), values: *Values(u64), to: *Out(K, u64)) !void {
            var sum: u64 = 0;
            while (try values.next()) |value| sum = out.add(sum, value);
            to.emit(key, sum);
        }
    };
}
