//go:build wasm

package mr

import "unsafe"

// Lists that the engine hands in go into memory outside of Go's heap, which is used again after
// each call. Taking them from the heap could start a collection, which reads the clock, and a
// component may not call its imports while it is asked for memory.
//
//go:linkname sbrk runtime.sbrk
func sbrk(n uintptr) unsafe.Pointer

// The adapter of WASI takes its stack and state the same way, while Go starts: what is taken before
// init runs is never given back.
var started bool

func init() { started = true }

const (
	frameBytes = 1 << 20
	framesMax  = 32
	pageBytes  = 1 << 16
)

type frame struct{ base, size, used uintptr }

var (
	frames    [framesMax]frame
	framesLen int
	frameAt   int
)

// mark is a place to go back to.
type mark struct {
	at   int
	used uintptr
}

func markFrames() mark { return mark{frameAt, frames[frameAt].used} }

// release gives back all that was taken since the mark.
func release(to mark) {
	for i := to.at; i < framesLen; i++ {
		frames[i].used = 0
	}
	frameAt = to.at
	frames[frameAt].used = to.used
}

func take(size, align uintptr) uintptr {
	for ; frameAt < framesLen; frameAt++ {
		f := &frames[frameAt]
		if at := (f.base + f.used + align - 1) &^ (align - 1); at+size <= f.base+f.size {
			f.used = at + size - f.base
			return at
		}
		if frameAt+1 == framesLen {
			break
		}
	}
	// Frames double, so that few of them hold any batch.
	want := max(size+align, frameBytes)
	if framesLen > 0 {
		want = max(want, 2*frames[framesLen-1].size)
	}
	want = (want + pageBytes - 1) &^ (pageBytes - 1)
	base := uintptr(sbrk(want))
	if base == 0 || framesLen == framesMax {
		panic("out of memory")
	}
	frameAt = framesLen
	framesLen++
	at := (base + align - 1) &^ (align - 1)
	frames[frameAt] = frame{base, want, at + size - base}
	return at
}

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if !started {
		base := uintptr(sbrk(uintptr(size + align)))
		return unsafe.Pointer((base + uintptr(align) - 1) &^ (uintptr(align) - 1))
	}
	new := unsafe.Pointer(take(uintptr(size), uintptr(align)))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(new), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return new
}
