// Exports of a plugin with a combiner.

import * as run from "../run";
import { Column } from "../host";
import { built } from "../plugin";

built.push("combiner");

export function combiner_open(job: usize, jobLen: i32, stage: u32, task: u32, attempt: u32, partitions: u32, seed: u64, batchBytes: u32, outputs: usize, outputsLen: i32): usize {
  return run.openRole(run.plugin().combiner, "combiner", job, jobLen, task, attempt, partitions, seed, batchBytes, outputs, outputsLen);
}

export function combiner_combine_batch(groups: i32, kw: u32, ke: usize, ken: i32, kd: usize, kdn: i32, ends: usize, endsLen: i32, rows: i32, vw: u32, ve: usize, ven: i32, vd: usize, vdn: i32, more: i32): usize {
  return run.groupBatch(run.plugin().combiner, groups, new Column(kw, ke, ken, kd, kdn), ends, endsLen, new Column(vw, ve, ven, vd, vdn), more != 0, true);
}

export function combiner_close(): usize {
  return run.closeRole(run.plugin().combiner);
}
