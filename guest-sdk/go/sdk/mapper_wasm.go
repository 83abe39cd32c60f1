//go:build wasm && mapper

package mr

import "unsafe"

func init() { rolesBuilt = append(rolesBuilt, "mapper") }

//go:wasmexport mr:engine/mapper@0.1.0#open
func exportMapperOpen(job *byte, jobLen, stage, number, attempt, partitions uint32, seed uint64, batchBytes uint32, outputs *byte, outputsLen uint32) unsafe.Pointer {
	return finish(openRole("mapper", registered.Mapper.driver, task(job, jobLen, number, attempt, partitions, seed, outputs, outputsLen), batchBytes))
}

//go:wasmexport mr:engine/mapper@0.1.0#map-batch
func exportMapBatch(rows, kw uint32, ke *byte, ken uint32, kd *byte, kdn, vw uint32, ve *byte, ven uint32, vd *byte, vdn uint32) unsafe.Pointer {
	return finish(mapBatch(&batch{rows, columnOf(kw, ke, ken, kd, kdn), columnOf(vw, ve, ven, vd, vdn)}))
}

//go:wasmexport mr:engine/mapper@0.1.0#close
func exportMapperClose() unsafe.Pointer { return closed(registered.Mapper.driver) }
