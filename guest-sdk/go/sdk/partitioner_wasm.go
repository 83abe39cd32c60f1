//go:build wasm && partitioner

package mr

import "unsafe"

func init() { rolesBuilt = append(rolesBuilt, "partitioner") }

//go:wasmexport mr:engine/partitioner@0.1.0#open
func exportPartitionerOpen(job *byte, jobLen, stage, number, attempt, partitions uint32, seed uint64, batchBytes uint32, outputs *byte, outputsLen uint32) unsafe.Pointer {
	return finish(call(Final, func() error {
		if registered.Partitioner.driver == nil {
			return Fatal("mr-engine.toml names the role partitioner, but the program registers none")
		}
		return registered.Partitioner.driver.open(task(job, jobLen, number, attempt, partitions, seed, outputs, outputsLen))
	}))
}

//go:wasmexport mr:engine/partitioner@0.1.0#partition-batch
func exportPartitionBatch(rows, kw uint32, ke *byte, ken uint32, kd *byte, kdn uint32) unsafe.Pointer {
	var list []byte
	keys := columnOf(kw, ke, ken, kd, kdn)
	failed := call(InvalidInput, func() (err error) {
		list, err = registered.Partitioner.driver.work(int(rows), &keys)
		return err
	})
	return finishList(list, failed)
}
