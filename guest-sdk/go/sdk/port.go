package mr

// AnyPort is a named output of any types: a Port.
type AnyPort interface {
	// Name is that of the output, and of its folder.
	Name() string
	facts() []fact
	open(at, batchBytes uint32)
	flush()
}

// Port is a named output beside the main one, with keys of type K and values of type V. Only the last stage of a job has
// them: its reducer, or its mapper where there are no reducers.
//
//	var failed = mr.NewPort[mr.Text, mr.Text]("errors")
//
//	mr.Register(mr.Plugin{..., Outputs: []mr.AnyPort{failed}})
//
//	failed.Emit(key, value)
type Port[K, V any] struct {
	name string
	out  Out[K, V]
}

// NewPort makes the output of this name, which is also that of its folder: a-z, 0-9, - and _, a letter first.
func NewPort[K, V any](name string) *Port[K, V] { return &Port[K, V]{name: name} }

// Name is that of the output, and of its folder.
func (port *Port[K, V]) Name() string { return port.name }

// Emit emits a record to the output. The job fails where the stage has none of the name.
func (port *Port[K, V]) Emit(key K, value V) {
	if port.out.port == 0 {
		panic(Fatal("there is no output " + port.name + " in this stage: list it in Outputs of the plugin, and emit to it " +
			"in the reducer, or in the mapper of a job without reducers"))
	}
	port.out.Emit(key, value)
}

func (port *Port[K, V]) facts() []fact { return typeFacts[K, V]("output." + port.name) }

// open opens it as the output of this number; 0 where the stage has none of the name.
func (port *Port[K, V]) open(at, batchBytes uint32) {
	port.out.open(batchBytes)
	port.out.clear()
	port.out.port = at
}

func (port *Port[K, V]) flush() { port.out.flush() }

// openPorts opens those of the plugin's outputs that a task has, by their names.
func openPorts(outputs []string, batchBytes uint32) {
	for _, port := range registered.Outputs {
		at := uint32(0)
		for i := 1; i < len(outputs); i++ {
			if outputs[i] == port.Name() {
				at = uint32(i)
			}
		}
		port.open(at, batchBytes)
	}
}

func flushPorts() {
	for _, port := range registered.Outputs {
		port.flush()
	}
}
