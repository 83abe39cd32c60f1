// Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
// `id TAB name TAB item`.

import * as mr from "./mr/index.js";

const pair = mr.tuple(mr.text, mr.text);

export const mapper = mr.mapper({
  key: mr.text,
  value: pair,
  // What a line says, under its id.
  map(line, out) {
    const [kind, id, what, ...more] = line.split("\t");
    if (!["user", "order"].includes(kind) || what === undefined || more.length > 0) {
      throw new mr.Reject("not a user and not an order");
    }
    out.emit(id, [kind, what]);
  },
});

export const reducer = mr.reducer({
  key: mr.text,
  value: pair,
  // Brings the users and the orders of an id together.
  reduce(id, values, out) {
    const users = [];
    const orders = [];
    for (const [kind, what] of values) (kind === "user" ? users : orders).push(what);
    if (users.length === 0) mr.count("orders without a user", orders.length);
    for (const name of users) for (const item of orders) out.emit(id, [name, item]);
  },
});
