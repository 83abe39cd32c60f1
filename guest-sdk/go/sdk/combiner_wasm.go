//go:build wasm && combiner

package mr

import "unsafe"

func init() { rolesBuilt = append(rolesBuilt, "combiner") }

//go:wasmexport mr:engine/combiner@0.1.0#open
func exportCombinerOpen(job *byte, jobLen, stage, number, attempt, partitions uint32, seed uint64, batchBytes uint32, outputs *byte, outputsLen uint32) unsafe.Pointer {
	return finish(openRole("combiner", registered.Combiner.driver, task(job, jobLen, number, attempt, partitions, seed, outputs, outputsLen), batchBytes))
}

//go:wasmexport mr:engine/combiner@0.1.0#combine-batch
func exportCombinerBatch(groupsLen, kw uint32, ke *byte, ken uint32, kd *byte, kdn uint32, ends *byte, endsLen, rows, vw uint32, ve *byte, ven uint32, vd *byte, vdn, more uint32) unsafe.Pointer {
	return groups(registered.Combiner.driver, true, &grouped{
		groups: int(groupsLen),
		keys:   columnOf(kw, ke, ken, kd, kdn),
		ends:   unsafe.Slice(ends, endsLen),
		values: columnOf(vw, ve, ven, vd, vdn),
		more:   more != 0,
	})
}

//go:wasmexport mr:engine/combiner@0.1.0#close
func exportCombinerClose() unsafe.Pointer { return closed(registered.Combiner.driver) }
