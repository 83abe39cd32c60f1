package main

import (
	"testing"

	"example.com/{{name}}/mr"
)

func TestOrdersMeetTheirUsers(t *testing.T) {
	run := mr.NewRun()
	text := "order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\norder\t7\tpen\norder\t7\tink\norder\t7\tlamp\n?\n"
	if err := run.Job(text); err != nil {
		t.Fatal(err)
	}
	if got := run.Text(); got != "7\tAda\tbook\n7\tAda\tpen\n7\tAda\tink\n7\tAda\tlamp\n" {
		t.Fatal(got)
	}
	if run.Counters["orders without a user"] != 1 || len(run.Rejects) != 1 {
		t.Fatal(run.Counters, run.Rejects)
	}
}
