// Joins users and their orders: lines "user TAB id TAB name" and "order TAB id TAB item" become
// "id TAB name TAB item".
package main

import (
	"bytes"

	"example.com/{{name}}/mr"
)

// Said is what a line says: user or order, and the name or item.
type Said = mr.Tuple2[string, string]

// ByID emits what a line says under its id.
type ByID struct{}

func (ByID) Map(line mr.Line, out *mr.Out[mr.Text, Said]) error {
	fields := bytes.Split(line.Text, []byte("\t"))
	if len(fields) != 3 || string(fields[0]) != "user" && string(fields[0]) != "order" {
		return mr.Reject("not a user and not an order")
	}
	out.Emit(fields[1], mr.NewTuple2(string(fields[0]), string(fields[2])))
	return nil
}

// Join brings the users and the orders of an id together.
type Join struct{}

func (Join) Reduce(id mr.Text, values *mr.Values[Said], out *mr.Out[mr.Text, Said]) error {
	var users, orders []string
	for said := range values.All() {
		if said.A == "user" {
			users = append(users, said.B)
		} else {
			orders = append(orders, said.B)
		}
	}
	if len(users) == 0 {
		mr.Count("orders without a user", int64(len(orders)))
	}
	for _, name := range users {
		for _, item := range orders {
			out.Emit(id, mr.NewTuple2(name, item))
		}
	}
	return nil
}

func init() {
	mr.Register(mr.Plugin{Name: "{{name}}", Mapper: mr.Lines(ByID{}), Reducer: mr.Groups(Join{})})
}

func main() {}
