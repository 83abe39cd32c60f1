// The plugin as the engine sees it: objects for the exported roles, and the imports as a host. The build makes a module of a
// few lines that calls `exported`; nothing else imports this one.

import { get, getAll } from "mr:engine/config@0.1.0";
import { add } from "mr:engine/counters@0.1.0";
import { next } from "mr:engine/group-values@0.1.0";
import { log } from "mr:engine/logging@0.1.0";
import { emit, reject } from "mr:engine/output@0.1.0";
import { read, size } from "mr:engine/side-input@0.1.0";

import { use } from "./context.js";
import { drive } from "./drivers.js";
import { Failed } from "./errors.js";
import { Stage } from "./stages.js";

const SDK = "guest-sdk-javascript 0.1.0";
const ROLES = ["mapper", "combiner", "reducer", "partitioner"];

// Whole numbers of 64 bits cross as numbers, and not as BigInt: exact up to 2^53.
const engine = {
  emit: (port, rows, keys, values) => emit(port, { rows, keys, values }),
  reject,
  params: getAll,
  param: get,
  count: add,
  log,
  nextValues: next,
  sideSize: size,
  sideRead: read,
};

/** What authors print goes to the log. */
const shown = (value) => (typeof value === "string" ? value : (toJson(value) ?? String(value)));
const toJson = (value) => {
  try {
    return value instanceof Error ? `${value}` : JSON.stringify(value);
  } catch {
    return undefined;
  }
};
const line = (level) => (...values) => log(level, values.map(shown).join(" "));
globalThis.console ??= {
  log: line("info"), info: line("info"), debug: line("debug"), trace: line("trace"), warn: line("warn"), error: line("error"),
};

/** A call whose failure crosses the boundary. */
function answering(call) {
  try {
    return call();
  } catch (thrown) {
    if (!(thrown instanceof Failed)) throw thrown;
    const { kind, message, row } = thrown;
    throw { kind, message, row };
  }
}

/** The export of a role. */
export function exported(plugin, role) {
  const stage = plugin[role];
  if (!(stage instanceof Stage)) return undefined;
  let driver = null;
  let partitions = 0;
  const lifecycle = {
    open(context) {
      use(engine);
      partitions = context.partitions;
      driver = answering(() => drive(stage, context));
    },
    close() {
      answering(() => driver.close());
      driver = null;
    },
  };
  if (role === "mapper") {
    return { ...lifecycle, mapBatch: ({ rows, keys, values }) => answering(() => driver.mapBatch(rows, keys, values)) };
  }
  if (role === "partitioner") {
    return { ...lifecycle, partitionBatch: (rows, keys) => answering(() => driver.partitionBatch(rows, keys, partitions)) };
  }
  const work = ({ groups, keys, ends, rows, values, more }) =>
    answering(() => driver.runBatch(groups, keys, ends, rows, values, more));
  return role === "combiner" ? { ...lifecycle, combineBatch: work } : { ...lifecycle, reduceBatch: work };
}

/** The export of the self-description. Fails where a plugin and its project do not name the same roles. */
export function described(plugin, source, name, roles) {
  const has = ROLES.filter((role) => plugin[role] !== undefined);
  for (const role of roles.split(",")) {
    if (!(plugin[role] instanceof Stage) || plugin[role].role !== role) {
      const names = has.join(", ") || "none";
      throw new Error(
        `mr-engine.toml names the role ${role}, and ${source} exports ${names}: ` +
          `\`export const ${role} = mr.${role}({ ... })\` is missing`,
      );
    }
  }
  for (const role of has) {
    if (!roles.split(",").includes(role)) {
      throw new Error(`${source} exports a ${role}, and mr-engine.toml does not name it in \`roles\``);
    }
  }
  const attributes = [...new Map(has.flatMap((role) => plugin[role].attributes()))];
  // A mapper and a reducer may both declare some: one that both do is one.
  const outputs = new Set(has.flatMap((role) => Object.keys(plugin[role].outputs)));
  if (outputs.size > 0) attributes.push(["outputs", [...outputs].join(",")]);
  return { describe: () => ({ name, version: "0.1.0", sdk: SDK, attributes }) };
}
