// Types of the stand-in for the engine.

export interface Run {
  /** The pairs, in the order in which they were emitted. */
  records(): [any, any][];
  /** The pairs of a named output, in the order in which they were emitted. */
  output(name: string): [any, any][];
  /** The pairs as the engine writes them: key, tab, value, newline. */
  text(): string;
  counters: Record<string, number>;
  rejects: string[];
  log: [string, string][];
}
export interface Options {
  params?: Record<string, string | number | boolean>;
  sideInputs?: Record<string, string | Uint8Array>;
}
type Text = string | Record<string, string>;
export function job(plugin: object, input: Text | [unknown, unknown][], options?: Options): Run;
export function map(plugin: object, input: Text | [unknown, unknown][], options?: Options): Run;
export function combine(plugin: object, groups: [unknown, unknown[]][], options?: Options): Run;
export function reduce(plugin: object, groups: [unknown, unknown[]][], options?: Options): Run;
export function partition(plugin: object, keys: unknown[], partitions: number, options?: Options): number[];
