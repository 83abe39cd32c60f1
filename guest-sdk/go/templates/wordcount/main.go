// Counts words: every word of the input with the number of times that it occurs.
package main

import "example.com/{{name}}/mr"

// Words emits every word with a 1, added up as far as a small table allows.
type Words struct{}

func (Words) Map(chunk mr.Chunk, out *mr.Out[mr.Text, uint64]) error {
	for word := range chunk.Words() {
		out.Sum(word, 1)
	}
	return nil
}

func init() {
	mr.Register(mr.Plugin{
		Name:     "{{name}}",
		Mapper:   mr.Chunks(Words{}),
		Combiner: mr.Sum[mr.Text](),
		Reducer:  mr.Sum[mr.Text](),
	})
}

func main() {}
