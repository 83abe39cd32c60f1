package mr

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
)

// Line is a line of text, without its newline. The text is good until Map returns.
type Line struct {
	Text Text
	// Offset is that of its first byte in the file.
	Offset uint64
}

// Words are what is between white space.
func (line Line) Words() iter.Seq[Text] { return Words(line.Text) }

// FileLine is a line that knows the path of its file.
type FileLine struct {
	Line
	Path Text
}

// Chunk is whole lines with their newlines; the last one may lack its own.
type Chunk struct{ Line }

// eachLine splits a row: an empty row is an empty line.
func eachLine(text []byte, offset uint64, each func(Line) error) error {
	current.doing = atLine
	for start := 0; ; {
		line := text[start:]
		newline := bytes.IndexByte(line, '\n')
		if newline >= 0 {
			line = line[:newline:newline]
		}
		current.offset, current.key = offset+uint64(start), line
		if err := each(Line{line, current.offset}); err != nil {
			return err
		}
		start += newline + 1
		if newline < 0 || start >= len(text) {
			return nil
		}
	}
}

// cell is one of a column.
func (c *column) cell(row int) []byte {
	if len(c.ends) == 0 {
		start := row * int(c.width)
		return c.data[start : start+int(c.width)]
	}
	start := 0
	if row > 0 {
		start = endAt(c.ends, row-1)
	}
	return c.data[start:endAt(c.ends, row)]
}

func endAt(ends []byte, row int) int {
	return int(binary.LittleEndian.Uint32(ends[row*4 : row*4+4]))
}

// Values are the values of one key, one after the other, however many batches they fill.
type Values[V any] struct {
	codec   codec[V]
	cells   *column
	fetched column
	at, end int
	more    bool
	marked  bool
	mark    mark
}

// Next is the next value, and false at the end of the group. Text in it is good until the next one
// is asked for. A value that is not of type V fails the task.
func (values *Values[V]) Next() (value V, some bool) {
	if values.at == values.end && !values.fetch() {
		return
	}
	cell := values.cells.cell(values.at)
	values.at++
	value, ok := values.codec.read(cell)
	if !ok {
		panic(malformed(values.codec.name, cell))
	}
	return value, true
}

// All are the values, for a range loop.
func (values *Values[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for value, some := values.Next(); some; value, some = values.Next() {
			if !yield(value) {
				return
			}
		}
	}
}

// fetch gets the next part of the group; it replaces the one before.
func (values *Values[V]) fetch() bool {
	for values.more {
		if values.marked {
			release(values.mark)
		}
		values.marked, values.mark = true, markFrames()
		rows, cells, some := hostNextValues()
		if !some {
			values.more = false
			break
		}
		values.fetched, values.cells = cells, &values.fetched
		values.at, values.end = 0, rows
		if rows > 0 {
			return true
		}
	}
	return false
}

func malformed(name string, cell []byte) *Error {
	return Invalid("a cell of " + strconv.Itoa(len(cell)) + " bytes is not of type " + name + ": was it written by another kind of plugin?")
}
