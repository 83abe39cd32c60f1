//! JSON lines with fields: one object in each line, some members of which make a tuple of typed values.
//!
//! A member that is missing counts as null, members that nobody asks for are skipped, and one that is there twice
//! makes the line a bad record: which of them is meant, nobody knows. Numbers have to be written as their type is:
//! `1.0` is no `u64`. Text that is asked for takes every value: a string as what it says, anything else as the
//! JSON that it is written as. Lines of nothing but spaces are passed over.

use mr_model::{BatchBuf, DataType, Row};

use super::header::BYTE_ORDER_MARK;
use super::json::{Scan, Text, Value, unescape};
use super::{filled, push_place, sample};
use crate::cell::{self, Shown};
use crate::error::{BadRecord, FormatError, OnBad};
use crate::open::RecordReader;
use crate::tape::Tape;

/// Reads objects in lines.
pub(crate) struct JsonReader {
    tape: Tape<'static>,
    members: Members,
    /// What keys that tell the place have ahead of it.
    prefix: Vec<u8>,
    /// The first line belongs to the range ahead.
    skip: bool,
}

impl JsonReader {
    /// The objects in the lines of `tape`, whose first one is skipped if `skip`.
    pub(crate) fn new(tape: Tape<'static>, row: &Row, prefix: Vec<u8>, skip: bool) -> Self {
        Self { tape, members: Members::new(row), prefix, skip }
    }

    /// Pushes the lines in the window, and tells how many bytes they have; without a newline only if they are
    /// `all` that there is.
    fn push_lines(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<usize, FormatError> {
        let (bytes, base) = (self.tape.bytes(), self.tape.offset());
        let (last, all) = (self.tape.last(), self.tape.ended());
        let mut start = 0;
        while filled(batch) < target && start < bytes.len() {
            let offset = base + start as u64;
            let end = match memchr::memchr(b'\n', &bytes[start..]) {
                _ if offset > last => break,
                Some(newline) => start + newline,
                None if all => bytes.len(),
                None => break,
            };
            let line = &bytes[start..end];
            let place = self.tape.place(offset);
            if line.len() > self.tape.record_bytes_max() {
                return Err(self.tape.too_long(offset));
            }
            start = (end + 1).min(bytes.len());
            let line = if offset == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
            match self.members.read(line) {
                Ok(true) => {
                    self.members.push(&self.prefix, place, batch);
                    offsets.push(place);
                }
                Ok(false) => {}
                Err(reason) => {
                    let (offset, reason) = self.tape.told(offset, reason);
                    bad(BadRecord { offset, reason, sample: sample(line) })?;
                }
            }
        }
        Ok(start)
    }
}

impl RecordReader for JsonReader {
    fn fill(
        &mut self,
        batch: &mut BatchBuf,
        offsets: &mut Vec<u64>,
        target: usize,
        bad: OnBad<'_>,
    ) -> Result<bool, FormatError> {
        if std::mem::take(&mut self.skip) {
            self.tape.skip_past(|bytes| memchr::memchr(b'\n', bytes))?;
        }
        while filled(batch) < target.max(1) {
            let taken = self.push_lines(batch, offsets, target.max(1), bad)?;
            self.tape.consume(taken);
            if self.tape.offset() > self.tape.last() {
                return Ok(false);
            }
            if taken == 0 && !self.tape.more_of_record()? && self.tape.bytes().is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn bytes_read(&self) -> u64 {
        self.tape.bytes_read()
    }
}

/// The members that are wanted, and the cells of those of one line.
struct Members {
    wanted: Vec<Member>,
    /// How many of them are the key.
    keys: usize,
    /// Cells of a line, in the order of the line.
    cells: Vec<u8>,
    /// What an escaped string says.
    scratch: Vec<u8>,
    /// The member that is likely next.
    next: usize,
}

struct Member {
    name: String,
    datatype: DataType,
    nullable: bool,
    /// Another one has the same name.
    twin: bool,
    /// Where its cell is, once it was found.
    cell: Option<(usize, usize)>,
}

impl Members {
    fn new(row: &Row) -> Self {
        let fields = || row.key.0.iter().chain(&row.value.0);
        let member = |field: &mr_model::Field| Member {
            name: field.name.clone(),
            datatype: field.datatype.clone().unwrap_or(DataType::Text),
            nullable: field.nullable,
            twin: fields().filter(|other| other.name == field.name).count() > 1,
            cell: None,
        };
        let wanted = fields().map(member).collect();
        Self { wanted, keys: row.key.0.len(), cells: Vec::new(), scratch: Vec::new(), next: 0 }
    }

    /// Finds the cells of a line; false if there is nothing in it.
    ///
    /// # Errors
    /// A clause that says what is wrong with the line.
    fn read(&mut self, line: &[u8]) -> Result<bool, String> {
        self.cells.clear();
        self.next = 0;
        for member in &mut self.wanted {
            member.cell = None;
        }
        let mut scan = Scan::new(line);
        if scan.peek().is_none() {
            return Ok(false);
        }
        if let Err(error) = std::str::from_utf8(line) {
            return Err(format!("the line is no UTF-8 at its byte {}", error.valid_up_to()));
        }
        self.read_object(&mut scan)?;
        for member in &mut self.wanted {
            if member.cell.is_none() {
                let from = self.cells.len();
                if !member.nullable {
                    let Member { name, datatype, .. } = member;
                    return Err(format!(
                        "the field {name:?} is missing; ask for {name}:{datatype}? if it may be"
                    ));
                }
                cell::push_null(&mut self.cells, &member.datatype);
                member.cell = Some((from, self.cells.len()));
            }
        }
        Ok(true)
    }

    fn read_object(&mut self, scan: &mut Scan<'_>) -> Result<(), String> {
        let told = |bad: super::json::BadJson| {
            format!("the line is no JSON object: {} at its byte {}", bad.reason, bad.at)
        };
        scan.expect(b'{', "a { is missing").map_err(told)?;
        if !scan.take(b'}') {
            loop {
                let name = scan.name().map_err(told)?;
                match self.find(name)? {
                    Some(index) => {
                        let value = scan.value().map_err(told)?;
                        self.take(index, value)?;
                    }
                    None => scan.skip(1).map_err(told)?,
                }
                if !scan.take(b',') {
                    scan.expect(b'}', "an object has neither , nor } behind a value").map_err(told)?;
                    break;
                }
            }
        }
        match scan.peek() {
            None => Ok(()),
            Some(_) => Err(told(scan.bad("something follows the object"))),
        }
    }

    /// The wanted member of this name. Lines mostly have them in the same order.
    #[inline]
    fn find(&mut self, name: Text<'_>) -> Result<Option<usize>, String> {
        let name = if name.escaped {
            self.scratch.clear();
            unescape(name.written, &mut self.scratch)?;
            self.scratch.as_slice()
        } else {
            name.written
        };
        let is_it = |index: &usize| self.wanted[*index].name.as_bytes() == name;
        let found = (self.next..self.wanted.len()).chain(0..self.next).find(is_it);
        if let Some(index) = found {
            self.next = if index + 1 < self.wanted.len() { index + 1 } else { 0 };
        }
        Ok(found)
    }

    /// Takes the value of a wanted member.
    #[inline]
    fn take(&mut self, index: usize, value: Value<'_>) -> Result<(), String> {
        if self.wanted[index].twin {
            let name = self.wanted[index].name.clone();
            for twin in (0..self.wanted.len()).filter(|twin| *twin != index) {
                if self.wanted[twin].name == name {
                    self.take_one(twin, value)?;
                }
            }
        }
        self.take_one(index, value)
    }

    #[inline]
    fn take_one(&mut self, index: usize, value: Value<'_>) -> Result<(), String> {
        let member = &mut self.wanted[index];
        if member.cell.is_some() {
            return Err(format!("the field {:?} is there twice", member.name));
        }
        let from = self.cells.len();
        let fits = match value {
            Value::Null if member.nullable => {
                cell::push_null(&mut self.cells, &member.datatype);
                true
            }
            Value::Null => {
                let Member { name, datatype, .. } = member;
                return Err(format!("the field {name:?} is null; ask for {name}:{datatype}? if it may be"));
            }
            _ => {
                if member.nullable {
                    cell::push_bool(&mut self.cells, true);
                }
                push_value(value, &member.datatype, &mut self.scratch, &mut self.cells)?
            }
        };
        if !fits {
            let (name, datatype) = (&member.name, &member.datatype);
            return Err(format!("the field {name:?} is {}, which is no {datatype}", Told(value)));
        }
        member.cell = Some((from, self.cells.len()));
        Ok(())
    }

    /// Appends the line that was read last.
    #[inline]
    fn push(&self, prefix: &[u8], place: u64, batch: &mut BatchBuf) {
        let (keys, values) = self.wanted.split_at(self.keys);
        if keys.is_empty() {
            push_place(batch, prefix, place);
        } else {
            self.copy(keys, batch.keys.data_mut());
            batch.keys.close_cell();
        }
        self.copy(values, batch.values.data_mut());
        batch.values.close_cell();
    }

    #[inline]
    fn copy(&self, members: &[Member], out: &mut Vec<u8>) {
        for member in members {
            let (from, to) = member.cell.unwrap_or((0, 0));
            out.extend_from_slice(&self.cells[from..to]);
        }
    }
}

/// Appends a value that is not null; false, and maybe something, if it is not of the type.
#[inline]
fn push_value(
    value: Value<'_>,
    datatype: &DataType,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<bool, String> {
    match (datatype, value) {
        (DataType::Text | DataType::Bytes, Value::Text(text)) if text.escaped => {
            scratch.clear();
            unescape(text.written, scratch)?;
            cell::push_bytes(out, scratch);
        }
        (DataType::Text | DataType::Bytes, value) => cell::push_zero_free(out, written(value)),
        (DataType::U64 | DataType::S64 | DataType::F64, Value::Number(digits)) => {
            let from = out.len();
            let parsed = cell::push_text(out, datatype, digits).is_ok();
            // A number too great for any float is no infinity.
            return Ok(parsed && (*datatype != DataType::F64 || !cell::is_infinite(&out[from..])));
        }
        (DataType::Bool, Value::Bool(value)) => cell::push_bool(out, value),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The JSON of a value, or what a string has between its quotes; neither can have a zero byte.
fn written(value: Value<'_>) -> &[u8] {
    match value {
        Value::Null => b"null",
        Value::Bool(true) => b"true",
        Value::Bool(false) => b"false",
        Value::Number(written) | Value::Nested(written) => written,
        Value::Text(text) => text.written,
    }
}

/// Shows a value within a sentence.
struct Told<'a>(Value<'a>);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Text(text) => write!(f, "the text {}", Shown(text.written)),
            Value::Nested(written) if written.first() == Some(&b'{') => f.write_str("an object"),
            Value::Nested(_) => f.write_str("an array"),
            value => {
                f.write_str(&String::from_utf8_lossy(written(value)).chars().take(40).collect::<String>())
            }
        }
    }
}
