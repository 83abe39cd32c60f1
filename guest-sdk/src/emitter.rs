//! Where records go: packed into columns, sent on a batch at a time.

use std::marker::PhantomData;

use crate::datatype::DataType;
use crate::encode::Encode;
use crate::host;
use crate::short::InlineKey;
use crate::wire::{Batch, Column};

/// Smallest and largest size that batches may be asked to aim for, in bytes: below, calls cost
/// more than records; above, the engine refuses batches.
const BATCH_BYTES: std::ops::RangeInclusive<usize> = 1..=(8 << 20);

/// A way out for records: an [`Emitter`] or a [`Combining`](crate::Combining) one.
pub trait Output: Sized + 'static {
    /// Type of the keys.
    type Key: DataType;
    /// Type of the values.
    type Value: DataType;

    /// Opens it; batches aim for `batch_bytes`.
    #[doc(hidden)]
    fn open(batch_bytes: usize) -> Self;

    /// Sends on everything that is still here.
    #[doc(hidden)]
    fn flush(&mut self);
}

/// Emits records as they come.
#[derive(Debug)]
pub struct Emitter<K, V> {
    batch: Batch,
    batch_bytes: usize,
    /// The output: 0 for the main one.
    port: u32,
    types: PhantomData<fn(K, V)>,
}

impl<K: DataType, V: DataType> Emitter<K, V> {
    /// Emits a record.
    #[inline]
    pub fn emit(&mut self, key: impl Encode<K>, value: impl Encode<V>) {
        key.encode(&mut self.batch.keys.data);
        self.end_record(value);
    }

    /// Emits a record whose key is encoded already.
    #[inline]
    pub(crate) fn emit_cell(&mut self, key: &[u8], value: impl Encode<V>) {
        crate::short::append(&mut self.batch.keys.data, key);
        self.end_record(value);
    }

    /// Emits a record whose key is in registers.
    #[inline]
    pub(crate) fn emit_inline(&mut self, key: InlineKey, value: impl Encode<V>) {
        key.append_to(&mut self.batch.keys.data);
        self.end_record(value);
    }

    #[inline]
    fn end_record(&mut self, value: impl Encode<V>) {
        let Batch { rows, keys, values } = &mut self.batch;
        value.encode(&mut values.data);
        end_cell::<K>(keys);
        end_cell::<V>(values);
        *rows += 1;
        let bytes = keys.data.len() + values.data.len();
        // Empty records fill no bytes, so rows are bounded too.
        if bytes >= self.batch_bytes || *rows as usize >= self.batch_bytes {
            self.flush();
        }
    }
}

/// Columns of a fixed width need no ends.
#[inline]
fn end_cell<D: DataType>(column: &mut Column) {
    if D::WIDTH.is_none() {
        column.end_cell();
    }
}

impl<K: DataType, V: DataType> Output for Emitter<K, V> {
    type Key = K;
    type Value = V;

    fn open(batch_bytes: usize) -> Self {
        Self::to_port(0, batch_bytes)
    }

    #[inline(never)]
    fn flush(&mut self) {
        if self.batch.rows > 0 {
            host::emit(self.port, &mut self.batch);
            self.batch.clear();
        }
    }
}

impl<K: DataType, V: DataType> Emitter<K, V> {
    /// Emits to the output `port`; batches aim for `batch_bytes`.
    pub(crate) fn to_port(port: u32, batch_bytes: usize) -> Self {
        let width = |width: Option<usize>| width.and_then(|width| u32::try_from(width).ok()).unwrap_or(0);
        let mut batch = Batch::default();
        batch.keys.width = width(K::WIDTH);
        batch.values.width = width(V::WIDTH);
        Self {
            batch,
            batch_bytes: batch_bytes.clamp(*BATCH_BYTES.start(), *BATCH_BYTES.end()),
            port,
            types: PhantomData,
        }
    }
}
