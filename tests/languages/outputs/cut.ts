// Cuts lines behind their first word, and sends records to where the plugin `route` does.

import { Line, LineMapper, Out, Plugin, Port, Text, register } from "./mr";

const errors = new Port<Text, Text>("errors");
const lengths = new Port<Text, u64>("lengths");

class Cut extends LineMapper<Text, Text> {
  map(line: Line, out: Out<Text, Text>): void {
    const end = line.text.indexOf(Text.from(" "));
    const key = line.text.slice(0, end), value = line.text.slice(end + 1);
    if (value.len > 0 && value.at(0) == 33) errors.emit(key, value);
    else if (key.len > 0 && key.at(0) == 122) lengths.emit(key, <u64>value.len);
    else out.emit(key, value);
  }
}

const plugin = new Plugin("cut", "0.1.0");
plugin.mapper = new Cut();
plugin.outputs = [errors, lengths];
register(plugin);
