package mr

import (
	"strconv"
	"strings"
	"unsafe"
)

// MapperRole is a mapper as the engine calls it: of Lines, FileLines, Chunks or Records.
type MapperRole struct{ driver mapDriver }

// GroupRole is a combiner or reducer as the engine calls it: of Groups or Sum.
type GroupRole struct{ driver reduceDriver }

// PartitionerRole is a partitioner as the engine calls it: of Partitions.
type PartitionerRole struct{ driver partitionDriver }

// fact is an attribute of the plugin (wit/ATTRIBUTES.md of the engine).
type fact struct{ name, value string }

type driver interface {
	open(task *Task, batchBytes uint32) error
	close() error
	facts(stage string) []fact
}

type mapDriver interface {
	driver
	work(input *batch) error
}

// grouped is what combiners and reducers take.
type grouped struct {
	groups int
	keys   column
	ends   []byte
	values column
	more   bool
}

type reduceDriver interface {
	driver
	work(input *grouped, combining bool) error
}

type partitionDriver interface {
	open(task *Task) error
	work(rows int, keys *column) ([]byte, error)
	name() string
}

// state is what all roles that emit have in common.
type state[K, V any] struct {
	user any
	out  Out[K, V]
}

func (s *state[K, V]) open(task *Task, batchBytes uint32) error {
	s.out.open(batchBytes)
	return setup(s.user, task)
}

func setup(user any, task *Task) error {
	if user, has := user.(interface{ Setup(*Task) error }); has {
		return user.Setup(task)
	}
	return nil
}

func (s *state[K, V]) close() error {
	if user, has := s.user.(interface{ Finish(*Out[K, V]) error }); has {
		if err := user.Finish(&s.out); err != nil {
			return err
		}
	}
	s.out.flush()
	return nil
}

func typeFacts[K, V any](stage string) []fact {
	return []fact{{stage + ".key", codecOf[K]().name}, {stage + ".value", codecOf[V]().name}}
}

type textDriver[K, V any] struct {
	state[K, V]
	each     func(text []byte, offset uint64, path []byte, out *Out[K, V]) error
	withPath bool
	place    codec[Tuple2[Text, uint64]]
}

func (d *textDriver[K, V]) facts(stage string) []fact {
	key := "offset"
	if d.withPath {
		key = "path-offset"
	}
	return append(typeFacts[K, V](stage), fact{"map.batch", "chunks"}, fact{"map.input-key", key})
}

func (d *textDriver[K, V]) work(input *batch) error {
	for row := range int(input.rows) {
		current.row = uint32(row)
		key, text := input.keys.cell(row), input.values.cell(row)
		current.doing, current.key, current.value = atRecord, key, text
		var path []byte
		var offset uint64
		ok := false
		if d.withPath {
			if d.place.name == "" {
				d.place = codecOf[Tuple2[Text, uint64]]()
			}
			var place Tuple2[Text, uint64]
			place, ok = d.place.read(key)
			path, offset = place.A, place.B
		} else {
			var rest []byte
			offset, rest, ok = getBits(key)
			ok = ok && len(rest) == 0
		}
		if !ok {
			return Invalid("the key of a row of text is not its place")
		}
		if err := d.each(text, offset, path, &d.out); err != nil {
			return err
		}
	}
	return nil
}

type recordDriver[IK, IV, K, V any] struct {
	state[K, V]
	mapper RecordMapper[IK, IV, K, V]
	key    codec[IK]
	value  codec[IV]
}

func (d *recordDriver[IK, IV, K, V]) facts(stage string) []fact {
	return append(typeFacts[K, V](stage), fact{"map.batch", "rows"})
}

func (d *recordDriver[IK, IV, K, V]) work(input *batch) error {
	if d.key.name == "" {
		d.key, d.value = codecOf[IK](), codecOf[IV]()
	}
	for row := range int(input.rows) {
		current.row = uint32(row)
		current.doing, current.key, current.value = atRecord, input.keys.cell(row), input.values.cell(row)
		key, ok := d.key.read(current.key)
		if !ok {
			return malformed(d.key.name, current.key)
		}
		value, ok := d.value.read(current.value)
		if !ok {
			return malformed(d.value.name, current.value)
		}
		if err := d.mapper.Map(key, value, &d.out); err != nil {
			return err
		}
	}
	return nil
}

type groupDriver[IK, IV, K, V any] struct {
	state[K, V]
	reducer Reducer[IK, IV, K, V]
	key     codec[IK]
	values  Values[IV]
}

func (d *groupDriver[IK, IV, K, V]) facts(stage string) []fact {
	if stage == "combine" {
		return typeFacts[K, V](stage)
	}
	return append(typeFacts[IK, IV]("reduce.in"), typeFacts[K, V](stage)...)
}

func (d *groupDriver[IK, IV, K, V]) work(input *grouped, combining bool) error {
	if d.key.name == "" {
		d.key, d.values.codec = codecOf[IK](), codecOf[IV]()
	}
	current.doing = atReduce
	if combining {
		current.doing = atCombine
	}
	values, start := &d.values, 0
	for group := range input.groups {
		current.row, current.key = uint32(group), input.keys.cell(group)
		key, ok := d.key.read(current.key)
		if !ok {
			return malformed(d.key.name, current.key)
		}
		values.cells, values.marked = &input.values, false
		values.at, values.end = start, endAt(input.ends, group)
		values.more = input.more && group+1 == input.groups
		start = values.end
		if err := d.reducer.Reduce(key, values, &d.out); err != nil {
			return err
		}
		for values.more { // What was not read is passed over, as the engine requires.
			values.fetch()
		}
	}
	if combining {
		// All output leaves before it returns: the next batch may be of another run.
		d.out.flush()
	}
	return nil
}

type keyDriver[K any] struct {
	partitioner Partitioner[K]
	key         codec[K]
	partitions  uint32
}

func (d *keyDriver[K]) name() string { return codecOf[K]().name }

func (d *keyDriver[K]) open(task *Task) error {
	d.key, d.partitions = codecOf[K](), task.Partitions
	return setup(d.partitioner, task)
}

func (d *keyDriver[K]) work(rows int, keys *column) ([]byte, error) {
	answer := make([]byte, 0, rows*4)
	current.doing = atPartition
	for row := range rows {
		current.row, current.key = uint32(row), keys.cell(row)
		key, ok := d.key.read(current.key)
		if !ok {
			return nil, malformed(d.key.name, current.key)
		}
		partition, err := d.partitioner.Partition(key, d.partitions)
		if err != nil {
			return nil, err
		}
		if partition >= d.partitions {
			return nil, Fatal("a partition is not below the number of partitions")
		}
		answer = append(answer, byte(partition), byte(partition>>8), byte(partition>>16), byte(partition>>24))
	}
	return answer, nil
}

// mapBatch runs the mapper over a batch.
func mapBatch(input *batch) *failure {
	text := input.values.data
	current.batchBegin = uintptr(unsafe.Pointer(unsafe.SliceData(text)))
	current.batchEnd = current.batchBegin + uintptr(len(text))
	failed := call(InvalidInput, func() error { return registered.Mapper.driver.work(input) })
	current.batchBegin, current.batchEnd = 0, 0
	return failed
}

// openRole starts a task; a role that nobody registered says so.
func openRole(role string, d driver, task *Task, batchBytes uint32) *failure {
	return call(Final, func() error {
		if d == nil {
			return Fatal("mr-engine.toml names the role " + role + ", but the program registers none")
		}
		openPorts(task.outputs, batchBytes)
		return d.open(task, batchBytes)
	})
}

// closeRole ends a task: what is still here is sent on.
func closeRole(d driver) *failure {
	return call(InvalidInput, func() error {
		if err := d.close(); err != nil {
			return err
		}
		flushPorts()
		return nil
	})
}

// facts are what the plugin says of the roles that are built in.
func facts(roles string) (all []fact) {
	has := func(role string) bool { return strings.Contains(roles, role) }
	if d := registered.Mapper.driver; d != nil && has("mapper") {
		all = append(all, d.facts("map")...)
	}
	if d := registered.Combiner.driver; d != nil && has("combiner") {
		all = append(all, d.facts("combine")...)
	}
	if d := registered.Reducer.driver; d != nil && has("reducer") {
		all = append(all, d.facts("reduce")...)
		if elements := registered.GroupPrefix; elements > 0 {
			all = append(all, fact{"reduce.group", strconv.Itoa(elements)})
		}
	}
	if d := registered.Partitioner.driver; d != nil && has("partitioner") {
		all = append(all, fact{"partition.key", d.name()})
	}
	if has("mapper") || has("reducer") {
		all = append(all, outputFacts()...)
	}
	for _, param := range registered.Params {
		prefix := "param." + param.Name + "."
		kind := param.Type
		if kind == "" {
			kind = "text"
		}
		all = append(all, fact{prefix + "type", kind}, fact{prefix + "help", param.Help})
		if param.Required {
			all = append(all, fact{prefix + "required", "true"})
		}
		if param.Default != "" {
			all = append(all, fact{prefix + "default", param.Default})
		}
	}
	return all
}

func outputFacts() (all []fact) {
	var names []string
	for _, port := range registered.Outputs {
		names = append(names, port.Name())
		all = append(all, port.facts()...)
	}
	if len(names) > 0 {
		all = append(all, fact{"outputs", strings.Join(names, ",")})
	}
	return all
}
