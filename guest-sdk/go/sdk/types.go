package mr

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Text is read and written as text: UTF-8 by intention, never checked. It is a view of the batch in
// hand, good until the function returns; use string(text) to keep it.
type Text []byte

// Bytes is read and written as bytes, a view as Text is.
type Bytes []byte

// Unit has no bytes, and text output leaves it out.
type Unit struct{}

// Tuple1 is a tuple of one element.
type Tuple1[A any] struct{ A A }

// Tuple2 is a tuple of two elements: it sorts by the first one, then by the second.
type Tuple2[A, B any] struct {
	A A
	B B
}

// Tuple3 is a tuple of three elements.
type Tuple3[A, B, C any] struct {
	A A
	B B
	C C
}

// Tuple4 is a tuple of four elements.
type Tuple4[A, B, C, D any] struct {
	A A
	B B
	C C
	D D
}

// NewTuple2 makes a tuple of two.
func NewTuple2[A, B any](a A, b B) Tuple2[A, B] { return Tuple2[A, B]{a, b} }

// NewTuple3 makes a tuple of three.
func NewTuple3[A, B, C any](a A, b B, c C) Tuple3[A, B, C] { return Tuple3[A, B, C]{a, b, c} }

// Desc sorts the other way round, the greatest first.
type Desc[T any] struct{ Value T }

// NewDesc turns the order of a value round.
func NewDesc[T any](value T) Desc[T] { return Desc[T]{value} }

// variable is the width of a type whose cells differ.
const variable = -1

// codec is how values of a type become cells (wit/ENCODING.md of the engine), and cells values.
type codec[T any] struct {
	name  string
	width int
	// put appends the value as an element of a tuple, get takes one off the front of a cell.
	put func(cell []byte, value T) []byte
	get func(cell []byte) (value T, rest []byte, ok bool)
	// write and read are for whole cells; the same but for text.
	write func(cell []byte, value T) []byte
	read  func(cell []byte) (value T, ok bool)
}

func whole[T any](c codec[T]) any {
	c.write = c.put
	c.read = func(cell []byte) (T, bool) {
		value, rest, ok := c.get(cell)
		return value, ok && len(rest) == 0
	}
	return c
}

const sign = 1 << 63

func putBits(cell []byte, bits uint64) []byte { return binary.BigEndian.AppendUint64(cell, bits) }

func getBits(cell []byte) (uint64, []byte, bool) {
	if len(cell) < 8 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(cell), cell[8:], true
}

// putString escapes: 00 becomes 00 FF, 00 00 ends it.
func putString(cell, text []byte) []byte {
	for {
		zero := bytes.IndexByte(text, 0)
		if zero < 0 {
			return append(append(cell, text...), 0, 0)
		}
		cell = append(append(cell, text[:zero+1]...), 0xff)
		text = text[zero+1:]
	}
}

func getString(cell []byte) (text, rest []byte, ok bool) {
	whole := true
	for {
		zero := bytes.IndexByte(cell, 0)
		if zero < 0 || zero+1 == len(cell) {
			return nil, nil, false
		}
		switch cell[zero+1] {
		case 0:
			if whole {
				return cell[:zero:zero], cell[zero+2:], true
			}
			return append(text, cell[:zero]...), cell[zero+2:], true
		case 0xff:
			text = append(text, cell[:zero+1]...)
			cell = cell[zero+2:]
			whole = false
		default:
			return nil, nil, false
		}
	}
}

func stringCodec[T any](name string, to func(T) []byte, from func([]byte) T) any {
	return codec[T]{
		name:  name,
		width: variable,
		put:   func(cell []byte, value T) []byte { return putString(cell, to(value)) },
		get: func(cell []byte) (T, []byte, bool) {
			text, rest, ok := getString(cell)
			return from(text), rest, ok
		},
		write: func(cell []byte, value T) []byte { return append(cell, to(value)...) },
		read:  func(cell []byte) (T, bool) { return from(cell), true },
	}
}

func putFloat(cell []byte, x float64) []byte {
	bits := math.Float64bits(x)
	if x != x {
		// The sign and payload of a computed NaN differ between machines; output must not.
		bits = 0x7ff8 << 48
	}
	if bits&sign != 0 {
		return putBits(cell, ^bits)
	}
	return putBits(cell, bits|sign)
}

func getFloat(cell []byte) (float64, []byte, bool) {
	bits, rest, ok := getBits(cell)
	if bits&sign != 0 {
		return math.Float64frombits(bits ^ sign), rest, ok
	}
	return math.Float64frombits(^bits), rest, ok
}

func putBool(cell []byte, yes bool) []byte {
	if yes {
		return append(cell, 1)
	}
	return append(cell, 0)
}

func getBool(cell []byte) (bool, []byte, bool) {
	if len(cell) < 1 || cell[0] > 1 {
		return false, nil, false
	}
	return cell[0] == 1, cell[1:], true
}

// nested is implemented by the tuples and by Desc.
type nested interface{ codec() any }

// codec writes the value as an element of a tuple, all bits flipped.
func (Desc[T]) codec() any {
	inner := codecOf[T]()
	return whole(codec[Desc[T]]{
		name:  "desc<" + inner.name + ">",
		width: inner.width,
		put: func(cell []byte, value Desc[T]) []byte {
			start := len(cell)
			cell = inner.put(cell, value.Value)
			flip(cell[start:])
			return cell
		},
		get: func(cell []byte) (value Desc[T], rest []byte, ok bool) {
			front := cell
			if inner.width != variable && inner.width < len(cell) {
				front = cell[:inner.width]
			}
			flipped := append([]byte(nil), front...)
			flip(flipped)
			left := flipped
			value.Value, left, ok = inner.get(flipped)
			return value, cell[len(flipped)-len(left):], ok
		},
	})
}

func flip(bytes []byte) {
	for i := range bytes {
		bytes[i] = ^bytes[i]
	}
}

func (Tuple1[A]) codec() any {
	a := codecOf[A]()
	return whole(codec[Tuple1[A]]{
		name:  "tuple<" + a.name + ">",
		width: a.width,
		put:   func(cell []byte, value Tuple1[A]) []byte { return a.put(cell, value.A) },
		get: func(cell []byte) (value Tuple1[A], rest []byte, ok bool) {
			value.A, rest, ok = a.get(cell)
			return
		},
	})
}

func (Tuple2[A, B]) codec() any {
	a, b := codecOf[A](), codecOf[B]()
	return whole(codec[Tuple2[A, B]]{
		name:  "tuple<" + a.name + "," + b.name + ">",
		width: sumOf(a.width, b.width),
		put:   func(cell []byte, value Tuple2[A, B]) []byte { return b.put(a.put(cell, value.A), value.B) },
		get: func(cell []byte) (value Tuple2[A, B], rest []byte, ok bool) {
			if value.A, rest, ok = a.get(cell); ok {
				value.B, rest, ok = b.get(rest)
			}
			return
		},
	})
}

func (Tuple3[A, B, C]) codec() any {
	head, c := codecOf[Tuple2[A, B]](), codecOf[C]()
	return whole(codec[Tuple3[A, B, C]]{
		name:  head.name[:len(head.name)-1] + "," + c.name + ">",
		width: sumOf(head.width, c.width),
		put: func(cell []byte, value Tuple3[A, B, C]) []byte {
			return c.put(head.put(cell, Tuple2[A, B]{value.A, value.B}), value.C)
		},
		get: func(cell []byte) (value Tuple3[A, B, C], rest []byte, ok bool) {
			var front Tuple2[A, B]
			if front, rest, ok = head.get(cell); ok {
				value.A, value.B = front.A, front.B
				value.C, rest, ok = c.get(rest)
			}
			return
		},
	})
}

func (Tuple4[A, B, C, D]) codec() any {
	head, d := codecOf[Tuple3[A, B, C]](), codecOf[D]()
	return whole(codec[Tuple4[A, B, C, D]]{
		name:  head.name[:len(head.name)-1] + "," + d.name + ">",
		width: sumOf(head.width, d.width),
		put: func(cell []byte, value Tuple4[A, B, C, D]) []byte {
			return d.put(head.put(cell, Tuple3[A, B, C]{value.A, value.B, value.C}), value.D)
		},
		get: func(cell []byte) (value Tuple4[A, B, C, D], rest []byte, ok bool) {
			var front Tuple3[A, B, C]
			if front, rest, ok = head.get(cell); ok {
				value.A, value.B, value.C = front.A, front.B, front.C
				value.D, rest, ok = d.get(rest)
			}
			return
		},
	})
}

func sumOf(a, b int) int {
	if a == variable || b == variable {
		return variable
	}
	return a + b
}

// codecOf finds the codec of a type, and ends the program where it is none of keys and values.
func codecOf[T any]() codec[T] {
	var zero T
	var found any
	switch value := any(zero).(type) {
	case Text:
		found = stringCodec("text", func(v Text) []byte { return v }, func(v []byte) Text { return v })
	case string:
		found = stringCodec("text", func(v string) []byte { return []byte(v) }, func(v []byte) string { return string(v) })
	case Bytes:
		found = stringCodec("bytes", func(v Bytes) []byte { return v }, func(v []byte) Bytes { return v })
	case uint64:
		found = whole(codec[uint64]{name: "u64", width: 8, put: putBits, get: getBits})
	case int64:
		found = whole(codec[int64]{
			name: "s64", width: 8,
			put: func(cell []byte, value int64) []byte { return putBits(cell, uint64(value)^sign) },
			get: func(cell []byte) (int64, []byte, bool) {
				bits, rest, ok := getBits(cell)
				return int64(bits ^ sign), rest, ok
			},
		})
	case float64:
		found = whole(codec[float64]{name: "f64", width: 8, put: putFloat, get: getFloat})
	case bool:
		found = whole(codec[bool]{name: "bool", width: 1, put: putBool, get: getBool})
	case Unit:
		found = whole(codec[Unit]{
			name: "unit",
			put:  func(cell []byte, _ Unit) []byte { return cell },
			get:  func(cell []byte) (Unit, []byte, bool) { return Unit{}, cell, true },
		})
	case nested:
		found = value.codec()
	}
	c, ok := found.(codec[T])
	if !ok {
		panic("a type is none of keys and values: use mr.Text, string, mr.Bytes, uint64, int64, float64, bool, mr.Unit, or tuples and mr.Desc of these")
	}
	return c
}
