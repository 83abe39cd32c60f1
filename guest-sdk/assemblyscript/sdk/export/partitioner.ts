// Exports of a plugin with a partitioner.

import * as run from "../run";
import { Column } from "../host";
import { built } from "../plugin";

built.push("partitioner");

export function partitioner_open(job: usize, jobLen: i32, stage: u32, task: u32, attempt: u32, partitions: u32, seed: u64, batchBytes: u32, outputs: usize, outputsLen: i32): usize {
  return run.openRole(run.plugin().partitioner, "partitioner", job, jobLen, task, attempt, partitions, seed, batchBytes, outputs, outputsLen);
}

export function partitioner_partition_batch(rows: i32, kw: u32, ke: usize, ken: i32, kd: usize, kdn: i32): usize {
  return run.partitionBatch(run.plugin().partitioner, rows, new Column(kw, ke, ken, kd, kdn));
}
