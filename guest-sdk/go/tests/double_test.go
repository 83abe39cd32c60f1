package mr

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// The double of the engine: named outputs, and groups by a prefix of the key.

var (
	odd   = NewPort[Text, Unit]("odd")
	large = NewPort[Text, uint64]("large")
)

type pairs struct{}

func (pairs) Map(line Line, out *Out[Tuple2[Text, Desc[uint64]], uint64]) error {
	name, number, found := bytes.Cut(line.Text, []byte(" "))
	if !found {
		odd.Emit(name, Unit{})
		return nil
	}
	n, err := strconv.ParseUint(string(number), 10, 64)
	out.Emit(NewTuple2(Text(name), NewDesc(n)), n)
	return err
}

type joined struct{}

func (joined) Reduce(key Tuple1[string], values *Values[uint64], out *Out[string, string]) error {
	var all []string
	for n := range values.All() {
		all = append(all, strconv.FormatUint(n, 10))
		if n > 9 {
			large.Emit(Text(key.A), n)
		}
	}
	out.Emit(key.A, strings.Join(all, ","))
	return nil
}

func TestTheDoubleHasOutputsAndPrefixes(t *testing.T) {
	registered = Plugin{Name: "double", Mapper: Lines(pairs{}), Reducer: Groups(joined{}), GroupPrefix: 1, Outputs: []AnyPort{odd, large}}
	defer func() { registered = Plugin{} }()
	same := func(got, expected string) {
		t.Helper()
		if got != expected {
			t.Fatalf("%q", got)
		}
	}
	run := NewRun()
	if err := run.Job("b 1\na 2\na 10\nb 3\na 11\na 1\n"); err != nil {
		t.Fatal(err)
	}
	same(run.Text(), "a\t11,10,2,1\nb\t3,1\n")
	same(run.Output("large"), "a\t11\na\t10\n")
	same(run.Output("odd"), "")
	if err := run.Map("x\nb 1\ny\n"); err != nil {
		t.Fatal(err)
	}
	same(run.Output("odd"), "x\ny\n")
	// In a job with a reducer the mapper has none; nor has a plugin that does not list it.
	says := "there is no output odd in this stage"
	if err := run.Job("x\n"); err == nil || !strings.Contains(err.Error(), says) {
		t.Fatal(err)
	}
	registered.Outputs = nil
	if err := run.Map("x\n"); err == nil || !strings.Contains(err.Error(), says) {
		t.Fatal(err)
	}
	all := map[string]string{}
	registered.Outputs = []AnyPort{odd, large}
	for _, fact := range facts("mapper,reducer") {
		all[fact.name] = fact.value
	}
	same(all["outputs"], "odd,large")
	same(all["output.large.key"]+" "+all["output.large.value"], "text u64")
}
