//! Reads lines and records of fixed length of files that are not compressed: the hot path of most map
//! tasks.
//!
//! Chunks go from the kernel straight into the batch, in one copy. Nothing is carried from one read
//! to the next: a read begins at the next line or record by position, so that the few bytes behind
//! the last whole line are read twice instead of moved. Memory is bounded by a batch and a record.

use mr_model::{BatchBuf, Compression, Failure, InputFormat, InputKey, Place};

use crate::file;
use crate::origin::Origin;
use crate::reader::{Places, ROW_BYTES, ReaderOptions, write_path_element};
use crate::split::{Piece, Split};

/// Reads the records of one split, in order.
#[derive(Debug)]
pub(crate) struct PlainReader {
    options: ReaderOptions,
    /// Size that batches aim for, in bytes, at least 1.
    target: usize,
    input: Cursor,
    /// Lines or records read but not yet in a batch are those from `cursor` on.
    block: Vec<u8>,
    cursor: usize,
    /// Offset of the block in the file.
    block_offset: u64,
    places: Places,
    bytes_read: u64,
}

impl PlainReader {
    /// Whether it reads a split: text lines and fixed-length records, none of them compressed.
    pub fn reads(split: &Split, options: &ReaderOptions) -> bool {
        let plain = matches!(
            options.input.format,
            InputFormat::Lines | InputFormat::LineKeys | InputFormat::Fixed { .. }
        );
        plain && split.pieces.iter().all(|piece| piece.compression == Compression::None)
    }

    /// A reader at the start of `split`. Files are opened as reading reaches them.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the split is not one that `plan_splits` makes for this format.
    pub fn open(split: &Split, options: ReaderOptions) -> Result<Self, Failure> {
        let format = options.input.format;
        let record_bytes = match format {
            InputFormat::Fixed { bytes, key } if bytes == 0 || key > bytes => {
                return Err(Failure::internal(format!("input format {format} is invalid")));
            }
            InputFormat::Fixed { bytes, .. } => u64::from(bytes),
            _ => 1,
        };
        for piece in &split.pieces {
            let ordered = piece.start < piece.end && piece.end <= piece.file_bytes;
            if !ordered || !(piece.end - piece.start).is_multiple_of(record_bytes) {
                return Err(Failure::internal(format!(
                    "split {} has a malformed piece: {piece:?}",
                    split.index
                )));
            }
        }
        Ok(Self {
            target: (options.batch_bytes as usize).max(1),
            input: Cursor {
                pieces: split.pieces.clone(),
                index: 0,
                origin: None,
                lines: !matches!(format, InputFormat::Fixed { .. }),
                path_keys: format == InputFormat::Lines && options.input.key == InputKey::PathOffset,
                key_prefix: Vec::new(),
            },
            block: Vec::new(),
            cursor: 0,
            block_offset: 0,
            places: Places::default(),
            bytes_read: 0,
            options,
        })
    }

    /// Replaces the contents of `batch` with the next records, about as many bytes as a batch should
    /// have. False at the end of the split, else there is at least one record.
    ///
    /// # Errors
    /// A file that is gone or not what was planned, and a line or record over the limit. The reader
    /// is of no use after that.
    pub fn next_batch(&mut self, batch: &mut BatchBuf) -> Result<bool, Failure> {
        batch.clear();
        self.places.clear();
        match self.options.input.format {
            InputFormat::Lines if self.options.input.chunks => self.fill_chunks(batch)?,
            InputFormat::Lines | InputFormat::LineKeys => self.fill_lines(batch)?,
            InputFormat::Fixed { bytes, key } => self.fill_fixed(batch, bytes as usize, key as usize)?,
            other => return Err(Failure::internal(format!("format {other} is not plain"))),
        }
        Ok(batch.rows() > 0)
    }

    /// Where row `row` of the last batch begins in the input; none for a row that it does not have.
    pub fn place(&self, row: u32) -> Option<Place> {
        let (piece, offset) = self.places.find(row)?;
        Some(Place { path: self.input.pieces.get(piece)?.path.clone(), offset })
    }

    /// Bytes of input read so far. Over all splits these add up to the length of the input.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn fill_chunks(&mut self, batch: &mut BatchBuf) -> Result<(), Failure> {
        file::fit(batch.values.data_mut(), self.target);
        while let Some((origin, piece)) = self.input.advance()? {
            let offset = origin.offset;
            if !origin.append_lines(piece, batch.values.data_mut(), self.options.record_bytes_max)? {
                break;
            }
            self.bytes_read += origin.offset - offset;
            batch.values.close_cell();
            push_key(batch, &self.input.key_prefix, offset);
            self.places.enter(self.input.index);
            self.places.push(offset);
            if filled(batch) > self.target - self.target / 4 {
                break;
            }
        }
        Ok(())
    }

    fn fill_lines(&mut self, batch: &mut BatchBuf) -> Result<(), Failure> {
        while filled(batch) < self.target {
            if self.cursor == self.block.len() && !self.read_block()? {
                break;
            }
            self.split_block(batch);
        }
        Ok(())
    }

    /// Reads the next whole lines into the block; false at the end of the split.
    fn read_block(&mut self) -> Result<bool, Failure> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        file::fit(&mut block, self.target);
        self.cursor = 0;
        if let Some((origin, piece)) = self.input.advance()? {
            let offset = origin.offset;
            origin.append_lines(piece, &mut block, self.options.record_bytes_max)?;
            self.bytes_read += origin.offset - offset;
            self.block_offset = offset;
        }
        self.block = block;
        Ok(!self.block.is_empty())
    }

    /// Moves lines from the block to the batch until either is exhausted or full.
    fn split_block(&mut self, batch: &mut BatchBuf) {
        let keys = self.options.input.format == InputFormat::LineKeys;
        self.places.enter(self.input.index);
        let block = &self.block[self.cursor..];
        let base = self.block_offset + self.cursor as u64;
        let mut start = 0;
        let ends = memchr::memchr_iter(b'\n', block);
        let unterminated = (block.last() != Some(&b'\n')).then_some(block.len());
        for end in ends.chain(unterminated) {
            let offset = base + start as u64;
            if keys {
                batch.push(&block[start..end], b"");
            } else {
                push_key(batch, &self.input.key_prefix, offset);
                batch.values.push(&block[start..end]);
            }
            self.places.push(offset);
            start = end + 1;
            if filled(batch) >= self.target {
                break;
            }
        }
        self.cursor = (self.cursor + start).min(self.block.len());
    }

    fn fill_fixed(&mut self, batch: &mut BatchBuf, record: usize, key: usize) -> Result<(), Failure> {
        let mut block = std::mem::take(&mut self.block);
        let (target, record_bytes_max) = (self.target, self.options.record_bytes_max);
        while filled(batch) < target {
            let Some((origin, piece)) = self.input.advance()? else { break };
            let offset = origin.offset;
            if record as u64 > record_bytes_max {
                return Err(record_too_long(piece, offset, record, record_bytes_max));
            }
            let records = ((target - filled(batch)) / (record + ROW_BYTES)).max(1);
            block.clear();
            origin.append_bytes(piece, &mut block, records * record)?;
            self.bytes_read += block.len() as u64;
            self.places.enter(self.input.index);
            for (i, record_bytes) in block.chunks_exact(record).enumerate() {
                batch.push(&record_bytes[..key], &record_bytes[key..]);
                self.places.push(offset + (i * record) as u64);
            }
        }
        self.block = block;
        Ok(())
    }
}

/// Goes through the files of a split.
#[derive(Debug)]
struct Cursor {
    pieces: Vec<Piece>,
    /// Index of the piece that is read, or of the next one.
    index: usize,
    origin: Option<Origin>,
    lines: bool,
    path_keys: bool,
    /// What the key of a record has ahead of the offset.
    key_prefix: Vec<u8>,
}

impl Cursor {
    /// The open file at its next record, opening the next piece where one ends; none at the end of
    /// the split.
    fn advance(&mut self) -> Result<Option<(&mut Origin, &Piece)>, Failure> {
        loop {
            let Some(piece) = self.pieces.get(self.index) else { return Ok(None) };
            match self.origin.take() {
                Some(origin) if origin.offset < piece.end => {
                    return Ok(Some((self.origin.insert(origin), piece)));
                }
                Some(origin) => {
                    origin.close(piece)?;
                    self.index += 1;
                }
                None => {
                    self.origin = Some(Origin::open(piece, self.lines)?);
                    if self.path_keys {
                        write_path_element(&piece.path, &mut self.key_prefix);
                    }
                }
            }
        }
    }
}

/// What counts towards the size of a batch, in bytes.
#[inline]
fn filled(batch: &BatchBuf) -> usize {
    batch.bytes() + batch.rows() as usize * ROW_BYTES
}

/// Appends the key of a record at `offset`.
#[inline]
fn push_key(batch: &mut BatchBuf, prefix: &[u8], offset: u64) {
    let data = batch.keys.data_mut();
    if !prefix.is_empty() {
        data.extend_from_slice(prefix);
    }
    data.extend_from_slice(&offset.to_be_bytes());
    batch.keys.close_cell();
}

fn record_too_long(piece: &Piece, offset: u64, record: usize, record_bytes_max: u64) -> Failure {
    Failure::InputRecord {
        place: Place { path: piece.path.clone(), offset },
        reason: format!(
            "records have {record} bytes and {record_bytes_max} are allowed; raise it with --max-record"
        ),
    }
}
