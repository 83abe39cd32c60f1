//! The values of a group, one after the other, however many batches they fill.

use std::marker::PhantomData;

use crate::datatype::{DataType, Malformed, Owned};
use crate::host;
use crate::wire::{Cells, Column};

/// The values of one key. An iterator of values that borrow from nothing: numbers as they are,
/// text copied; [`next_view`](Values::next_view) goes without the copy.
///
/// A value that is not of type `V` ends the iteration and fails the task.
#[derive(Debug)]
pub struct Values<'a, V> {
    /// The part of the group that came with the batch.
    cells: Cells<'a>,
    /// A further part, fetched from the host; it replaces the one before.
    fetched: Option<Column>,
    next: usize,
    end: usize,
    /// The host has more of this group.
    more: bool,
    malformed: Option<Malformed>,
    datatype: PhantomData<fn(V)>,
}

impl<'a, V: DataType> Values<'a, V> {
    #[inline]
    pub(crate) fn new(cells: Cells<'a>, rows: std::ops::Range<usize>, more: bool) -> Self {
        Self {
            cells,
            fetched: None,
            next: rows.start,
            end: rows.end,
            more,
            malformed: None,
            datatype: PhantomData,
        }
    }

    /// The next value, borrowed for as long as it is looked at. None at the end of the group.
    #[inline]
    pub fn next_view(&mut self) -> Option<V::View<'_>> {
        if self.next == self.end && !self.fetch() {
            return None;
        }
        let row = self.next;
        self.next += 1;
        let cell = match &self.fetched {
            None => self.cells.cell(row),
            Some(column) => column.cells().cell(row),
        };
        match V::decode(cell) {
            Ok(view) => Some(view),
            Err(malformed) => {
                self.malformed = Some(malformed);
                (self.next, self.end, self.more) = (0, 0, false);
                None
            }
        }
    }

    /// Fetches the next part of the group. False at its end.
    #[cold]
    fn fetch(&mut self) -> bool {
        while self.more {
            match host::next_values() {
                Some((rows, column)) => {
                    (self.next, self.end) = (0, rows as usize);
                    self.fetched = Some(column);
                }
                None => self.more = false,
            }
            if self.next < self.end {
                return true;
            }
        }
        false
    }

    /// Passes over what was not read, as the host requires; tells what was malformed.
    #[inline]
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        while self.more {
            self.more = host::next_values().is_some();
        }
        self.malformed.map_or(Ok(()), Err)
    }
}

impl<V: DataType> Iterator for Values<'_, V> {
    type Item = Owned<V>;

    #[inline]
    fn next(&mut self) -> Option<Owned<V>> {
        self.next_view().map(V::to_owned)
    }
}
