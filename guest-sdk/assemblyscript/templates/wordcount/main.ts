// Counts words: every word of the input with the number of times that it occurs.
import { Chunk, ChunkMapper, Out, Plugin, Sum, Text, register } from "./mr";

class Words extends ChunkMapper<Text, u64> {
  map(chunk: Chunk, out: Out<Text, u64>): void {
    const words = chunk.text.words();
    while (words.next()) out.sum(words.word, 1);
  }
}

const plugin = new Plugin("{{name}}", "0.1.0");
plugin.mapper = new Words();
plugin.combiner = new Sum<Text>();
plugin.reducer = new Sum<Text>();
register(plugin);
