// Passes on every line as it is: a beginning.
import { Line, LineMapper, Out, Plugin, Text, Unit, register } from "./mr";

class Pass extends LineMapper<Unit, Text> {
  map(line: Line, out: Out<Unit, Text>): void {
    out.emit(new Unit(), line.text);
  }
}

const plugin = new Plugin("{{name}}", "0.1.0");
plugin.mapper = new Pass();
register(plugin);
