// Named outputs: files beside those of the main one, each with records of types of its own.

import { Out } from "./out";
import { fatal } from "./current";
import { typeName } from "./types";

/** A named output of any types: a Port. */
export abstract class AnyPort {
  /** `name` is also that of its folder: a-z, 0-9, - and _, a letter first. */
  constructor(public name: string) {}
  abstract mrOpen(at: u32, batchBytes: u32): void;
  abstract mrFlush(): void;
  abstract mrFacts(facts: string[]): void;
}

/**
 * A named output with keys of type K and values of type V, which the plugin lists:
 *
 *     const errors = new Port<Text, Text>("errors");
 *     plugin.outputs = [errors];
 *
 * Only the last stage of a job has them: its reducer, or its mapper where there are no reducers.
 */
export class Port<K, V> extends AnyPort {
  private out: Out<K, V> = new Out<K, V>();

  /** Emits a record to the output. Where the stage has none of the name, the task fails. */
  emit(key: K, value: V): void {
    if (this.out.port != 0) this.out.emit(key, value);
    else fatal("there is no output " + this.name + " in this stage: list it in plugin.outputs, and emit to it in the reducer, or in the mapper of a job without reducers");
  }

  mrOpen(at: u32, batchBytes: u32): void {
    this.out.open(batchBytes);
    this.out.clear();
    this.out.port = at;
  }
  mrFlush(): void { this.out.flush(); }
  mrFacts(facts: string[]): void {
    facts.push("output." + this.name + ".key");
    facts.push(typeName<K>());
    facts.push("output." + this.name + ".value");
    facts.push(typeName<V>());
  }
}

/** Opens those of a plugin's outputs that a task has, by their names. */
export function openPorts(ports: AnyPort[], names: string[], batchBytes: u32): void {
  for (let i = 0; i < ports.length; i++) {
    const at = names.indexOf(ports[i].name, 1);
    ports[i].mrOpen(<u32>max(at, 0), batchBytes);
  }
}

export function flushPorts(ports: AnyPort[]): void {
  for (let i = 0; i < ports.length; i++) ports[i].mrFlush();
}
