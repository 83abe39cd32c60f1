// Cuts lines behind their first word, and sends records to where the plugin `route` does.

package main

import (
	"bytes"

	"example.com/my-empty/mr"
)

var (
	wrong   = mr.NewPort[mr.Text, mr.Text]("errors")
	lengths = mr.NewPort[mr.Text, uint64]("lengths")
)

type Cut struct{}

func (Cut) Map(line mr.Line, out *mr.Out[mr.Text, mr.Text]) error {
	key, value, _ := bytes.Cut(line.Text, []byte(" "))
	switch {
	case bytes.HasPrefix(value, []byte("!")):
		wrong.Emit(key, value)
	case bytes.HasPrefix(key, []byte("z")):
		lengths.Emit(key, uint64(len(value)))
	default:
		out.Emit(key, value)
	}
	return nil
}

func init() {
	mr.Register(mr.Plugin{Name: "cut", Mapper: mr.Lines(Cut{}), Outputs: []mr.AnyPort{wrong, lengths}})
}

func main() {}
