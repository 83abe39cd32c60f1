package main

import (
	"testing"

	"example.com/{{name}}/mr"
)

func TestWordsAreCounted(t *testing.T) {
	run := mr.NewRun()
	if err := run.Job("to be\nor not to be\n"); err != nil {
		t.Fatal(err)
	}
	if got := run.Text(); got != "be\t2\nnot\t1\nor\t1\nto\t2\n" {
		t.Fatal(got)
	}
}
