// What an author declares: the roles of a plugin, with the types that they speak.

import { checkInput, lines } from "./inputs.js";
import { checkType } from "./types.js";

const PARAM_TYPES = ["text", "u64", "s64", "f64", "bool"];

/** One role of a plugin. */
export class Stage {
  constructor(role, def, method) {
    Object.assign(this, { params: {}, outputs: {} }, def, { role });
    if (method && typeof def[method] !== "function") {
      throw new TypeError(`a ${role} needs a function ${method}, and its ${method} is ${def[method]}`);
    }
    if (def.setup !== undefined && typeof def.setup !== "function") throw new TypeError(`setup of a ${role} is a function`);
    for (const [name, param] of Object.entries(this.params)) {
      const type = param.type ?? "text";
      if (!PARAM_TYPES.includes(type)) {
        throw new TypeError(`parameter ${name} is of type ${type}; parameters are ${PARAM_TYPES.join(", ")}`);
      }
    }
  }

  /** What `describe` says of it. */
  attributes() {
    const facts = [];
    const types = (stage, key, value) => facts.push([`${stage}.key`, key.name], [`${stage}.value`, value.name]);
    if (this.role === "mapper") {
      facts.push(...Object.entries(this.input.attributes));
      types("map", this.key, this.value);
    } else if (this.role === "combiner") types("combine", this.key, this.value);
    else if (this.role === "reducer") {
      types("reduce.in", this.keyIn, this.valueIn);
      types("reduce", this.key, this.value);
      if (this.groupPrefix) facts.push(["reduce.group", String(this.groupPrefix)]);
    } else facts.push(["partition.key", this.keyIn.name]);
    for (const [name, { key, value }] of Object.entries(this.outputs)) types(`output.${name}`, key, value);
    for (const [name, param] of Object.entries(this.params)) {
      facts.push([`param.${name}.type`, param.type ?? "text"]);
      if (param.required) facts.push([`param.${name}.required`, "true"]);
      if (param.default !== undefined) facts.push([`param.${name}.default`, String(param.default)]);
      facts.push([`param.${name}.help`, param.help ?? ""]);
    }
    return facts;
  }
}

function pair(role, def) {
  return { key: checkType(def.key, `the key of a ${role}`), value: checkType(def.value, `the value of a ${role}`) };
}

/** Named outputs, with the types of each. */
function named(role, outputs = {}) {
  return Object.fromEntries(Object.entries(outputs).map(([name, def]) => [name, pair(`${role}'s output ${name}`, def)]));
}

/** Declares a mapper: `map(record, out, state)` emits pairs of key and value with `out.emit(key, value)`. In a job without
 * reducers it may write to named outputs, `outputs: { name: { key, value } }`, with `mr.emit`. */
export function mapper(def) {
  const input = checkInput(def.input ?? lines);
  return new Stage("mapper", { ...def, ...pair("mapper", def), input, outputs: named("mapper", def.outputs) }, "map");
}

/** Declares a combiner: `combine(key, values, out, state)` emits fewer values of the key with `out.emit(value)`. It may
 * run any number of times, also never, on parts of a group. */
export function combiner(def) {
  const { key, value } = pair("combiner", def);
  return new Stage("combiner", { ...def, keyIn: key, valueIn: value }, "combine");
}

/** Declares a reducer: `reduce(key, values, out, state)`; `values` is gone through once. What it emits is of the same
 * types, or of those in `out: { key, value }`. With `groupPrefix`, so many elements of the mapper's keys make a group: `key`
 * is the tuple of these, and the values come in the order of the others. It may write to named outputs,
 * `outputs: { name: { key, value } }`, with `mr.emit`. */
export function reducer(def) {
  const { key: keyIn, value: valueIn } = pair("reducer", def);
  if (def.groupPrefix && keyIn.parts?.length !== def.groupPrefix) {
    throw new TypeError(`the key of a reducer with groupPrefix ${def.groupPrefix} is a tuple of as many elements`);
  }
  const out = def.out ? pair("reducer's out", def.out) : { key: keyIn, value: valueIn };
  return new Stage("reducer", { ...def, ...out, keyIn, valueIn, outputs: named("reducer", def.outputs) }, "reduce");
}

/** Declares a partitioner: `partition(key, partitions, state)` returns a number below `partitions`. */
export function partitioner(def) {
  return new Stage("partitioner", { ...def, keyIn: checkType(def.key, "the key of a partitioner") }, "partition");
}

/** Combiner and reducer that make one value out of two until one is left. It must not matter in which order and in which
 * portions values meet; so add up floats in a reducer of your own. */
export function folding(key, value, fold) {
  if (typeof fold !== "function") throw new TypeError(`folding takes a function such as sum, and not ${fold}`);
  const types = { ...pair("folding", { key, value }), fold };
  const stage = (role) => new Stage(role, { ...types, keyIn: key, valueIn: value });
  return { combiner: stage("combiner"), reducer: stage("reducer") };
}

/** The sum of two numbers. */
export function sum(a, b) {
  return a + b;
}

/** The smaller of two values. */
export function min(a, b) {
  return b < a ? b : a;
}

/** The larger of two values. */
export function max(a, b) {
  return b > a ? b : a;
}
