//! Attacks through what the host calls without being asked to: the allocator that it puts arguments and
//! answers into, and the clean-up after a call.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::bindings::mr::engine::config;
use crate::bindings::mr::engine::logging::{Level, log};

/// Answers an honest allocation.
const HONEST: u32 = 0;
/// Every buffer lies where the one before does.
const OVERLAPPING: u32 = 1;
/// Buffers begin close to the end of the address space.
const OUTSIDE: u32 = 2;
/// Buffers begin at odd addresses.
const ODD: u32 = 3;
/// There is no buffer.
const NOWHERE: u32 = 4;
/// Buffers lie over the guest's own data and stack.
const OWN_DATA: u32 = 5;
/// The host is called while it waits for a buffer.
const CALLING: u32 = 6;
/// It never answers.
const SPINNING: u32 = 7;
/// The host is called while the guest cleans up after a call.
const CALLING_LATE: u32 = 8;

static CONDUCT: AtomicU32 = AtomicU32::new(HONEST);
/// The one buffer of [`OVERLAPPING`].
static BUFFER: AtomicU32 = AtomicU32::new(0);
/// Bytes of it: the arguments of the tests' tasks are smaller.
const BUFFER_BYTES: usize = 1 << 20;

/// Misbehaves from now on, as `attack` says; false where it is none of these.
pub fn attack(attack: &str) -> bool {
    let conduct = match attack {
        "buffers-overlap" => OVERLAPPING,
        "buffers-outside" => OUTSIDE,
        "buffers-odd" => ODD,
        "buffers-nowhere" => NOWHERE,
        "buffers-own-data" => OWN_DATA,
        "call-from-allocator" => CALLING,
        "spin-in-allocator" => SPINNING,
        "call-from-clean-up" => CALLING_LATE,
        _ => return false,
    };
    if conduct == OVERLAPPING {
        let buffer = Box::leak(vec![0u8; BUFFER_BYTES].into_boxed_slice());
        BUFFER.store(buffer.as_ptr() as u32, Ordering::Relaxed);
    }
    CONDUCT.store(conduct, Ordering::Relaxed);
    // The host answers this with strings, and a list of them that has to be aligned.
    let answered = config::get_all();
    std::mem::forget(answered);
    true
}

/// What the host calls for a buffer: overrides the one of the C library.
///
/// # Safety
///
/// As the canonical ABI says; the whole point is that it does not keep to it.
#[unsafe(export_name = "cabi_realloc")]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_bytes: usize, align: usize, bytes: usize) -> *mut u8 {
    match CONDUCT.load(Ordering::Relaxed) {
        OVERLAPPING => BUFFER.load(Ordering::Relaxed) as *mut u8,
        OUTSIDE => 0xffff_fff0u32 as *mut u8,
        ODD => 0x0010_0001u32 as *mut u8,
        NOWHERE => std::ptr::null_mut(),
        OWN_DATA => 0x0010_0000u32 as *mut u8,
        CALLING => {
            log(Level::Info, "called from the allocator");
            std::ptr::null_mut()
        }
        SPINNING => loop {
            std::hint::spin_loop();
        },
        _ => {
            // SAFETY: the host keeps to the canonical ABI.
            unsafe { honest(old, old_bytes, align, bytes) }
        }
    }
}

unsafe fn honest(old: *mut u8, old_bytes: usize, align: usize, bytes: usize) -> *mut u8 {
    if bytes == 0 {
        return align as *mut u8;
    }
    // SAFETY: the host passes what it got before, or nothing.
    unsafe {
        match (old_bytes, Layout::from_size_align(bytes, align)) {
            (0, Ok(layout)) => System.alloc(layout),
            (_, Ok(_)) => System.realloc(old, Layout::from_size_align_unchecked(old_bytes, align), bytes),
            (_, Err(_)) => std::ptr::null_mut(),
        }
    }
}

/// The allocator of everything else, which can call the host as it frees.
struct Late;

#[global_allocator]
static LATE: Late = Late;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Late {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as asked.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if CONDUCT.load(Ordering::Relaxed) == CALLING_LATE {
            log(Level::Info, "called while cleaning up");
        }
        // SAFETY: as asked.
        unsafe { System.dealloc(pointer, layout) }
    }
}
