//go:build wasm && reducer

package mr

import "unsafe"

func init() { rolesBuilt = append(rolesBuilt, "reducer") }

//go:wasmexport mr:engine/reducer@0.1.0#open
func exportReducerOpen(job *byte, jobLen, stage, number, attempt, partitions uint32, seed uint64, batchBytes uint32, outputs *byte, outputsLen uint32) unsafe.Pointer {
	return finish(openRole("reducer", registered.Reducer.driver, task(job, jobLen, number, attempt, partitions, seed, outputs, outputsLen), batchBytes))
}

//go:wasmexport mr:engine/reducer@0.1.0#reduce-batch
func exportReducerBatch(groupsLen, kw uint32, ke *byte, ken uint32, kd *byte, kdn uint32, ends *byte, endsLen, rows, vw uint32, ve *byte, ven uint32, vd *byte, vdn, more uint32) unsafe.Pointer {
	return groups(registered.Reducer.driver, false, &grouped{
		groups: int(groupsLen),
		keys:   columnOf(kw, ke, ken, kd, kdn),
		ends:   unsafe.Slice(ends, endsLen),
		values: columnOf(vw, ve, ven, vd, vdn),
		more:   more != 0,
	})
}

//go:wasmexport mr:engine/reducer@0.1.0#close
func exportReducerClose() unsafe.Pointer { return closed(registered.Reducer.driver) }
