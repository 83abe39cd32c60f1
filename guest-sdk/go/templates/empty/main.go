// Passes on every line as it is: a beginning.
package main

import "example.com/{{name}}/mr"

// Pass emits every line.
type Pass struct{}

func (Pass) Map(line mr.Line, out *mr.Out[mr.Unit, mr.Text]) error {
	out.Emit(mr.Unit{}, line.Text)
	return nil
}

func init() {
	mr.Register(mr.Plugin{Name: "{{name}}", Mapper: mr.Lines(Pass{})})
}

func main() {}
