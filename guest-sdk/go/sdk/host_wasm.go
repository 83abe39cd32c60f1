//go:build wasm

package mr

import (
	"runtime"
	"unsafe"
)

// The engine's imports, as the canonical ABI has them. Lists that the engine hands in lie in frames
// until the exported call ends; Go's collector does not move what is lent out.

//go:wasmimport mr:engine/output@0.1.0 emit
func importEmit(port, rows, kw uint32, ke unsafe.Pointer, ken uint32, kd unsafe.Pointer, kdn uint32, vw uint32, ve unsafe.Pointer, ven uint32, vd unsafe.Pointer, vdn uint32)

//go:wasmimport mr:engine/output@0.1.0 reject
func importReject(row uint32, reason string)

//go:wasmimport mr:engine/group-values@0.1.0 next
func importNext(ret unsafe.Pointer)

//go:wasmimport mr:engine/config@0.1.0 get
func importGet(key string, ret unsafe.Pointer)

//go:wasmimport mr:engine/counters@0.1.0 add
func importAdd(deltas unsafe.Pointer, len uint32)

//go:wasmimport mr:engine/logging@0.1.0 log
func importLog(level uint32, message string)

//go:wasmimport mr:engine/side-input@0.1.0 size
func importSize(name string, ret unsafe.Pointer)

//go:wasmimport mr:engine/side-input@0.1.0 read
func importRead(name string, offset uint64, len uint32, ret unsafe.Pointer)

// list is a list or string in memory: pointers are four bytes wide there, and Go's are eight.
type list struct{ ptr, len uint32 }

func (l list) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(l.ptr))), l.len) }

func lend(bytes []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(bytes)), uint32(len(bytes))
}

func place(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

func hostEmit(port uint32, b *batch) {
	ke, ken := lend(b.keys.ends)
	kd, kdn := lend(b.keys.data)
	ve, ven := lend(b.values.ends)
	vd, vdn := lend(b.values.data)
	importEmit(port, b.rows, b.keys.width, ke, ken, kd, kdn, b.values.width, ve, ven, vd, vdn)
	runtime.KeepAlive(b)
}

func hostReject(row uint32, reason string) { importReject(row, reason) }

func hostNextValues() (rows int, cells column, some bool) {
	var ret struct {
		some        uint8
		rows, width uint32
		ends, data  list
	}
	importNext(unsafe.Pointer(&ret))
	if ret.some == 0 {
		return
	}
	return int(ret.rows), column{ret.width, ret.ends.bytes(), ret.data.bytes()}, true
}

func hostParam(name string) (string, bool) {
	var ret struct {
		some uint8
		text list
	}
	importGet(name, unsafe.Pointer(&ret))
	if ret.some == 0 {
		return "", false
	}
	return string(ret.text.bytes()), true
}

func hostCount(deltas []counter) {
	type entry struct {
		name  list
		delta int64
	}
	entries := make([]entry, len(deltas))
	for i, delta := range deltas {
		entries[i] = entry{list{place(unsafe.Pointer(unsafe.StringData(delta.name))), uint32(len(delta.name))}, delta.delta}
	}
	importAdd(unsafe.Pointer(unsafe.SliceData(entries)), uint32(len(entries)))
	runtime.KeepAlive(deltas)
}

func hostLog(level Level, message string) { importLog(uint32(level), message) }

func hostSideInputBytes(name string) (uint64, bool) {
	var ret struct {
		some  uint8
		bytes uint64
	}
	importSize(name, unsafe.Pointer(&ret))
	return ret.bytes, ret.some != 0
}

func hostSideInputRead(name string, offset uint64, len uint32) []byte {
	var ret list
	importRead(name, offset, len, unsafe.Pointer(&ret))
	return ret.bytes()
}
