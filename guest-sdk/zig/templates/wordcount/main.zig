//! Counts words: every word of the input with the number of times that it occurs.

const mr = @import("mr");

pub const plugin: mr.Plugin = .{ .name = "{{name}}" };

pub const mapper = struct {
    pub fn map(_: *@This(), chunk: mr.Chunk, out: *mr.Out(mr.Text, u64)) !void {
        var words = chunk.words();
        while (words.next()) |word| out.sum(word, 1);
    }
};

pub const combiner = mr.Sum(mr.Text);
pub const reducer = mr.Sum(mr.Text);

test "words are counted" {
    var run: mr.Test = .{};
    try run.job(@This(), "to be\nor not to be\n");
    try run.expect("be\t2\nnot\t1\nor\t1\nto\t2\n");
}
