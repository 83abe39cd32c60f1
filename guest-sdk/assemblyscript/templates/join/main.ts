// Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
// `id TAB name TAB item`.
import { Line, LineMapper, Out, Plugin, Reducer, Text, Tuple2, Values, count, register, reject } from "./mr";

// Emits what a line says under its id.
class ById extends LineMapper<Text, Tuple2<Text, Text>> {
  map(line: Line, out: Out<Text, Tuple2<Text, Text>>): void {
    const fields = line.text.split(9);
    if (fields.length != 3 || (!fields[0].equals("user") && !fields[0].equals("order"))) {
      return reject("not a user and not an order");
    }
    out.emit(fields[1], new Tuple2(fields[0], fields[2]));
  }
}

// Brings the users and the orders of an id together.
class Join extends Reducer<Text, Tuple2<Text, Text>, Text, Tuple2<Text, Text>> {
  reduce(id: Text, values: Values<Tuple2<Text, Text>>, out: Out<Text, Tuple2<Text, Text>>): void {
    const users: Text[] = [], orders: Text[] = [];
    while (values.next()) {
      const side = values.value.a.equals("user") ? users : orders;
      side.push(values.value.b.copy());
    }
    if (users.length == 0) count("orders without a user", orders.length);
    for (let u = 0; u < users.length; u++) {
      for (let o = 0; o < orders.length; o++) out.emit(id, new Tuple2(users[u], orders[o]));
    }
  }
}

const plugin = new Plugin("{{name}}", "0.1.0");
plugin.mapper = new ById();
plugin.reducer = new Join();
register(plugin);
