package main

import (
	"testing"

	"example.com/{{name}}/mr"
)

func TestLinesPass(t *testing.T) {
	run := mr.NewRun()
	if err := run.Map("a\nb\n"); err != nil {
		t.Fatal(err)
	}
	if got := run.Text(); got != "a\nb\n" {
		t.Fatal(got)
	}
}
