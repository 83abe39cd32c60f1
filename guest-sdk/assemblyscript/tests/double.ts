// The double of the engine: named outputs, and groups by a prefix of the key.

import { Desc, Line, LineMapper, Out, Plugin, Port, Reducer, Text, Tuple1, Tuple2, Unit, Values, register } from "./mr";
import { Test } from "./mr/testing";
import { built, facts } from "./mr/plugin";

const odd = new Port<Text, Unit>("odd");
const large = new Port<string, u64>("large");

// Lines of a name and a number; those without a number are odd.
class Pairs extends LineMapper<Tuple2<Text, Desc<u64>>, u64> {
  map(line: Line, out: Out<Tuple2<Text, Desc<u64>>, u64>): void {
    const fields = line.text.split(32);
    if (fields.length < 2) return odd.emit(fields[0], new Unit());
    const n = U64.parseInt(fields[1].toString());
    out.emit(new Tuple2(fields[0], new Desc(n)), n);
  }
}

class Joined extends Reducer<Tuple1<string>, u64, string, string> {
  reduce(key: Tuple1<string>, values: Values<u64>, out: Out<string, string>): void {
    const all: string[] = [];
    while (values.next()) {
      all.push(values.value.toString());
      if (values.value > 9) large.emit(key.a, values.value);
    }
    out.emit(key.a, all.join(","));
  }
}

const plugin = new Plugin("double", "0.1.0");
plugin.mapper = new Pairs();
plugin.reducer = new Joined();
plugin.groupPrefix = 1;
plugin.outputs = [odd, large];
register(plugin);

const test = new Test();
test.job("b 1\na 2\na 10\nb 3\na 11\na 1\n");
test.expect("a\t11,10,2,1\nb\t3,1\n");
test.expectOutput("large", "a\t11\na\t10\n");
test.expectOutput("odd", "");
test.map("x\nb 1\ny\n");
test.expectOutput("odd", "x\ny\n");
// In a job with a reducer the mapper has none.
test.job("b 1\nx\nb 2\n");
test.expectFailure("there is no output odd in this stage");
test.expectFailure("while mapping the line at byte 4: \"x\"");
built.push("reducer");
const all = facts(plugin);
assert(all[all.indexOf("outputs") + 1] == "odd,large");
assert(all[all.indexOf("output.large.value") + 1] == "u64");
