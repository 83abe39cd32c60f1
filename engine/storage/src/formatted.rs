//! Reads the pieces of a split whose format has a reader of its own, and what is compressed. Checks that
//! every file is what was planned, and puts its name to what is wrong with it.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use mr_formats::{BadRecord, FileSource, FormatError, ReadOptions, RecordReader};
use mr_model::limit::RECORD_SAMPLE_BYTES_MAX;
use mr_model::{BatchBuf, Failure, InputFormat, InputKey, InputSpec, Place};

use crate::file;
use crate::origin::{check_unchanged, lost};
use crate::reader::{BadInput, Places, ReaderOptions, write_path_element};
use crate::split::{Piece, Split};

/// Reads the records of one split, in order.
pub(crate) struct FormattedReader {
    options: ReaderOptions,
    pieces: Vec<Piece>,
    /// Index of the piece that is read, or of the next one.
    index: usize,
    open: Option<Open>,
    places: Places,
    bad: Vec<BadInput>,
    /// Records that may still be left out.
    bad_left: u64,
    /// Bytes of the pieces that were read to their end.
    passed: u64,
}

/// The piece that is read.
struct Open {
    file: std::fs::File,
    reader: Box<dyn RecordReader>,
}

impl FormattedReader {
    /// A reader at the start of `split`.
    ///
    /// # Errors
    /// [`Failure::Internal`] if a piece is none.
    pub fn open(split: &Split, options: ReaderOptions) -> Result<Self, Failure> {
        for piece in &split.pieces {
            let empty = options.input.format == InputFormat::Whole && piece.file_bytes == 0;
            if (piece.start >= piece.end && !empty) || piece.end > piece.file_bytes {
                return Err(Failure::internal(format!(
                    "split {} has a malformed piece: {piece:?}",
                    split.index
                )));
            }
        }
        Ok(Self {
            bad_left: options.bad_max,
            options,
            pieces: split.pieces.clone(),
            index: 0,
            open: None,
            places: Places::default(),
            bad: Vec::new(),
            passed: 0,
        })
    }

    /// As [`crate::SplitReader::next_batch`].
    pub fn next_batch(&mut self, batch: &mut BatchBuf) -> Result<bool, Failure> {
        batch.clear();
        self.places.clear();
        let target = (self.options.batch_bytes as usize).max(1);
        while let Some(piece) = self.pieces.get(self.index) {
            let open = match self.open.take() {
                Some(open) => self.open.insert(open),
                None => self.open.insert(open_piece(piece, &self.options)?),
            };
            self.places.enter(self.index);
            let (bad, left) = (&mut self.bad, &mut self.bad_left);
            let mut on_bad = |record: BadRecord<'_>| keep_bad(piece, record, bad, left);
            let filled = open.reader.fill(batch, &mut self.places.offsets, target, &mut on_bad);
            let more = filled.map_err(|error| match (&error, self.bad.last()) {
                // One more than are allowed was counted, and the next one refused.
                (FormatError::Bad { .. }, Some(last)) if self.bad_left == 0 => Failure::Rejects {
                    allowed: self.options.bad_max.saturating_sub(1),
                    reason: last.reason.clone(),
                    place: Some(last.place.clone()),
                },
                _ => failure(piece, error),
            })?;
            if self.options.input.key == InputKey::Unit {
                forget_places(&self.options.input, batch);
            }
            if !more {
                let metadata = open.file.metadata().map_err(|error| lost(piece, &error))?;
                check_unchanged(piece, &metadata)?;
                self.passed += piece.end - piece.start;
                self.open = None;
                self.index += 1;
            }
            if batch.rows() > 0 && (more || batch.bytes() >= target - target / 4) {
                break;
            }
        }
        Ok(batch.rows() > 0)
    }

    /// As [`crate::SplitReader::take_bad`].
    pub fn take_bad(&mut self) -> Vec<BadInput> {
        std::mem::take(&mut self.bad)
    }

    /// As [`crate::SplitReader::place`].
    pub fn place(&self, row: u32) -> Option<Place> {
        let (piece, offset) = self.places.find(row)?;
        let piece = self.pieces.get(piece)?;
        Some(Place { path: piece.path.clone(), offset: mr_formats::told_place(offset, piece.compression) })
    }

    /// As [`crate::SplitReader::bytes_read`].
    pub fn bytes_read(&self) -> u64 {
        self.passed + self.open.as_ref().map_or(0, |open| open.reader.bytes_read())
    }
}

impl fmt::Debug for FormattedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormattedReader").field("pieces", &self.pieces).field("index", &self.index).finish()
    }
}

fn open_piece(piece: &Piece, options: &ReaderOptions) -> Result<Open, Failure> {
    let (file, metadata) = file::open(piece.file()).map_err(|error| lost(piece, &error))?;
    check_unchanged(piece, &metadata)?;
    let clone = file.try_clone().map_err(|error| lost(piece, &error))?;
    let source = Arc::new(FileSource::with_length(clone, piece.file_bytes));
    let input = &options.input;
    let path_key = (input.key == InputKey::PathOffset).then(|| {
        let mut prefix = Vec::new();
        write_path_element(&piece.path, &mut prefix);
        prefix
    });
    if input.format == InputFormat::Kv {
        check_types(piece, &source, options)?;
    }
    let read = ReadOptions {
        record_bytes_max: options.record_bytes_max,
        expansion_max: input.expansion_max,
        chunks: input.chunks,
        row: input.row.clone(),
        path_key,
        whole_key: piece.path.as_os_str().as_bytes().to_vec(),
    };
    let range = piece.start..piece.end;
    let reader = mr_formats::open(source, input.format, piece.compression, range, read);
    Ok(Open { file, reader: reader.map_err(|error| failure(piece, error))? })
}

/// Refuses a file of keys and values whose types are not those of the input.
fn check_types(piece: &Piece, source: &FileSource, options: &ReaderOptions) -> Result<(), Failure> {
    let types = mr_formats::kv_types(source).map_err(|error| failure(piece, error))?;
    if types == options.input.types {
        return Ok(());
    }
    let words = |types: &mr_model::StageTypes| {
        let name =
            |side: &Option<mr_model::DataType>| side.as_ref().map_or("bytes".into(), ToString::to_string);
        format!("{} and {}", name(&types.key), name(&types.value))
    };
    let reason = format!(
        "its keys and values are {}, and those of the files ahead of it are {}",
        words(&types),
        words(&options.input.types)
    );
    Err(Failure::InputRecord { place: Place { path: piece.path.clone(), offset: 0 }, reason })
}

/// Empties keys that tell places.
fn forget_places(input: &InputSpec, batch: &mut BatchBuf) {
    if input.row.as_ref().is_none_or(|row| row.key.0.is_empty()) {
        batch.keys.clear();
        (0..batch.values.rows()).for_each(|_| batch.keys.push(b""));
    }
}

fn keep_bad(
    piece: &Piece,
    record: BadRecord<'_>,
    bad: &mut Vec<BadInput>,
    left: &mut u64,
) -> Result<(), FormatError> {
    let Some(fewer) = left.checked_sub(1) else { return record.refuse() };
    *left = fewer;
    let sample = record.sample[..record.sample.len().min(RECORD_SAMPLE_BYTES_MAX)].to_vec();
    let place = Place { path: piece.path.clone(), offset: record.offset };
    bad.push(BadInput { place, reason: record.reason, sample });
    Ok(())
}

/// What is wrong with the file of a piece.
fn failure(piece: &Piece, error: FormatError) -> Failure {
    match error {
        FormatError::Read(error) => lost(piece, &error),
        FormatError::Shrunk { offset } => Failure::InputChanged {
            path: piece.path.clone(),
            reason: format!("it ends at byte {offset} and had {} bytes", piece.file_bytes),
        },
        FormatError::Bad { offset, reason } => {
            Failure::InputRecord { place: Place { path: piece.path.clone(), offset }, reason }
        }
    }
}
