package mr

import "encoding/binary"

// Largest size that batches aim for, in bytes: the engine refuses much more.
const batchBytesMax = 8 << 20

// column is cells end to end; fixed ones have no ends.
type column struct {
	width      uint32
	ends, data []byte
}

// batch is what crosses the boundary.
type batch struct {
	rows         uint32
	keys, values column
}

// Out is where a role emits records with keys of type K and values of type V.
type Out[K, V any] struct {
	key        codec[K]
	value      codec[V]
	batch      batch
	batchBytes int
	// The output: 0 for the main one.
	port  uint32
	table *[1 << slotsLog2]slot
	sums  bool
}

func (out *Out[K, V]) open(batchBytes uint32) {
	if out.key.name == "" {
		out.key, out.value = codecOf[K](), codecOf[V]()
		out.batch.keys.width = uint32(max(out.key.width, 0))
		out.batch.values.width = uint32(max(out.value.width, 0))
		var key K
		var value V
		_, isText := any(key).(Text)
		_, isCount := any(value).(uint64)
		out.sums = isText && isCount
	}
	out.batchBytes = int(min(max(batchBytes, 1), batchBytesMax))
}

// Emit emits a record.
func (out *Out[K, V]) Emit(key K, value V) {
	out.batch.keys.data = out.key.write(out.batch.keys.data, key)
	out.batch.values.data = out.value.write(out.batch.values.data, value)
	out.endRecord()
}

func (out *Out[K, V]) endRecord() {
	b := &out.batch
	if out.key.width == variable {
		b.keys.ends = binary.LittleEndian.AppendUint32(b.keys.ends, uint32(len(b.keys.data)))
	}
	if out.value.width == variable {
		b.values.ends = binary.LittleEndian.AppendUint32(b.values.ends, uint32(len(b.values.data)))
	}
	b.rows++
	out.endBatch()
}

// endBatch sends a batch that is full. Empty records fill no bytes, so rows are bounded too.
func (out *Out[K, V]) endBatch() {
	b := &out.batch
	if len(b.keys.data)+len(b.values.data) >= out.batchBytes || int(b.rows) >= out.batchBytes {
		out.send()
	}
}

func (out *Out[K, V]) send() {
	b := &out.batch
	if b.rows == 0 {
		return
	}
	hostEmit(out.port, b)
	out.clear()
}

// clear forgets what is still here.
func (out *Out[K, V]) clear() {
	b := &out.batch
	b.rows = 0
	b.keys.ends, b.keys.data = b.keys.ends[:0], b.keys.data[:0]
	b.values.ends, b.values.data = b.values.ends[:0], b.values.data[:0]
}

// flush sends on everything that is still here.
func (out *Out[K, V]) flush() {
	if out.table != nil {
		for i := range out.table {
			if s := &out.table[i]; s.c != 0 {
				out.batch.putSlot(s)
				out.endBatch()
				*s = slot{}
			}
		}
	}
	out.send()
}
