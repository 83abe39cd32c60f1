package mr

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

type doing int

const (
	idle doing = iota
	atLine
	atChunk
	atRecord
	atCombine
	atReduce
	atPartition
)

// inHand is what the plugin is working on, so that an error, a reject and a panic name their record.
type inHand struct {
	doing      doing
	row        uint32
	offset     uint64
	key, value []byte
	// The bytes that may be loaded beyond the end of a word: those of the batch in hand.
	batchBegin, batchEnd uintptr
}

var current inHand

// Kind of an error: what the engine does about it.
type Kind uint8

// The kinds.
const (
	// InvalidInput fails the job: no other attempt would do better.
	InvalidInput Kind = iota
	// Retry is worth another attempt, perhaps on another machine.
	Retry
	// Final fails the job at once.
	Final
)

// Error is a failure of a task with its kind. Any other error that a role returns is one of invalid
// input, or final in Setup.
type Error struct {
	Kind    Kind
	Message string
}

func (err *Error) Error() string { return err.Message }

// Invalid is an error of the input, which another attempt would not survive either.
func Invalid(message string) *Error { return &Error{InvalidInput, message} }

// Transient is an error that is worth another attempt.
func Transient(message string) *Error { return &Error{Retry, message} }

// Fatal is an error that fails the job at once: a parameter makes no sense, for example.
func Fatal(message string) *Error { return &Error{Final, message} }

// describe tells what is being done: "; while mapping the line at byte 17: ...".
func (at *inHand) describe() string {
	switch at.doing {
	case atLine:
		return fmt.Sprintf("; while mapping the line at byte %d: %s", at.offset, sample(at.key))
	case atChunk:
		return fmt.Sprintf("; while mapping the %d bytes at byte %d", len(at.key), at.offset)
	case atRecord:
		return fmt.Sprintf("; while mapping the record with key %s and value %s", sample(at.key), sample(at.value))
	case atCombine:
		return "; while combining the key " + sample(at.key)
	case atReduce:
		return "; while reducing the key " + sample(at.key)
	case atPartition:
		return "; while choosing the partition of the key " + sample(at.key)
	}
	return ""
}

func sample(bytes []byte) string {
	const most = 256
	if len(bytes) > most {
		return fmt.Sprintf("%s and %d bytes more", strconv.Quote(string(bytes[:most])), len(bytes)-most)
	}
	return strconv.Quote(string(bytes))
}

// failure is an error as it crosses the boundary.
type failure struct {
	kind    Kind
	message string
	hasRow  bool
	row     uint32
}

// call runs one exported call: counters are sent once at its end, an error or a panic gets its kind,
// message and place.
func call(otherwise Kind, work func() error) (failed *failure) {
	defer func() {
		if why := recover(); why != nil {
			failed = toFailure(panicked(why), otherwise)
		}
		current.doing = idle
	}()
	err := work()
	sendCounters()
	if err != nil {
		return toFailure(err, otherwise)
	}
	return nil
}

func toFailure(err error, otherwise Kind) *failure {
	kind := otherwise
	var own *Error
	if errors.As(err, &own) {
		kind = own.Kind
	}
	return &failure{kind, err.Error() + current.describe(), current.doing != idle, current.row}
}

// panicked is a panic as an error, with the places in the author's code.
func panicked(why any) error {
	if err, is := why.(*Error); is {
		return err
	}
	places := make([]uintptr, 64)
	frames := runtime.CallersFrames(places[:runtime.Callers(3, places)])
	var at []string
	for {
		frame, more := frames.Next()
		inside := strings.Contains(frame.Function, "/mr.") || strings.HasPrefix(frame.Function, "runtime.")
		if !inside && frame.File != "" && len(at) < 8 {
			at = append(at, frame.File[strings.LastIndexByte(frame.File, '/')+1:]+":"+strconv.Itoa(frame.Line))
		}
		if !more {
			break
		}
	}
	message := fmt.Sprintf("panicked: %v", why)
	if len(at) > 0 {
		message += "; at " + strings.Join(at, ", called at ")
	}
	return errors.New(message)
}
