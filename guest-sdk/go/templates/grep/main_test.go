package main

import (
	"testing"

	"example.com/{{name}}/mr"
)

func TestLinesAreFound(t *testing.T) {
	run := mr.NewRun()
	run.Params["pattern"] = "rr"
	if err := run.Map("an error\nall is well\nsorry\n"); err != nil {
		t.Fatal(err)
	}
	if got := run.Text(); got != "an error\nsorry\n" || run.Counters["lines matched"] != 2 {
		t.Fatal(got, run.Counters)
	}
}
