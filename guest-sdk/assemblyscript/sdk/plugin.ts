// The plugin: what the author registers, and what the engine is told of it (wit/ATTRIBUTES.md of the
// engine).

import { AnyPort } from "./port";
import { GroupRole, MapRole, PartitionRole } from "./roles";

/** A parameter of a job that the plugin takes. */
export class Param {
  required: bool = false;
  default: string | null = null;
  /** `type` is text, u64, s64, f64 or bool; `help` is one line for people. */
  constructor(public name: string, public type: string = "text", public help: string = "") {}
}

/** Roles and parameters of a plugin. */
export class Plugin {
  mapper: MapRole | null = null;
  combiner: GroupRole | null = null;
  reducer: GroupRole | null = null;
  partitioner: PartitionRole | null = null;
  params: Param[] = [];
  /** Named outputs beside the main one: those of the reducer, or of the mapper in a job without reducers. */
  outputs: AnyPort[] = [];
  /** Number of elements of the mapper's keys, which are tuples, that make a group: the reducer reads the tuple of
   * these, and the values come in the order of the others. 0 for the whole key. */
  groupPrefix: i32 = 0;
  constructor(public name: string, public version: string = "0.1.0") {}
}

export let registered: Plugin | null = null;

/** Makes a plugin the component's. Called once, at the end of the plugin's file. */
export function register(plugin: Plugin): void {
  registered = plugin;
}

/** Roles that are built in, which the files of roles.* fill. */
export const built: string[] = [];

/** Names and values of the attributes, in turn. */
export function facts(plugin: Plugin): string[] {
  const facts: string[] = [];
  const mapper = plugin.mapper, combiner = plugin.combiner, reducer = plugin.reducer, partitioner = plugin.partitioner;
  if (mapper && built.includes("mapper")) mapper.mrFacts("map", facts);
  if (combiner && built.includes("combiner")) combiner.mrFacts("combine", facts);
  if (reducer && built.includes("reducer")) {
    reducer.mrFacts("reduce", facts);
    if (plugin.groupPrefix > 0) {
      facts.push("reduce.group");
      facts.push(plugin.groupPrefix.toString());
    }
  }
  if (partitioner && built.includes("partitioner")) partitioner.mrFacts("partition", facts);
  if (built.includes("mapper") || built.includes("reducer")) outputFacts(plugin.outputs, facts);
  for (let i = 0; i < plugin.params.length; i++) {
    const param = plugin.params[i], prefix = "param." + param.name + ".";
    facts.push(prefix + "type");
    facts.push(param.type);
    facts.push(prefix + "help");
    facts.push(param.help);
    if (param.required) {
      facts.push(prefix + "required");
      facts.push("true");
    }
    const fallback = param.default;
    if (fallback) {
      facts.push(prefix + "default");
      facts.push(fallback);
    }
  }
  return facts;
}

function outputFacts(outputs: AnyPort[], facts: string[]): void {
  if (outputs.length == 0) return;
  const names: string[] = [];
  for (let i = 0; i < outputs.length; i++) {
    names.push(outputs[i].name);
    outputs[i].mrFacts(facts);
  }
  facts.push("outputs");
  facts.push(names.join(","));
}
