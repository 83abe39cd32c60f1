//go:build wasm

package mr

import (
	"strings"
	"unsafe"
)

// The answer of an exported call: result<_, error> or result<list<u8>, error>.
var result struct {
	isErr uint8
	// The kind of error, or where the list is.
	first uint32
	// The message, or the length of the list.
	second     uint32
	messageLen uint32
	hasRow     uint8
	row        uint32
}

// kept holds what the answer points to until the next call.
var kept struct {
	message string
	list    []byte
}

func finish(failed *failure) unsafe.Pointer {
	result.isErr = 0
	if failed != nil {
		kept.message = strings.ToValidUTF8(failed.message, "\ufffd")
		result.isErr, result.first, result.hasRow, result.row = 1, uint32(failed.kind), 0, failed.row
		result.second, result.messageLen = place(unsafe.Pointer(unsafe.StringData(kept.message))), uint32(len(kept.message))
		if failed.hasRow {
			result.hasRow = 1
		}
	}
	release(mark{})
	return unsafe.Pointer(&result)
}

func finishList(list []byte, failed *failure) unsafe.Pointer {
	answer := finish(failed)
	if failed == nil {
		kept.list = list
		result.first, result.second = place(unsafe.Pointer(unsafe.SliceData(list))), uint32(len(list))
	}
	return answer
}

func task(job *byte, jobLen, number, attempt, partitions uint32, seed uint64, outputs *byte, outputsLen uint32) *Task {
	var names []string
	for _, name := range unsafe.Slice((*list)(unsafe.Pointer(outputs)), outputsLen) {
		names = append(names, string(name.bytes()))
	}
	return &Task{string(unsafe.Slice(job, jobLen)), number, attempt, partitions, seed, names}
}

func columnOf(width uint32, ends *byte, endsLen uint32, data *byte, dataLen uint32) column {
	return column{width, unsafe.Slice(ends, endsLen), unsafe.Slice(data, dataLen)}
}

func groups(d reduceDriver, combining bool, input *grouped) unsafe.Pointer {
	return finish(call(InvalidInput, func() error { return d.work(input, combining) }))
}

func closed(d driver) unsafe.Pointer { return finish(closeRole(d)) }

// Strings of the description, which stay.
var described struct {
	info  [8]uint32
	pairs [][4]uint32
	facts []fact
}

func textAt(text string) (uint32, uint32) {
	return place(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))
}

//go:wasmexport mr:engine/plugin@0.1.0#describe
func exportDescribe() unsafe.Pointer {
	d := &described
	if registered.Version == "" {
		registered.Version = "0.1.0"
	}
	d.facts = facts(builtRoles())
	d.pairs = make([][4]uint32, len(d.facts))
	for i, fact := range d.facts {
		d.pairs[i][0], d.pairs[i][1] = textAt(fact.name)
		d.pairs[i][2], d.pairs[i][3] = textAt(fact.value)
	}
	d.info[0], d.info[1] = textAt(registered.Name)
	d.info[2], d.info[3] = textAt(registered.Version)
	d.info[4], d.info[5] = textAt("mr-go 0.1.0")
	d.info[6], d.info[7] = place(unsafe.Pointer(unsafe.SliceData(d.pairs))), uint32(len(d.pairs))
	return unsafe.Pointer(&d.info)
}

// The roles that are built in: each file of a role adds its own.
var rolesBuilt []string

func builtRoles() string { return strings.Join(rolesBuilt, ",") }
