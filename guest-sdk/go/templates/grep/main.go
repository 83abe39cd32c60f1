// Finds the lines that contain a text.
package main

import (
	"bytes"

	"example.com/{{name}}/mr"
)

// Matches emits the lines that contain the parameter pattern.
type Matches struct{ pattern []byte }

func (m *Matches) Setup(task *mr.Task) error {
	pattern, err := task.Text("pattern")
	m.pattern = []byte(pattern)
	return err
}

func (m *Matches) Map(line mr.Line, out *mr.Out[mr.Unit, mr.Text]) error {
	if bytes.Contains(line.Text, m.pattern) {
		out.Emit(mr.Unit{}, line.Text)
		mr.Count("lines matched", 1)
	}
	return nil
}

func init() {
	mr.Register(mr.Plugin{
		Name:   "{{name}}",
		Mapper: mr.Lines(&Matches{}),
		Params: []mr.Param{{Name: "pattern", Required: true, Help: "text that a line must contain"}},
	})
}

func main() {}
