// Runs roles over batches: what the exported functions of all roles have in common. The answer of
// an exported call is result<_, error> or result<list<u8>, error> in memory.

import * as current from "./current";
import * as frames from "./frames";
import { Column } from "./host";
import { GroupRole, MapRole, PartitionRole, Role } from "./roles";
import { Plugin, facts, registered } from "./plugin";
import { Task, sendCounters } from "./task";
import { flushPorts, openPorts } from "./port";

const RESULT: usize = memory.data(24, 8);
let kept: ArrayBuffer | null = null;
let partitions: u32 = 0;
let chosen: usize = 0;
// The collector runs after so many calls: nothing else is under way then.
const CALLS_TO_COLLECT: i32 = 4;
let calls: i32 = 0;

export function finish(): usize {
  if (!current.failed) sendCounters();
  store<u8>(RESULT, current.failed ? 1 : 0);
  if (current.failed) {
    const message = String.UTF8.encode(current.failure());
    kept = message;
    store<u8>(RESULT, <u8>current.kind, 4);
    store<usize>(RESULT, changetype<usize>(message), 8);
    store<i32>(RESULT, message.byteLength, 12);
    store<u8>(RESULT, current.doing == current.Doing.Nothing ? 0 : 1, 16);
    store<u32>(RESULT, current.row, 20);
  }
  current.setIdle();
  frames.release(0, 0);
  if (++calls % CALLS_TO_COLLECT == 0) __collect();
  return RESULT;
}

/** Whoever registered the role; without it, a failure that says so. */
function missing(role: string): void {
  current.fatal("mr-engine.toml names the role " + role + ", but the plugin registers none");
}

export function openRole(role: Role | null, name: string, job: usize, jobLen: i32, task: u32, attempt: u32, parts: u32, seed: u64, batchBytes: u32, outputs: usize, outputsLen: i32): usize {
  partitions = parts;
  if (role) {
    const names: string[] = [];
    for (let i = 0; i < outputsLen; i++) {
      const at = outputs + (<usize>i << 3);
      names.push(String.UTF8.decodeUnsafe(load<usize>(at), load<usize>(at, 4)));
    }
    openPorts(plugin().outputs, names, batchBytes);
    role.mrOpen(batchBytes);
    role.setup(new Task(String.UTF8.decodeUnsafe(job, <usize>jobLen), task, attempt, parts, seed));
  } else missing(name);
  return finish();
}

export function closeRole(role: Role | null): usize {
  if (role) {
    role.mrClose();
    if (!current.failed) flushPorts(plugin().outputs);
  }
  return finish();
}

export function mapBatch(role: MapRole | null, rows: i32, keys: Column, values: Column): usize {
  if (role) role.mrMap(rows, keys, values);
  return finish();
}

export function groupBatch(role: GroupRole | null, groups: i32, keys: Column, ends: usize, endsLen: i32, values: Column, more: bool, combining: bool): usize {
  if (role) role.mrReduce(groups, keys, ends, endsLen, values, more, combining);
  return finish();
}

export function partitionBatch(role: PartitionRole | null, rows: i32, keys: Column): usize {
  if (chosen) heap.free(chosen);
  chosen = heap.alloc(<usize>(rows + 1) << 2);
  if (role) role.mrPartition(rows, keys, partitions, chosen);
  const failed = current.failed;
  finish();
  if (!failed) {
    store<usize>(RESULT, chosen, 4);
    store<i32>(RESULT, rows << 2, 8);
  }
  return RESULT;
}

export function plugin(): Plugin {
  const plugin = registered;
  if (plugin) return plugin;
  throw new Error("no plugin is registered: call register at the end of the plugin's file");
}

// Strings of the description, which stay.
const texts: ArrayBuffer[] = [];
const INFO: usize = memory.data(32, 8);

function keep(at: usize, text: string): void {
  const bytes = String.UTF8.encode(text);
  texts.push(bytes);
  store<usize>(at, changetype<usize>(bytes));
  store<i32>(at, bytes.byteLength, 4);
}

export function describe(): usize {
  const about = plugin(), all = facts(about);
  keep(INFO, about.name);
  keep(INFO + 8, about.version);
  keep(INFO + 16, "mr-assemblyscript 0.1.0");
  const pairs = heap.alloc(<usize>(all.length + 1) << 3);
  for (let i = 0; i < all.length; i++) keep(pairs + (<usize>i << 3), all[i]);
  store<usize>(INFO, pairs, 24);
  store<i32>(INFO, all.length >> 1, 28);
  return INFO;
}
