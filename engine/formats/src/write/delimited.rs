//! Records as rows of delimited text (RFC 4180): a value is quoted where it has to be, rows end in a
//! newline alone. Text and bytes are written as they are, numbers as in text output, and what is missing is
//! empty; an empty text that could be taken for it is quoted.

use mr_model::{DataType, Delimited, StageTypes};

use super::columns::{Cell, Columns, Row};
use super::error::EncodeError;
use super::render;

/// Writes delimited text.
#[derive(Debug, Clone)]
pub(crate) struct DelimitedWriter {
    columns: Columns,
    delimited: Delimited,
    /// The header is still to be written.
    header: bool,
    /// Bytes that a value is quoted for.
    special: Box<[bool; 256]>,
    row: Row,
}

impl DelimitedWriter {
    pub fn new(delimited: Delimited, types: &StageTypes, names: Option<&[String]>) -> Result<Self, String> {
        let columns = Columns::new(types, names, &DataType::Bytes, None)?;
        let mut special = Box::new([false; 256]);
        for byte in
            [Some(delimited.delimiter), delimited.quote, Some(b'\n'), Some(b'\r')].into_iter().flatten()
        {
            special[usize::from(byte)] = true;
        }
        let writer = Self { columns, delimited, header: delimited.header, special, row: Row::default() };
        for column in &writer.columns.all {
            writer.put(column.name.as_bytes(), false, &mut Vec::new()).ok_or_else(|| {
                format!("the name {:?} of a column needs quotes, and the output has none", column.name)
            })?;
        }
        Ok(writer)
    }

    #[inline]
    pub fn encode(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.columns.read(key, value, &mut self.row)?;
        self.begin(out);
        let alone = self.columns.all.len() == 1;
        for (i, column) in self.columns.all.iter().enumerate() {
            if i > 0 {
                out.push(self.delimited.delimiter);
            }
            match self.row.cell(i, key, value) {
                Cell::Null if alone => self.put_empty(out),
                Cell::Null => {}
                Cell::U64(number) => render::unsigned(number, out),
                Cell::S64(number) => render::signed(number, out),
                Cell::F64(number) => render::float(number, out),
                Cell::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
                Cell::Bytes(bytes) => {
                    // A line without any byte would be no row.
                    self.put(bytes, column.nullable || alone, out)
                        .ok_or_else(|| EncodeError::Unquoted { column: column.name.clone() })?;
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }

    /// Writes the header, once.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.header) || self.columns.all.is_empty() {
            return;
        }
        for (i, column) in self.columns.all.iter().enumerate() {
            if i > 0 {
                out.push(self.delimited.delimiter);
            }
            // That it can be written was seen when the writer was made.
            let _ = self.put(column.name.as_bytes(), self.columns.all.len() == 1, out);
        }
        out.push(b'\n');
    }

    /// Appends a value, with quotes where it needs them; none where there are no quotes.
    #[inline]
    fn put(&self, value: &[u8], quote_empty: bool, out: &mut Vec<u8>) -> Option<()> {
        if value.is_empty() && quote_empty {
            self.put_empty(out);
            return Some(());
        }
        if !value.iter().any(|byte| self.special[usize::from(*byte)]) {
            out.extend_from_slice(value);
            return Some(());
        }
        let quote = self.delimited.quote?;
        out.push(quote);
        for part in value.split_inclusive(|byte| *byte == quote) {
            out.extend_from_slice(part);
            if part.last() == Some(&quote) {
                out.push(quote);
            }
        }
        out.push(quote);
        Some(())
    }

    fn put_empty(&self, out: &mut Vec<u8>) {
        if let Some(quote) = self.delimited.quote {
            out.extend_from_slice(&[quote, quote]);
        }
    }
}
