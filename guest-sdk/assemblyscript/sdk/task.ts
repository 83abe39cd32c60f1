// What `setup` is told, and what every role may say besides its records.

import { hostCount, hostLog, hostParam, hostReject, hostSideInput } from "./host";
import { Doing, describe, doing, fatal, row } from "./current";
import { Text } from "./types";

/** The task that a role is set up for. */
export class Task {
  constructor(public job: string, public number: u32, public attempt: u32, public partitions: u32, public seed: u64) {}

  /** A parameter, or null where it is neither set nor has a default. */
  param(name: string): string | null { return hostParam(name); }

  /** A parameter that is required or has a default; without it the task fails. */
  required(name: string): string {
    const text = hostParam(name);
    if (text === null) fatal("parameter " + name + " is not set");
    return text ? text : "";
  }

  /** A whole file that was shipped with the job; without it the task fails. */
  sideInput(name: string): Text {
    const bytes = hostSideInput(name);
    if (bytes) return new Text(changetype<usize>(bytes), bytes.byteLength, bytes);
    fatal("the job has no side input " + name);
    return new Text(0, 0);
  }
}

const names: string[] = [];
const deltas: i64[] = [];

/** Adds to a counter of the job. */
export function count(name: string, delta: i64): void {
  const at = names.indexOf(name);
  if (at >= 0) {
    deltas[at] += delta;
  } else {
    names.push(name);
    deltas.push(delta);
  }
}

/** Sends what was counted since the last time. */
export function sendCounters(): void {
  if (names.length == 0) return;
  hostCount(names, deltas);
  names.length = 0;
  deltas.length = 0;
}

export enum Level { Trace, Debug, Info, Warn, Error }

/** Writes a line to the attempt's log, which the engine keeps within limits. */
export function log(level: Level, message: string): void { hostLog(level, message); }

/** Gives up on the record (or group) in hand and goes on: it lands in the job's rejects with the
 * reason, and the job fails once it has too many. Return after it. */
export function reject(reason: string): void {
  if (doing == Doing.Nothing) fatal("rejected outside of any record: " + reason);
  else hostReject(row, reason + describe());
}
