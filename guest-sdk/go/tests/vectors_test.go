package mr

import (
	"bytes"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The encodings against wit/vectors.json, as lines (see tests/languages/vectors.rs): the list's type, the
// cell in hexadecimal, and the elements of the value; "malformed" and a cell that must be refused.

func text(field string) []byte {
	bytes, err := hex.DecodeString(field)
	if err != nil {
		panic(err)
	}
	return bytes
}

func uintOf(field string) uint64 {
	n, err := strconv.ParseUint(field, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func intOf(field string) int64 {
	n, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func floatOf(field string) float64 {
	x, err := strconv.ParseFloat(field, 64)
	if err != nil {
		panic(err)
	}
	return x
}

type check func(t *testing.T, cell []byte, fields []string, malformed bool)

func of[T any](parse func(f []string) T) (string, check) {
	c := codecOf[T]()
	return c.name, func(t *testing.T, cell []byte, fields []string, malformed bool) {
		value, ok := c.read(cell)
		if ok == malformed {
			t.Fatal("read:", ok)
		}
		if malformed {
			return
		}
		if written := c.write(nil, parse(fields)); !bytes.Equal(written, cell) {
			t.Fatalf("wrote %x", written)
		}
		if again := c.write(nil, value); !bytes.Equal(again, cell) {
			t.Fatalf("read what becomes %x", again)
		}
		if c.width != variable && c.width != len(cell) {
			t.Fatal("width", c.width)
		}
	}
}

func TestCellsAreThoseOfTheVectors(t *testing.T) {
	checks := map[string][]check{}
	add := func(name string, c check) { checks[name] = append(checks[name], c) }
	add(of(func(f []string) Text { return text(f[0]) }))
	add(of(func(f []string) string { return string(text(f[0])) }))
	add(of(func(f []string) Bytes { return text(f[0]) }))
	add(of(func(f []string) uint64 { return uintOf(f[0]) }))
	add(of(func(f []string) int64 { return intOf(f[0]) }))
	add(of(func(f []string) float64 { return floatOf(f[0]) }))
	add(of(func(f []string) bool { return f[0] == "true" }))
	add(of(func(f []string) Unit { return Unit{} }))
	add(of(func(f []string) Tuple1[Text] { return Tuple1[Text]{text(f[0])} }))
	add(of(func(f []string) Tuple2[string, uint64] { return NewTuple2(string(text(f[0])), uintOf(f[1])) }))
	add(of(func(f []string) Tuple2[Text, Text] { return NewTuple2(Text(text(f[0])), Text(text(f[1]))) }))
	add(of(func(f []string) Tuple2[Bytes, int64] { return NewTuple2(Bytes(text(f[0])), intOf(f[1])) }))
	add(of(func(f []string) Tuple2[Tuple2[int64, float64], bool] {
		return NewTuple2(NewTuple2(intOf(f[0]), floatOf(f[1])), f[2] == "true")
	}))
	add(of(func(f []string) Tuple3[uint64, Unit, Text] { return NewTuple3(uintOf(f[0]), Unit{}, Text(text(f[2]))) }))
	add(of(func(f []string) Desc[Text] { return NewDesc(Text(text(f[0]))) }))
	add(of(func(f []string) Desc[string] { return NewDesc(string(text(f[0]))) }))
	add(of(func(f []string) Desc[Bytes] { return NewDesc(Bytes(text(f[0]))) }))
	add(of(func(f []string) Desc[uint64] { return NewDesc(uintOf(f[0])) }))
	add(of(func(f []string) Desc[int64] { return NewDesc(intOf(f[0])) }))
	add(of(func(f []string) Desc[float64] { return NewDesc(floatOf(f[0])) }))
	add(of(func(f []string) Desc[bool] { return NewDesc(f[0] == "true") }))
	add(of(func(f []string) Desc[Unit] { return NewDesc(Unit{}) }))
	add(of(func(f []string) Desc[Tuple2[Text, uint64]] { return NewDesc(NewTuple2(Text(text(f[0])), uintOf(f[1]))) }))
	add(of(func(f []string) Desc[Desc[Text]] { return NewDesc(NewDesc(Text(text(f[0])))) }))
	add(of(func(f []string) Tuple2[Text, Desc[uint64]] { return NewTuple2(Text(text(f[0])), NewDesc(uintOf(f[1]))) }))
	add(of(func(f []string) Tuple2[Desc[Text], Text] { return NewTuple2(NewDesc(Text(text(f[0]))), Text(text(f[1]))) }))

	file, err := os.ReadFile("vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var last []byte
	lastName, checked := "", 0
	for _, line := range strings.Split(strings.TrimSuffix(string(file), "\n"), "\n") {
		fields := strings.Split(line, "\t")
		name, malformed := strings.CutPrefix(fields[0], "malformed ")
		cell := text(fields[1])
		if checks[name] == nil {
			t.Fatal("add the type to this test:", name)
		}
		for _, check := range checks[name] {
			t.Run(line, func(t *testing.T) { check(t, cell, fields[2:], malformed) })
			checked++
		}
		if malformed {
			continue
		}
		if name == lastName && bytes.Compare(last, cell) >= 0 {
			t.Fatal("the cell does not sort behind the one before:", line)
		}
		last, lastName = cell, name
	}
	if checked < 50 {
		t.Fatal(checked, "vectors")
	}
}
