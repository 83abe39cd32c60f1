// Package mr writes plugins for mr-engine in Go: typed records in, typed records out.
//
//	type Words struct{}
//
//	func (Words) Map(line mr.Line, out *mr.Out[mr.Text, uint64]) error {
//		for word := range line.Words() {
//			out.Sum(word, 1)
//		}
//		return nil
//	}
//
//	func init() {
//		mr.Register(mr.Plugin{
//			Name:    "words",
//			Mapper:  mr.Lines(Words{}),
//			Reducer: mr.Sum[mr.Text](),
//		})
//	}
//
//	func main() {}
//
// Types of keys and values: Text, string, Bytes, uint64, int64, float64, bool, Unit, Tuple1 to
// Tuple4 and Desc of these. Text is a view of the batch in hand, string a copy; both are text to the engine.
// A value may have a method Setup(*Task) error, which is called at the start of every task, and one
// Finish(*Out) error, its last chance to emit.
package mr

// Plugin is what a program registers: roles that mr-engine.toml does not name are left out.
type Plugin struct {
	Name, Version string
	Mapper        MapperRole
	Combiner      GroupRole
	Reducer       GroupRole
	Partitioner   PartitionerRole
	Params        []Param
	// Outputs are the named outputs beside the main one: those of the reducer, or of the mapper in a job
	// without reducers.
	Outputs []AnyPort
	// GroupPrefix is the number of elements of the mapper's keys, which are tuples, that make a group: the
	// reducer reads the tuple of these, and the values come in the order of the others. 0 for the whole key.
	GroupPrefix int
}

// Param is a parameter of a job that the plugin takes.
type Param struct {
	Name string
	// Type is text, u64, s64, f64 or bool; text where it is empty.
	Type     string
	Required bool
	// Default is its value where the job does not set it, if it is not empty.
	Default string
	// Help is one line for people.
	Help string
}

var registered Plugin

// Register makes a plugin the component's. Called once, from an init function: main is never run.
func Register(plugin Plugin) {
	if registered.Name != "" {
		panic("two plugins are registered: " + registered.Name + " and " + plugin.Name)
	}
	registered = plugin
}

// LineMapper maps lines of text.
type LineMapper[K, V any] interface {
	Map(line Line, out *Out[K, V]) error
}

// ChunkMapper maps chunks of whole lines: for plugins that are faster on much text at once.
type ChunkMapper[K, V any] interface {
	Map(chunk Chunk, out *Out[K, V]) error
}

// FileLineMapper maps lines that know the path of their file.
type FileLineMapper[K, V any] interface {
	Map(line FileLine, out *Out[K, V]) error
}

// RecordMapper maps records with a key and a value of these types.
type RecordMapper[IK, IV, K, V any] interface {
	Map(key IK, value IV, out *Out[K, V]) error
}

// Reducer turns the group of all values of a key into records. As a combiner it sees some of the
// values, any number of times, and emits with the key that it was given.
type Reducer[IK, IV, K, V any] interface {
	Reduce(key IK, values *Values[IV], out *Out[K, V]) error
}

// Partitioner chooses the partition of a key, below partitions. Must be a pure function of the key.
type Partitioner[K any] interface {
	Partition(key K, partitions uint32) (uint32, error)
}

// Lines is the role of a mapper of lines.
func Lines[K, V any](mapper LineMapper[K, V]) MapperRole {
	work := func(text []byte, offset uint64, _ []byte, out *Out[K, V]) error {
		return eachLine(text, offset, func(line Line) error { return mapper.Map(line, out) })
	}
	return MapperRole{&textDriver[K, V]{state: state[K, V]{user: mapper}, each: work}}
}

// FileLines is the role of a mapper of lines that know the path of their file.
func FileLines[K, V any](mapper FileLineMapper[K, V]) MapperRole {
	work := func(text []byte, offset uint64, path []byte, out *Out[K, V]) error {
		return eachLine(text, offset, func(line Line) error { return mapper.Map(FileLine{line, path}, out) })
	}
	return MapperRole{&textDriver[K, V]{state: state[K, V]{user: mapper}, each: work, withPath: true}}
}

// Chunks is the role of a mapper of chunks.
func Chunks[K, V any](mapper ChunkMapper[K, V]) MapperRole {
	work := func(text []byte, offset uint64, _ []byte, out *Out[K, V]) error {
		current.doing, current.offset, current.key = atChunk, offset, text
		return mapper.Map(Chunk{Line{text, offset}}, out)
	}
	return MapperRole{&textDriver[K, V]{state: state[K, V]{user: mapper}, each: work}}
}

// Records is the role of a mapper of records.
func Records[IK, IV, K, V any](mapper RecordMapper[IK, IV, K, V]) MapperRole {
	return MapperRole{&recordDriver[IK, IV, K, V]{state: state[K, V]{user: mapper}, mapper: mapper}}
}

// Groups is the role of a combiner or a reducer.
func Groups[IK, IV, K, V any](reducer Reducer[IK, IV, K, V]) GroupRole {
	return GroupRole{&groupDriver[IK, IV, K, V]{state: state[K, V]{user: reducer}, reducer: reducer}}
}

// Partitions is the role of a partitioner.
func Partitions[K any](partitioner Partitioner[K]) PartitionerRole {
	return PartitionerRole{&keyDriver[K]{partitioner: partitioner}}
}

// Sum is the role of a combiner or reducer that adds up uint64 values.
func Sum[K any]() GroupRole {
	return GroupRole{&sumDriver[K]{}}
}
