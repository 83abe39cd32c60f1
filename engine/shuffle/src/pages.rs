//! A vector of plain values that grows without copying: small it lies on the heap, large in a mapping
//! of its own that is remapped to grow, uses huge pages, and goes back to the system as a whole. So
//! resident memory follows what is in use. The only unsafe code of this crate beside a prefetch.

use std::alloc::Layout;
use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap};

/// Size up to which values lie on the heap, in bytes: a mapping costs a system call and, with huge
/// pages, up to one of these.
const HEAP_BYTES_MAX: usize = 1 << 20;
/// Unit in which mappings grow, in bytes: one huge page.
const MAPPING_STEP_BYTES: usize = 2 << 20;
/// Unit in which mappings shrink, in bytes: one page.
const PAGE_BYTES: usize = 4 << 10;

/// Values that any bytes are valid for and that need no drop.
pub trait Plain: Copy + 'static {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for crate::sort::Entry {}

/// A growable array of plain values.
#[derive(Debug)]
pub struct PageVec<T: Plain> {
    base: NonNull<T>,
    len: usize,
    /// In values; 0 means that there is no memory behind `base`.
    capacity: usize,
    /// Bytes of the mapping; 0 where the values lie on the heap.
    mapped_bytes: usize,
    owned: PhantomData<T>,
}

// SAFETY: the memory is owned by this value alone and holds plain data.
unsafe impl<T: Plain + Send> Send for PageVec<T> {}
// SAFETY: shared references only read.
unsafe impl<T: Plain + Sync> Sync for PageVec<T> {}

impl<T: Plain> Default for PageVec<T> {
    fn default() -> Self {
        Self { base: NonNull::dangling(), len: 0, capacity: 0, mapped_bytes: 0, owned: PhantomData }
    }
}

impl<T: Plain> PageVec<T> {
    /// Makes room for `more` values. Fails where the system has no address space or memory left.
    #[inline]
    pub fn reserve(&mut self, more: usize) -> io::Result<()> {
        let wanted = self.len.checked_add(more).ok_or(io::ErrorKind::OutOfMemory)?;
        if wanted <= self.capacity {
            return Ok(());
        }
        self.grow(wanted.max(self.capacity * 2))
    }

    /// Gives memory behind the last value back.
    pub fn shrink(&mut self) -> io::Result<()> {
        let bytes = self.len * size_of::<T>();
        if bytes > HEAP_BYTES_MAX {
            return self.remap(bytes.next_multiple_of(PAGE_BYTES));
        }
        let mut small = Self::default();
        small.grow_heap(self.len)?;
        small.extend(self)?;
        *self = small;
        Ok(())
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) -> io::Result<()> {
        if self.len == self.capacity {
            self.reserve(1)?;
        }
        // SAFETY: `len < capacity`, and the memory is writable up to `capacity`.
        unsafe { self.base.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Appends values.
    #[inline]
    pub fn extend(&mut self, values: &[T]) -> io::Result<()> {
        self.ensure(values.len())?;
        // SAFETY: there is room for `values.len()` more, and a borrowed slice cannot overlap the
        // memory that `&mut self` owns.
        unsafe {
            self.base.add(self.len).as_ptr().copy_from_nonoverlapping(values.as_ptr(), values.len());
        }
        self.len += values.len();
        Ok(())
    }

    /// Makes room for `more` values where there is not, in a call of its own so that the check is small.
    #[inline]
    fn ensure(&mut self, more: usize) -> io::Result<()> {
        if self.capacity - self.len < more { self.reserve(more) } else { Ok(()) }
    }

    /// Sets the length; values that were never written read as zero.
    pub fn resize_zeroed(&mut self, len: usize) -> io::Result<()> {
        if len > self.len {
            self.reserve(len - self.len)?;
            // SAFETY: the range lies within the memory held; zero bytes are a valid `T`.
            unsafe { self.base.add(self.len).write_bytes(0, len - self.len) };
        }
        self.len = len;
        Ok(())
    }

    #[cold]
    fn grow(&mut self, capacity: usize) -> io::Result<()> {
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        if bytes <= HEAP_BYTES_MAX {
            return self.grow_heap(capacity);
        }
        let bytes = bytes.checked_next_multiple_of(MAPPING_STEP_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        if self.mapped_bytes > 0 {
            return self.remap(bytes);
        }
        let mut mapped = Self::default();
        mapped.map(bytes)?;
        mapped.extend(self)?;
        *self = mapped;
        Ok(())
    }

    /// Moves to a block of the heap for exactly `capacity` values, at least as many as there are.
    fn grow_heap(&mut self, capacity: usize) -> io::Result<()> {
        if capacity == 0 {
            return Ok(());
        }
        let layout = Layout::array::<T>(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let block = if self.capacity == 0 {
            // SAFETY: the layout is not empty.
            unsafe { std::alloc::alloc(layout) }
        } else {
            // SAFETY: the block was allocated with the layout of `capacity` values, and the new size is
            // that of a valid layout with the same alignment.
            unsafe { std::alloc::realloc(self.base.as_ptr().cast(), self.heap_layout()?, layout.size()) }
        };
        self.base = NonNull::new(block.cast::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.capacity = capacity;
        Ok(())
    }

    fn heap_layout(&self) -> io::Result<Layout> {
        Layout::array::<T>(self.capacity).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    /// Makes a mapping of `bytes` bytes; nothing is held before.
    fn map(&mut self, bytes: usize) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh private mapping at an address that the system chooses.
        let base = unsafe {
            mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags)?
        };
        self.hold(base, bytes)
    }

    /// Resizes the mapping.
    fn remap(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == self.mapped_bytes {
            return Ok(());
        }
        let base = self.base.as_ptr().cast::<c_void>();
        // SAFETY: the mapping is ours and has `mapped_bytes`; every use goes through `base`.
        let base = unsafe { mremap(base, self.mapped_bytes, bytes, MremapFlags::MAYMOVE)? };
        self.hold(base, bytes)
    }

    fn hold(&mut self, base: *mut c_void, bytes: usize) -> io::Result<()> {
        // SAFETY: advice on our own mapping. Huge pages are a wish, refusal changes nothing.
        let _ = unsafe { madvise(base, bytes, Advice::LinuxHugepage) };
        self.base = NonNull::new(base.cast::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.capacity = bytes / size_of::<T>();
        self.mapped_bytes = bytes;
        Ok(())
    }
}

impl PageVec<u8> {
    /// Appends three byte strings with one check for room. Short ones are copied without a call: a
    /// record is mostly a few bytes, and this runs once for every record.
    #[inline]
    pub fn extend_all(&mut self, parts: [&[u8]; 3]) -> io::Result<()> {
        self.ensure(parts[0].len() + parts[1].len() + parts[2].len())?;
        for part in parts {
            // SAFETY: `ensure` made room for all parts, and a borrowed slice cannot overlap the memory
            // that `&mut self` owns.
            unsafe { copy_short(part, self.base.as_ptr().add(self.len)) };
            self.len += part.len();
        }
        Ok(())
    }
}

/// Copies `part` to `to`: up to 16 bytes by two moves that may overlap, more by a call.
///
/// # Safety
/// There are `part.len()` writable bytes at `to` that do not overlap `part`.
#[inline(always)]
unsafe fn copy_short(part: &[u8], to: *mut u8) {
    let length = part.len();
    if let (8..=16, Some(first), Some(last)) = (length, part.first_chunk::<8>(), part.last_chunk::<8>()) {
        // SAFETY: both moves stay within the `length` bytes at `to`.
        unsafe {
            to.cast::<[u8; 8]>().write_unaligned(*first);
            to.add(length - 8).cast::<[u8; 8]>().write_unaligned(*last);
        }
    } else if let (4..8, Some(first), Some(last)) = (length, part.first_chunk::<4>(), part.last_chunk::<4>())
    {
        // SAFETY: as above.
        unsafe {
            to.cast::<[u8; 4]>().write_unaligned(*first);
            to.add(length - 4).cast::<[u8; 4]>().write_unaligned(*last);
        }
    } else {
        // SAFETY: as the caller promises.
        unsafe { to.copy_from_nonoverlapping(part.as_ptr(), length) };
    }
}

impl<T: Plain> Deref for PageVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` values were written, or the base is dangling and `len` is 0.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for PageVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for PageVec<T> {
    fn drop(&mut self) {
        if self.mapped_bytes > 0 {
            // SAFETY: the mapping is ours, has this size, and is not used again.
            let _ = unsafe { munmap(self.base.as_ptr().cast::<c_void>(), self.mapped_bytes) };
        } else if self.capacity > 0
            && let Ok(layout) = self.heap_layout()
        {
            // SAFETY: the block was allocated with this layout and is not used again.
            unsafe { std::alloc::dealloc(self.base.as_ptr().cast(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_all_lengths_are_copied_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        let (mut values, mut naive) = (PageVec::<u8>::default(), Vec::new());
        for length in 0..40 {
            let parts = [&bytes[..length], &bytes[length..2 * length], &bytes[1..2]];
            values.extend_all(parts).unwrap();
            naive.extend(parts.concat());
        }
        assert_eq!(&values[..], naive);
    }

    #[test]
    fn it_grows_shrinks_and_keeps_its_values() {
        let mut values = PageVec::<u32>::default();
        assert!(values.is_empty());
        for i in 0..2_000_000 {
            values.push(i).unwrap();
        }
        values.extend(&[7; 1000]).unwrap();
        values.shrink().unwrap();
        assert_eq!(values.len(), 2_001_000);
        assert!((0..2_000_000).all(|i| values[i as usize] == i));
        values.resize_zeroed(0).unwrap();
        values.resize_zeroed(10).unwrap();
        assert_eq!(&values[..], &[0; 10]);
        values.shrink().unwrap();
        assert_eq!((&values[..], values.capacity, values.mapped_bytes), (&[0u32; 10][..], 10, 0));
        values.resize_zeroed(0).unwrap();
        values.shrink().unwrap();
        values.push(1).unwrap();
        assert_eq!(&values[..], &[1]);
    }
}
