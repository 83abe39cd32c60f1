/**
 * Write plugins for mr-engine in AssemblyScript: typed records in, typed records out.
 *
 *     import { LineMapper, Line, Out, Plugin, Sum, Text, register } from "./mr";
 *
 *     class Words extends LineMapper<Text, u64> {
 *       map(line: Line, out: Out<Text, u64>): void {
 *         const words = line.text.words();
 *         while (words.next()) out.sum(words.word, 1);
 *       }
 *     }
 *
 *     const plugin = new Plugin("words", "0.1.0");
 *     plugin.mapper = new Words();
 *     plugin.reducer = new Sum<Text>();
 *     register(plugin);
 *
 * Types of keys and values: Text, string, Bytes, u64, i64, f64, bool, Unit, Tuple1 to Tuple3 of
 * these. Text is a view of the batch in hand; text.copy() and text.toString() keep it.
 */
import "./panic";

export { Bytes, Desc, Text, Tuple, Tuple1, Tuple2, Tuple3, Unit } from "./types";
export { Out } from "./out";
export { Words } from "./words";
export { Chunk, FileLine, Line, Values } from "./input";
export { Level, Task, count, log, reject } from "./task";
export { fatal, invalid, transient } from "./current";
export { ChunkMapper, FileLineMapper, LineMapper, Partitioner, RecordMapper, Reducer, Sum } from "./roles";
export { Param, Plugin, register } from "./plugin";
export { AnyPort, Port } from "./port";
