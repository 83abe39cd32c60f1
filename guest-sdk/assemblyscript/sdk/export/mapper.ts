// Exports of a plugin with a mapper.

import * as run from "../run";
import { Column } from "../host";
import { built } from "../plugin";

built.push("mapper");

export function mapper_open(job: usize, jobLen: i32, stage: u32, task: u32, attempt: u32, partitions: u32, seed: u64, batchBytes: u32, outputs: usize, outputsLen: i32): usize {
  return run.openRole(run.plugin().mapper, "mapper", job, jobLen, task, attempt, partitions, seed, batchBytes, outputs, outputsLen);
}

export function mapper_map_batch(rows: i32, kw: u32, ke: usize, ken: i32, kd: usize, kdn: i32, vw: u32, ve: usize, ven: i32, vd: usize, vdn: i32): usize {
  return run.mapBatch(run.plugin().mapper, rows, new Column(kw, ke, ken, kd, kdn), new Column(vw, ve, ven, vd, vdn));
}

export function mapper_close(): usize {
  return run.closeRole(run.plugin().mapper);
}
