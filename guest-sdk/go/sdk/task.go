package mr

import (
	"fmt"
	"strconv"
)

// Task is what a role is set up for.
type Task struct {
	Job                         string
	Number, Attempt, Partitions uint32
	// Seed is equal for all attempts of a task.
	Seed uint64
	// Names of the outputs, the main one first.
	outputs []string
}

// Param is a parameter as text, and false where it is neither set nor has a default.
func (*Task) Param(name string) (string, bool) { return hostParam(name) }

// Text is a parameter that is required or has a default.
func (task *Task) Text(name string) (string, error) {
	text, set := task.Param(name)
	if !set {
		return "", Fatal("parameter " + name + " is not set")
	}
	return text, nil
}

// Uint64 is a parameter that is a number from 0.
func (task *Task) Uint64(name string) (uint64, error) {
	return parsed(task, name, func(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) })
}

// Int64 is a parameter that is a whole number.
func (task *Task) Int64(name string) (int64, error) {
	return parsed(task, name, func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) })
}

// Float64 is a parameter that is a number.
func (task *Task) Float64(name string) (float64, error) {
	return parsed(task, name, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
}

// Bool is a parameter that is true or false.
func (task *Task) Bool(name string) (bool, error) {
	return parsed(task, name, strconv.ParseBool)
}

func parsed[T any](task *Task, name string, parse func(string) (T, error)) (value T, err error) {
	text, err := task.Text(name)
	if err != nil {
		return value, err
	}
	if value, err = parse(text); err != nil {
		return value, Fatal("parameter " + name + " = " + strconv.Quote(text) + ": " + err.Error())
	}
	return value, nil
}

// SideInput is a whole file that was shipped with the job.
func (*Task) SideInput(name string) ([]byte, error) {
	const part = 1 << 20
	size, some := hostSideInputBytes(name)
	if !some {
		return nil, Fatal("the job has no side input " + name)
	}
	all := make([]byte, 0, size)
	for at := uint64(0); at < size; at += part {
		place := markFrames()
		all = append(all, hostSideInputRead(name, at, part)...)
		release(place)
	}
	return all, nil
}

type counter struct {
	name  string
	delta int64
}

var counters []counter

// Count adds to a counter of the job.
func Count(name string, delta int64) {
	for i := range counters {
		if counters[i].name == name {
			counters[i].delta += delta
			return
		}
	}
	counters = append(counters, counter{name, delta})
}

func sendCounters() {
	var deltas []counter
	for i := range counters {
		if counters[i].delta != 0 {
			deltas = append(deltas, counters[i])
			counters[i].delta = 0
		}
	}
	if len(deltas) > 0 {
		hostCount(deltas)
	}
}

// Level of a line of the log.
type Level uint32

// The levels.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Err
)

// Log writes a line to the attempt's log, which the engine keeps within limits. What is printed
// with fmt.Println lands there, too.
func Log(level Level, format string, args ...any) { hostLog(level, fmt.Sprintf(format, args...)) }

// Reject gives up on the record (or group) in hand and goes on: it lands in the job's rejects with
// the reason, and the job fails once it has too many. Meant to be returned.
func Reject(reason string) error {
	if current.doing == idle {
		return Fatal("rejected outside of any record: " + reason)
	}
	hostReject(current.row, reason+current.describe())
	return nil
}
