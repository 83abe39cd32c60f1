//! A vector of plain values in pages of its own: it grows by remapping instead of copying, asks for
//! huge pages, and returns every page to the system when dropped, so that resident memory follows
//! what is in use. The only unsafe code of this crate.

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap};

/// Least mapping, in bytes: one huge page, so that asking for huge pages has an effect.
const MAPPING_BYTES_MIN: usize = 2 << 20;

/// Values that any bytes are valid for and that need no drop.
pub trait Plain: Copy + 'static {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for crate::sort::Entry {}

/// A growable array of plain values in anonymous memory.
#[derive(Debug)]
pub struct PageVec<T: Plain> {
    base: NonNull<T>,
    len: usize,
    /// In values; 0 means that nothing is mapped.
    capacity: usize,
    owned: PhantomData<T>,
}

// SAFETY: the mapping is owned by this value alone and holds plain data.
unsafe impl<T: Plain + Send> Send for PageVec<T> {}
// SAFETY: shared references only read.
unsafe impl<T: Plain + Sync> Sync for PageVec<T> {}

impl<T: Plain> Default for PageVec<T> {
    fn default() -> Self {
        Self { base: NonNull::dangling(), len: 0, capacity: 0, owned: PhantomData }
    }
}

impl<T: Plain> PageVec<T> {
    /// Makes room for `more` values. Fails where the system has no address space or memory left.
    pub fn reserve(&mut self, more: usize) -> io::Result<()> {
        let wanted = self.len.checked_add(more).ok_or(io::ErrorKind::OutOfMemory)?;
        if wanted <= self.capacity {
            return Ok(());
        }
        self.remap(wanted.max(self.capacity * 2))
    }

    /// Gives pages behind the last value back to the system.
    pub fn shrink(&mut self) -> io::Result<()> {
        if self.len == 0 { self.unmap() } else { self.remap(self.len) }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) -> io::Result<()> {
        if self.len == self.capacity {
            self.reserve(1)?;
        }
        // SAFETY: `len < capacity`, and the mapping is writable up to `capacity`.
        unsafe { self.base.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Appends values.
    #[inline]
    pub fn extend(&mut self, values: &[T]) -> io::Result<()> {
        if self.capacity - self.len < values.len() {
            self.reserve(values.len())?;
        }
        // SAFETY: there is room for `values.len()` more, and a borrowed slice cannot overlap the
        // mapping that `&mut self` owns.
        unsafe {
            self.base.add(self.len).as_ptr().copy_from_nonoverlapping(values.as_ptr(), values.len());
        }
        self.len += values.len();
        Ok(())
    }

    /// Sets the length; values that were never written read as zero.
    pub fn resize_zeroed(&mut self, len: usize) -> io::Result<()> {
        if len > self.len {
            self.reserve(len - self.len)?;
            // SAFETY: the range lies within the mapping; zero bytes are a valid `T`.
            unsafe { self.base.add(self.len).write_bytes(0, len - self.len) };
        }
        self.len = len;
        Ok(())
    }

    fn remap(&mut self, capacity: usize) -> io::Result<()> {
        let bytes = Self::mapping_bytes(capacity)?;
        let old_bytes = Self::mapping_bytes(self.capacity)?;
        let base = if self.capacity == 0 {
            // SAFETY: a fresh private mapping at an address that the system chooses.
            unsafe {
                mmap_anonymous(
                    std::ptr::null_mut(),
                    bytes,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::NORESERVE,
                )?
            }
        } else if bytes == old_bytes {
            return Ok(());
        } else {
            // SAFETY: the old mapping is ours and has `old_bytes`; every use goes through `base`.
            unsafe { mremap(self.base.as_ptr().cast::<c_void>(), old_bytes, bytes, MremapFlags::MAYMOVE)? }
        };
        // SAFETY: advice on our own mapping. Huge pages are a wish, refusal changes nothing.
        let _ = unsafe { madvise(base, bytes, Advice::LinuxHugepage) };
        self.base = NonNull::new(base.cast::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        self.capacity = bytes / size_of::<T>();
        Ok(())
    }

    fn unmap(&mut self) -> io::Result<()> {
        if self.capacity > 0 {
            let bytes = Self::mapping_bytes(self.capacity)?;
            // SAFETY: the mapping is ours, has this size, and is not used again.
            unsafe { munmap(self.base.as_ptr().cast::<c_void>(), bytes)? };
            self.base = NonNull::dangling();
            self.len = 0;
            self.capacity = 0;
        }
        Ok(())
    }

    /// Bytes of the mapping for so many values; the same for every capacity it rounds up to.
    fn mapping_bytes(capacity: usize) -> io::Result<usize> {
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        bytes.checked_next_multiple_of(MAPPING_BYTES_MIN).ok_or(io::ErrorKind::OutOfMemory.into())
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
        let _ = self.unmap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        values.resize_zeroed(0).unwrap();
        values.shrink().unwrap();
        values.push(1).unwrap();
        assert_eq!(&values[..], &[1]);
    }
}
