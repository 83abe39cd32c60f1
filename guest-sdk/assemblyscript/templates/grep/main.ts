// Finds the lines that contain a text.
import { Line, LineMapper, Out, Param, Plugin, Task, Text, Unit, count, register } from "./mr";

class Matches extends LineMapper<Unit, Text> {
  private pattern: Text = new Text();

  setup(task: Task): void {
    this.pattern = Text.from(task.required("pattern"));
  }

  map(line: Line, out: Out<Unit, Text>): void {
    if (line.text.indexOf(this.pattern) < 0) return;
    out.emit(new Unit(), line.text);
    count("lines matched", 1);
  }
}

const pattern = new Param("pattern", "text", "text that a line must contain");
pattern.required = true;

const plugin = new Plugin("{{name}}", "0.1.0");
plugin.mapper = new Matches();
plugin.params = [pattern];
register(plugin);
