//! The end of a process that has no memory left. A child's memory is bounded by the kernel, so that
//! running out of it is no accident: it ends at once with an exit code that says so, where otherwise it
//! would be aborted and nobody could tell why. In every other process this is the system's allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a child that has no memory left.
pub(crate) const NO_MEMORY: i32 = 86;

/// Whether this process is a child.
static CHILD: AtomicBool = AtomicBool::new(false);

/// The allocator of a program that can be a child: the system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

/// From now on, a lack of memory ends this process.
pub(crate) fn end_without_memory() {
    CHILD.store(true, Ordering::Relaxed);
}

// SAFETY: all memory comes from the system's allocator, unchanged.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.alloc(layout) })
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.alloc_zeroed(layout) })
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        checked(unsafe { System.realloc(memory, layout, bytes) })
    }
}

#[inline]
fn checked(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        refused();
    }
    memory
}

#[cold]
fn refused() {
    if CHILD.load(Ordering::Relaxed) {
        crate::child::end(NO_MEMORY);
    }
}
