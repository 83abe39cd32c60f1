package mr

import (
	"encoding/binary"
	"slices"
	"strconv"
	"unsafe"
)

// Adding up is what most jobs do most. So little is called here: a call in WebAssembly costs Go as much as the rest
// of the work on a word.

const (
	// Slots of the table that adds up, as a power of two: one MiB, about a core's second-level cache.
	slotsLog2 = 15
	// Longest key that is kept in the table, in bytes: with its length it fills three words.
	shortKey = 23
	// Bytes of a key's three words.
	keyBytes = 24
)

// A key of up to 23 bytes: its bytes in memory order, zeros, and in the topmost byte its length plus
// one, so that no key is all zeros; and its sum.
type slot struct{ a, b, c, value uint64 }

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
		out.put(key, value)
		return
	}
	if out.table == nil {
		out.table = new([1 << slotsLog2]slot)
	}
	var a, b, c uint64
	n := len(key)
	from := unsafe.Pointer(unsafe.SliceData(key))
	if uintptr(from) >= current.batchBegin && uintptr(from)+keyBytes <= current.batchEnd {
		// Whole words are loaded, and what is behind the key is masked out.
		words := (*[keyBytes]byte)(from)
		a = binary.LittleEndian.Uint64(words[:8])
		switch {
		case n < 8:
			a &= 1<<(8*uint(n)) - 1
		case n < 16:
			b = binary.LittleEndian.Uint64(words[8:16]) & (1<<(8*uint(n-8)) - 1)
		default:
			b = binary.LittleEndian.Uint64(words[8:16])
			c = binary.LittleEndian.Uint64(words[16:24]) & (1<<(8*uint(n-16)) - 1)
		}
	} else {
		var words [keyBytes]byte
		copy(words[:], key)
		a = binary.LittleEndian.Uint64(words[:8])
		b = binary.LittleEndian.Uint64(words[8:16])
		c = binary.LittleEndian.Uint64(words[16:24])
	}
	c |= uint64(n+1) << 56
	mixed := a*0x9e3779b97f4a7c15 ^ b*0xc2b2ae3d27d4eb4f ^ c*0x165667b19e3779f9
	mixed ^= mixed >> 32
	at := &out.table[mixed*0x9e3779b97f4a7c15>>(64-slotsLog2)]
	if at.a == a && at.b == b && at.c == c {
		total := at.value + value
		if total < value {
			overflow(at.value, value)
		}
		at.value = total
		return
	}
	if at.c != 0 {
		out.batch.putSlot(at)
		out.endBatch()
	}
	at.a, at.b, at.c, at.value = a, b, c, value
}

// putSlot appends the record of a slot: the key is text, the value a count.
func (b *batch) putSlot(s *slot) {
	b.rows++
	start := len(b.keys.data)
	if cap(b.keys.data)-start < keyBytes {
		b.keys.data = slices.Grow(b.keys.data, keyBytes)
	}
	words := (*[keyBytes]byte)(b.keys.data[start : start+keyBytes])
	binary.LittleEndian.PutUint64(words[:8], s.a)
	binary.LittleEndian.PutUint64(words[8:16], s.b)
	binary.LittleEndian.PutUint64(words[16:], s.c)
	end := start + int(s.c>>56) - 1
	b.keys.data = b.keys.data[:end]
	b.keys.ends = binary.LittleEndian.AppendUint32(b.keys.ends, uint32(end))
	b.values.data = binary.BigEndian.AppendUint64(b.values.data, s.value)
}

// put emits the cell of a key, and a count.
func (out *Out[K, V]) put(key []byte, value uint64) {
	b := &out.batch
	b.rows++
	b.keys.data = append(b.keys.data, key...)
	if out.key.width == variable {
		b.keys.ends = binary.LittleEndian.AppendUint32(b.keys.ends, uint32(len(b.keys.data)))
	}
	b.values.data = binary.BigEndian.AppendUint64(b.values.data, value)
	out.endBatch()
}

func overflow(a, b uint64) {
	panic("a sum is larger than u64 can hold: " + strconv.FormatUint(a, 10) + " + " + strconv.FormatUint(b, 10))
}

// sumDriver adds up the values of each key. Keys are passed on as the cells that they are.
type sumDriver[K any] struct{ state[K, uint64] }

func (d *sumDriver[K]) facts(stage string) []fact {
	if stage == "combine" {
		return typeFacts[K, uint64](stage)
	}
	return append(typeFacts[K, uint64]("reduce.in"), typeFacts[K, uint64](stage)...)
}

func (d *sumDriver[K]) work(input *grouped, combining bool) error {
	current.doing = atReduce
	if combining {
		current.doing = atCombine
	}
	out, start := &d.out, 0
	for group := range input.groups {
		key := input.keys.cell(group)
		current.row, current.key = uint32(group), key
		end := endAt(input.ends, group)
		total := sumCells(0, &input.values, start, end)
		start = end
		if input.more && group+1 == input.groups {
			parts := Values[uint64]{cells: &input.values, more: true}
			for parts.fetch() {
				total = sumCells(total, parts.cells, 0, parts.end)
			}
		}
		out.put(key, total)
	}
	if combining {
		// All output leaves before it returns: the next batch may be of another run.
		out.flush()
	}
	return nil
}

// sumCells adds counts. A cell that is none fails the task.
func sumCells(total uint64, cells *column, start, end int) uint64 {
	for row := start; row < end; row++ {
		cell := cells.cell(row)
		if len(cell) != 8 {
			panic(malformed("u64", cell))
		}
		value := binary.BigEndian.Uint64(cell)
		if total+value < value {
			overflow(total, value)
		}
		total += value
	}
	return total
}
