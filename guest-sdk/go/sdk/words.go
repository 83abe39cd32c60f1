package mr

import (
	"encoding/binary"
	"iter"
	"math/bits"
)

// Words are what is between white space: space, tab, newline, vertical tab, form feed, carriage
// return. Eight bytes are looked at together: a mask tells where words begin and end.
func Words(text []byte) iter.Seq[Text] {
	return func(yield func(Text) bool) {
		start := -1
		at := 0
		for ; at+8 <= len(text); at += 8 {
			spaces := spaceBits(binary.LittleEndian.Uint64(text[at : at+8]))
			if start < 0 && spaces == highs || start >= 0 && spaces == 0 {
				continue
			}
			// High bits where the kind of byte changes.
			before := spaces << 8
			if start < 0 {
				before |= 0x80
			}
			for edges := spaces ^ before; edges != 0; edges &= edges - 1 {
				edge := at + bits.TrailingZeros64(edges)>>3
				if start < 0 {
					start = edge
					continue
				}
				if !yield(text[start:edge:edge]) {
					return
				}
				start = -1
			}
		}
		for ; at < len(text); at++ {
			if c := text[at]; c == ' ' || c-9 < 5 {
				if start >= 0 && !yield(text[start:at:at]) {
					return
				}
				start = -1
			} else if start < 0 {
				start = at
			}
		}
		if start >= 0 {
			yield(text[start:])
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = ones << 7
)

// spaceBits has the high bit of each byte that is white space.
func spaceBits(bytes uint64) uint64 {
	low := bytes &^ highs
	notSpace := (low ^ ones*' ') + ^uint64(highs)
	fromTab := low + ones*(128-9)
	beyond := low + ones*(128-14)
	return (^notSpace | fromTab&^beyond) &^ bytes & highs
}
