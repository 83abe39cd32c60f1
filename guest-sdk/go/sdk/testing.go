//go:build !wasm

package mr

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A native double of the engine: it runs the plugin's roles in small batches, with long groups in
// parts, on one thread.

const (
	// Rows in a batch, values in a part of a group.
	testRows     = 3
	testOutBytes = 200
)

type testRecord struct{ key, value []byte }

// Run is a run of the registered plugin without the engine:
//
//	run := mr.NewRun()
//	err := run.Job("to be or not to be\n")
//	run.Text() == "be\t2\nnot\t1\nor\t1\nto\t2\n"
type Run struct {
	Params     map[string]string
	SideInputs map[string][]byte
	// Counters are sums over all that ran.
	Counters map[string]int64
	// Rejects are the reasons.
	Rejects []string
	emitted []testRecord
	// What was emitted to named outputs, by name.
	named map[string][]testRecord
	rest  []testRecord
	types []fact
}

var running *Run

// NewRun begins a run.
func NewRun() *Run {
	return &Run{Params: map[string]string{}, SideInputs: map[string][]byte{}, Counters: map[string]int64{}}
}

func asError(failed *failure) error {
	if failed == nil {
		return nil
	}
	return &Error{failed.kind, failed.message}
}

// start opens a role; only the last one of a job has the named outputs.
func (run *Run) start(d driver, stage string, last bool) error {
	running, counters = run, nil
	run.emitted, run.named, run.types = nil, map[string][]testRecord{}, d.facts(stage)
	task := &Task{Job: "test", Partitions: 1, outputs: []string{"main"}}
	if last {
		task.Partitions = 0
		for _, port := range registered.Outputs {
			task.outputs = append(task.outputs, port.Name())
		}
	}
	return asError(openRole(stage, d, task, testOutBytes))
}

// Map maps the lines of a text, as a job without reducers does.
func (run *Run) Map(text string) error { return run.mapLines(text, true) }

func (run *Run) mapLines(text string, last bool) error {
	d := registered.Mapper.driver
	if err := run.start(d, "map", last); err != nil {
		return err
	}
	withPath := slices.Contains(d.facts("map"), fact{"map.input-key", "path-offset"})
	for start := 0; start < len(text); {
		end := start
		for lines := 0; end < len(text) && lines < testRows; end++ {
			if text[end] == '\n' {
				lines++
			}
		}
		var key []byte
		if withPath {
			key = putString(key, []byte("input"))
		}
		key = putBits(key, uint64(start))
		row := []testRecord{{key, []byte(text[start:end])}}
		if err := asError(mapBatch(&batch{1, pack(row, false), pack(row, true)})); err != nil {
			return err
		}
		start = end
	}
	return asError(closeRole(d))
}

// Combine combines what was emitted.
func (run *Run) Combine() error { return run.groups(registered.Combiner.driver, "combine") }

// Reduce reduces what was emitted.
func (run *Run) Reduce() error { return run.groups(registered.Reducer.driver, "reduce") }

// Job runs the plugin over a text, with its combiner where it has one.
func (run *Run) Job(text string) error {
	if err := run.mapLines(text, false); err != nil {
		return err
	}
	if registered.Combiner.driver != nil {
		if err := run.Combine(); err != nil {
			return err
		}
	}
	return run.Reduce()
}

func (run *Run) groups(d reduceDriver, stage string) error {
	records := run.emitted
	slices.SortStableFunc(records, func(a, b testRecord) int { return bytes.Compare(a.key, b.key) })
	if err := run.start(d, stage, stage == "reduce"); err != nil {
		return err
	}
	for start := 0; start < len(records); {
		end, key := start+1, run.groupKey(records[start].key, stage)
		for end < len(records) && bytes.Equal(key, run.groupKey(records[end].key, stage)) {
			end++
		}
		first := end
		if stage == "reduce" {
			first = min(end, start+testRows)
		}
		run.rest = records[first:end]
		input := &grouped{
			groups: 1,
			keys:   pack([]testRecord{{key: key}}, false),
			ends:   binary.LittleEndian.AppendUint32(nil, uint32(first-start)),
			values: pack(records[start:first], true),
			more:   first < end,
		}
		failed := call(InvalidInput, func() error { return d.work(input, stage == "combine") })
		if failed != nil {
			return asError(failed)
		}
		start = end
	}
	return asError(closeRole(d))
}

// groupKey is the part of a key that makes a group: of a reducer's tuple, the elements that it reads.
func (run *Run) groupKey(key []byte, stage string) []byte {
	if stage != "reduce" || registered.GroupPrefix == 0 {
		return key
	}
	at := slices.IndexFunc(run.types, func(f fact) bool { return f.name == "reduce.in.key" })
	_, _, rest := renderFront(nil, run.types[at].value, key)
	return key[:len(key)-len(rest)]
}

func pack(records []testRecord, values bool) (c column) {
	for _, record := range records {
		cell := record.key
		if values {
			cell = record.value
		}
		c.data = append(c.data, cell...)
		c.ends = binary.LittleEndian.AppendUint32(c.ends, uint32(len(c.data)))
	}
	return c
}

// Text is what was emitted, as the engine writes it: key, tab, value, newline.
func (run *Run) Text() string {
	var keyType, valueType string
	for _, fact := range run.types {
		if name, is := strings.CutSuffix(fact.name, ".key"); is && name != "reduce.in" {
			keyType = fact.value
		}
		if name, is := strings.CutSuffix(fact.name, ".value"); is && name != "reduce.in" {
			valueType = fact.value
		}
	}
	return textOf(run.emitted, keyType, valueType)
}

// Output is what was emitted to a named output, as the engine writes it.
func (run *Run) Output(name string) string {
	for _, port := range registered.Outputs {
		if types := port.facts(); port.Name() == name {
			return textOf(run.named[name], types[0].value, types[1].value)
		}
	}
	return ""
}

func textOf(records []testRecord, keyType, valueType string) string {
	var text []byte
	for _, record := range records {
		text = render(text, keyType, record.key)
		if keyType != "unit" && valueType != "unit" {
			text = append(text, '\t')
		}
		text = append(render(text, valueType, record.value), '\n')
	}
	return string(text)
}

// render writes a cell as text output does.
func render(text []byte, name string, cell []byte) []byte {
	if name == "text" || name == "bytes" {
		return append(text, cell...)
	}
	text, _, _ = renderFront(text, name, cell)
	return text
}

// renderFront takes a type off the front of a name, and a cell of it off the front of cells.
func renderFront(text []byte, name string, cell []byte) ([]byte, string, []byte) {
	if elements, isTuple := strings.CutPrefix(name, "tuple<"); isTuple {
		name = elements
		for {
			text, name, cell = renderFront(text, name, cell)
			if !strings.HasPrefix(name, ",") {
				return text, strings.TrimPrefix(name, ">"), cell
			}
			text, name = append(text, '\t'), name[1:]
		}
	}
	if inner, isDesc := strings.CutPrefix(name, "desc<"); isDesc {
		flipped := append([]byte(nil), cell...)
		flip(flipped)
		text, name, flipped = renderFront(text, inner, flipped)
		return text, strings.TrimPrefix(name, ">"), cell[len(cell)-len(flipped):]
	}
	end := strings.IndexAny(name+">", ",>")
	text, cell = renderElement(text, name[:end], cell)
	return text, name[end:], cell
}

func renderElement(text []byte, name string, cell []byte) ([]byte, []byte) {
	switch name {
	case "text", "bytes":
		string, rest, _ := getString(cell)
		return append(text, string...), rest
	case "u64":
		n, rest, _ := getBits(cell)
		return strconv.AppendUint(text, n, 10), rest
	case "s64":
		n, rest, _ := getBits(cell)
		return strconv.AppendInt(text, int64(n^sign), 10), rest
	case "f64":
		x, rest, _ := getFloat(cell)
		return strconv.AppendFloat(text, x, 'f', -1, 64), rest
	case "bool":
		yes, rest, _ := getBool(cell)
		return strconv.AppendBool(text, yes), rest
	}
	return text, cell
}

func hostEmit(port uint32, b *batch) {
	var records []testRecord
	for row := range int(b.rows) {
		records = append(records, testRecord{bytes.Clone(b.keys.cell(row)), bytes.Clone(b.values.cell(row))})
	}
	if port == 0 {
		running.emitted = append(running.emitted, records...)
		return
	}
	name := registered.Outputs[port-1].Name()
	running.named[name] = append(running.named[name], records...)
}

func hostReject(_ uint32, reason string) { running.Rejects = append(running.Rejects, reason) }

func hostNextValues() (int, column, bool) {
	part := running.rest[:min(len(running.rest), testRows)]
	running.rest = running.rest[len(part):]
	return len(part), pack(part, true), len(part) > 0
}

func hostParam(name string) (string, bool) {
	for _, param := range registered.Params {
		if text, set := running.Params[name]; param.Name == name && !set {
			return param.Default, param.Default != "" && text == ""
		}
	}
	text, set := running.Params[name]
	return text, set
}

func hostCount(deltas []counter) {
	for _, delta := range deltas {
		running.Counters[delta.name] += delta.delta
	}
}

func hostLog(_ Level, message string) { fmt.Fprintln(os.Stderr, message) }

func hostSideInputBytes(name string) (uint64, bool) {
	file, some := running.SideInputs[name]
	return uint64(len(file)), some
}

func hostSideInputRead(name string, offset uint64, len uint32) []byte {
	file := running.SideInputs[name][offset:]
	return file[:min(uint64(cap(file)), uint64(len))]
}

type mark struct{}

func markFrames() mark { return mark{} }
func release(mark)     {}
