package mr

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unsafe"
)

const (
	// Largest size that batches aim for, in bytes: the engine refuses much more.
	batchBytesMax = 8 << 20
	// Slots of the table that adds up, as a power of two: one MiB, about a core's second-level cache.
	slotsLog2 = 15
	// Longest key that is kept in the table, in bytes: with its length it fills three words.
	shortKey = 23
)

// A key of up to 23 bytes: its bytes in memory order, zeros, and in the topmost byte its length plus
// one, so that no key is all zeros; and its sum.
type slot struct{ a, b, c, value uint64 }

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
	table      *[1 << slotsLog2]slot
	sums       bool
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
	// Empty records fill no bytes, so rows are bounded too.
	if len(b.keys.data)+len(b.values.data) >= out.batchBytes || int(b.rows) >= out.batchBytes {
		out.send()
	}
}

// Sum emits a count that may be added up with others of the key, here or later: for jobs whose
// combiner and reducer are Sum. For keys of type Text a table of fixed size, made for the cache,
// catches most repetitions; a key that finds its slot taken sends that one on.
func (out *Out[K, V]) Sum(key K, value V) {
	if !out.sums {
		out.Emit(key, value)
		return
	}
	out.sum(*(*[]byte)(unsafe.Pointer(&key)), *(*uint64)(unsafe.Pointer(&value)))
}

func (out *Out[K, V]) sum(key []byte, value uint64) {
	if len(key) > shortKey {
		out.batch.keys.data = append(out.batch.keys.data, key...)
		out.batch.values.data = putBits(out.batch.values.data, value)
		out.endRecord()
		return
	}
	if out.table == nil {
		out.table = new([1 << slotsLog2]slot)
	}
	a, b, c := shortWords(key)
	mixed := a*0x9e3779b97f4a7c15 ^ b*0xc2b2ae3d27d4eb4f ^ c*0x165667b19e3779f9
	mixed ^= mixed >> 32
	at := &out.table[mixed*0x9e3779b97f4a7c15>>(64-slotsLog2)]
	if at.a == a && at.b == b && at.c == c {
		at.value = add(at.value, value)
		return
	}
	if at.c != 0 {
		out.emitSlot(at)
	}
	at.a, at.b, at.c, at.value = a, b, c, value
}

func shortWords(key []byte) (a, b, c uint64) {
	n := len(key)
	from := uintptr(unsafe.Pointer(unsafe.SliceData(key)))
	if from >= current.batchBegin && from+24 <= current.batchEnd {
		// Whole words are loaded, and what is behind the key is masked out.
		words := (*[24]byte)(unsafe.Pointer(unsafe.SliceData(key)))
		a = binary.LittleEndian.Uint64(words[:8])
		switch {
		case n < 8:
			a &= 1<<(8*n) - 1
		case n < 16:
			b = binary.LittleEndian.Uint64(words[8:16]) & (1<<(8*(n-8)) - 1)
		default:
			b = binary.LittleEndian.Uint64(words[8:16])
			c = binary.LittleEndian.Uint64(words[16:24]) & (1<<(8*(n-16)) - 1)
		}
	} else {
		var words [24]byte
		copy(words[:], key)
		a = binary.LittleEndian.Uint64(words[:8])
		b = binary.LittleEndian.Uint64(words[8:16])
		c = binary.LittleEndian.Uint64(words[16:24])
	}
	return a, b, c | uint64(n+1)<<56
}

func (out *Out[K, V]) emitSlot(s *slot) {
	keys := &out.batch.keys.data
	end := len(*keys) + int(s.c>>56) - 1
	*keys = binary.LittleEndian.AppendUint64(*keys, s.a)
	*keys = binary.LittleEndian.AppendUint64(*keys, s.b)
	*keys = binary.LittleEndian.AppendUint64(*keys, s.c)
	*keys = (*keys)[:end]
	out.batch.values.data = putBits(out.batch.values.data, s.value)
	out.endRecord()
}

func (out *Out[K, V]) send() {
	b := &out.batch
	if b.rows == 0 {
		return
	}
	hostEmit(b)
	b.rows = 0
	b.keys.ends, b.keys.data = b.keys.ends[:0], b.keys.data[:0]
	b.values.ends, b.values.data = b.values.ends[:0], b.values.data[:0]
}

// flush sends on everything that is still here.
func (out *Out[K, V]) flush() {
	if out.table != nil {
		for i := range out.table {
			if s := &out.table[i]; s.c != 0 {
				out.emitSlot(s)
				*s = slot{}
			}
		}
	}
	out.send()
}

func add(a, b uint64) uint64 {
	sum, over := bits.Add64(a, b, 0)
	if over != 0 {
		panic("a sum is larger than u64 can hold: " + strconv.FormatUint(a, 10) + " + " + strconv.FormatUint(b, 10))
	}
	return sum
}
