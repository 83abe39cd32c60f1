//! Cuts input files into splits, the units of map work. Splits in order are the input in order, and
//! follow from the files, the format and the split size alone: never from the number of workers.

use std::path::{Path, PathBuf};

use mr_formats::Cuts;
use mr_model::{Compression, InputFormat, InputSpec, limit, path_serde};
use serde::{Deserialize, Serialize};

use crate::input::InputFile;
use crate::inspect::{OpenInput, compression, cuts_of};

/// Most splits of a job: each is a task to keep track of, and 64 TiB in splits of 64 MiB are enough.
/// As many as the scheduler takes; of a map-only job, whose maps make the parts, it takes fewer.
pub const SPLITS_MAX: usize = 1 << 20;

/// A remainder below this share of a split (one in so many) joins the piece before it, because a
/// task of its own would cost more than it does. Hadoop does the same.
const SLOP: u64 = 10;

/// Part of the input that one map task reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Number of the split, from 0.
    pub index: u32,
    /// Number of the input that it is of, in the job's order.
    pub input: u32,
    /// Files and parts of files, in order.
    pub pieces: Vec<Piece>,
    /// Bytes of all pieces.
    pub bytes: u64,
}

/// A range of one file, with what the file was when the job was planned. Of text it means the lines
/// whose first byte is in the range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file.
    #[serde(with = "path_serde")]
    pub path: PathBuf,
    /// First byte of the range.
    pub start: u64,
    /// End of the range, exclusive; greater than `start`.
    pub end: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Time of the file's last change, in nanoseconds since 1970; 0 for a remote one.
    pub modified_ns: i64,
    /// How the file is compressed; the range is of its bytes as they lie there.
    pub compression: Compression,
    /// What tells a remote object from a later one under the same name; none for files.
    pub tag: Option<String>,
    /// Where the bytes of a remote object were copied to, at the same offsets, by whoever runs the attempt.
    pub copy: Option<PathBuf>,
}

impl Piece {
    /// A range of a listed file.
    pub fn of(file: &InputFile, compression: Compression, start: u64, end: u64) -> Self {
        Self {
            path: file.path.clone(),
            start,
            end,
            file_bytes: file.bytes,
            modified_ns: file.modified_ns,
            compression,
            tag: file.tag.clone(),
            copy: None,
        }
    }

    /// The file that its bytes are read from; of a remote object, once they were copied.
    pub fn file(&self) -> &Path {
        self.copy.as_deref().unwrap_or(&self.path)
    }
}

/// Why an input cannot be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Fixed-length records do not fill the file.
    #[error(
        "input {} has {bytes} bytes, which is no multiple of the record length of {record_bytes} bytes",
        path.display()
    )]
    BrokenRecord {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// Length of a record in bytes.
        record_bytes: u32,
    },
    /// Fields of a format that has none.
    #[error("records of the format {format} have no fields; use csv, tsv, jsonl, parquet, arrow or avro")]
    NoFields {
        /// The format.
        format: InputFormat,
    },
    /// A file that cannot be looked into.
    #[error("input {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A file that is not what its format says.
    #[error("input {} at byte {offset}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// What is wrong: a clause.
        reason: String,
    },
    /// Too many tasks.
    #[error(
        "splits of {split_bytes} bytes cut the input into more than {SPLITS_MAX} tasks; raise it with --split-size"
    )]
    TooMany {
        /// Size of a split in bytes.
        split_bytes: u64,
    },
}

/// Splits of a job, with what people should know of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SplitPlan {
    /// The splits, in order.
    pub splits: Vec<Split>,
    /// Files that are longer than a split and go to one task all the same, each with the reason: the first
    /// few of them.
    pub whole: Vec<(PathBuf, &'static str)>,
}

/// Files of [`SplitPlan::whole`] that are told.
const WHOLE_TOLD_MAX: usize = 10;

/// Cuts the files of each input into splits of about `split_bytes` (at most a tenth more, at least one
/// record or unit of the format). Big files are cut, small ones go together, those of different inputs never.
/// Without any byte of input there is no split, but where empty files are records.
///
/// # Errors
/// A file that is not made of whole records or not of its format, and too many splits.
pub fn plan_splits(
    inputs: &[(&InputSpec, &[InputFile])],
    split_bytes: u64,
    opener: &dyn OpenInput,
) -> Result<SplitPlan, SplitError> {
    let mut plan = Plan { input: 0, size: split_bytes.max(1), made: SplitPlan::default() };
    for (number, (spec, files)) in (0u32..).zip(inputs) {
        plan.input = number;
        for file in *files {
            let compression = compression(spec, file);
            let record_bytes = match spec.format {
                InputFormat::Fixed { bytes, .. } if compression == Compression::None => bytes.max(1),
                _ => 1,
            };
            if !file.bytes.is_multiple_of(u64::from(record_bytes)) {
                return Err(SplitError::BrokenRecord {
                    path: file.path.clone(),
                    bytes: file.bytes,
                    record_bytes,
                });
            }
            let records = (split_bytes / u64::from(record_bytes)).max(1);
            plan.size = records * u64::from(record_bytes);
            let cuts = cuts_of(spec, file, plan.size, opener)?;
            let made = if file.bytes == 0 && spec.format == InputFormat::Whole {
                // A file of nothing is a record of nothing.
                plan.add(Piece::of(file, compression, 0, 0))
            } else {
                plan.cut(file, compression, &cuts)
            };
            made.ok_or(SplitError::TooMany { split_bytes })?;
        }
    }
    Ok(plan.made)
}

/// Splits so far; the last one may still grow.
struct Plan {
    /// Number of the input that is cut.
    input: u32,
    /// Size of a full piece in bytes, a multiple of the record length.
    size: u64,
    made: SplitPlan,
}

impl Plan {
    /// Adds a file; none if that makes too many splits.
    fn cut(&mut self, file: &InputFile, compression: Compression, cuts: &Cuts) -> Option<()> {
        if let Cuts::Nowhere(why) = cuts
            && file.bytes > self.size
            && self.made.whole.len() < WHOLE_TOLD_MAX
        {
            self.made.whole.push((file.path.clone(), why));
        }
        let mut start = 0;
        while start < file.bytes {
            let left = file.bytes - start;
            let joins = left.saturating_sub(self.size) < self.size.div_ceil(SLOP);
            let end = if joins { file.bytes } else { self.end(start, file.bytes, cuts) };
            self.add(Piece::of(file, compression, start, end))?;
            start = end;
        }
        Some(())
    }

    /// Where a piece that begins at `start` ends: the last place within its size at which another one may
    /// begin, or the first one behind it.
    fn end(&self, start: u64, file_bytes: u64, cuts: &Cuts) -> u64 {
        let wanted = start + self.size;
        match cuts {
            Cuts::Anywhere => wanted,
            Cuts::Nowhere(_) => file_bytes,
            Cuts::At(places) => {
                let behind = places.partition_point(|place| *place <= wanted);
                let within = places[..behind].last().copied().filter(|place| *place > start);
                within.or_else(|| places.get(behind).copied()).unwrap_or(file_bytes).min(file_bytes)
            }
        }
    }

    /// Puts a piece into the last split if it fits there, else into a new one.
    fn add(&mut self, piece: Piece) -> Option<()> {
        let bytes = piece.end - piece.start;
        if let Some(last) = self.made.splits.last_mut()
            && last.input == self.input
            && last.bytes + bytes <= self.size
            && last.pieces.len() < limit::SPLIT_PIECES_MAX
        {
            last.bytes += bytes;
            last.pieces.push(piece);
            return Some(());
        }
        if self.made.splits.len() >= SPLITS_MAX {
            return None;
        }
        let index = u32::try_from(self.made.splits.len()).ok()?;
        self.made.splits.push(Split { index, input: self.input, pieces: vec![piece], bytes });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::LocalInputs;

    /// Plans files of the given lengths; answers `file:start-end` for each piece of each split.
    fn planned(lengths: &[u64], format: InputFormat, split_bytes: u64) -> Vec<Vec<String>> {
        let file = |(i, bytes): (usize, &u64)| InputFile {
            path: PathBuf::from(i.to_string()),
            bytes: *bytes,
            modified_ns: 0,
            tag: None,
        };
        let files: Vec<_> = lengths.iter().enumerate().map(file).collect();
        let splits =
            plan_splits(&[(&InputSpec::of(format), &files)], split_bytes, &LocalInputs).unwrap().splits;
        for (index, split) in (0u32..).zip(&splits) {
            assert_eq!(split.index, index);
            assert_eq!(split.bytes, split.pieces.iter().map(|piece| piece.end - piece.start).sum::<u64>());
        }
        let show = |piece: &Piece| format!("{}:{}-{}", piece.path.display(), piece.start, piece.end);
        splits.iter().map(|split| split.pieces.iter().map(show).collect()).collect()
    }

    #[test]
    fn big_files_are_cut_and_small_ones_packed() {
        let lines = InputFormat::Lines;
        assert!(planned(&[], lines, 100).is_empty());
        assert!(planned(&[0, 0], lines, 100).is_empty());
        assert_eq!(planned(&[250], lines, 100), [["0:0-100"], ["0:100-200"], ["0:200-250"]]);
        assert_eq!(planned(&[109], lines, 100), [["0:0-109"]]);
        assert_eq!(planned(&[110], lines, 100), [["0:0-100"], ["0:100-110"]]);
        assert_eq!(planned(&[30, 0, 70, 1], lines, 100), [vec!["0:0-30", "2:0-70"], vec!["3:0-1"]]);
        assert_eq!(
            planned(&[150, 50, 1], lines, 100),
            [vec!["0:0-100"], vec!["0:100-150", "1:0-50"], vec!["2:0-1"]]
        );
        assert_eq!(planned(&[2], lines, 0), [["0:0-1"], ["0:1-2"]]);
        let empty = planned(&[0, 0], InputFormat::Whole, 100);
        assert_eq!(empty, [["0:0-0", "1:0-0"]], "each of them is a record");
    }

    #[test]
    fn records_stay_whole() {
        let fixed = InputFormat::Fixed { bytes: 30, key: 10 };
        assert_eq!(planned(&[240], fixed, 100), [["0:0-90"], ["0:90-180"], ["0:180-240"]]);
        assert_eq!(planned(&[60], fixed, 1), [["0:0-30"], ["0:30-60"]]);
        let file = InputFile { path: "f".into(), bytes: 61, modified_ns: 0, tag: None };
        assert_eq!(
            plan_splits(&[(&InputSpec::of(fixed), &[file])], 100, &LocalInputs).unwrap_err().to_string(),
            "input f has 61 bytes, which is no multiple of the record length of 30 bytes"
        );
    }

    #[test]
    fn counts_are_bounded() {
        let pieces = limit::SPLIT_PIECES_MAX;
        let lengths: Vec<usize> =
            planned(&vec![1; pieces + 1], InputFormat::Lines, 1 << 20).iter().map(Vec::len).collect();
        assert_eq!(lengths, [pieces, 1]);
        let file = InputFile { path: "f".into(), bytes: u64::MAX, modified_ns: 0, tag: None };
        let lines = InputSpec::of(InputFormat::Lines);
        let planned = plan_splits(&[(&lines, &[file])], 1, &LocalInputs);
        assert_eq!(planned, Err(SplitError::TooMany { split_bytes: 1 }));
    }

    #[test]
    fn inputs_stay_apart() {
        let file = |path: &str| InputFile { path: path.into(), bytes: 10, modified_ns: 0, tag: None };
        let (a, b) = ([file("a1"), file("a2")], [file("b")]);
        let spec = InputSpec::of(InputFormat::Lines);
        let splits = plan_splits(&[(&spec, &a), (&spec, &b)], 100, &LocalInputs).unwrap().splits;
        let shown: Vec<_> =
            splits.iter().map(|split| (split.index, split.input, split.pieces.len())).collect();
        assert_eq!(shown, [(0, 0, 2), (1, 1, 1)]);
    }

    #[test]
    fn pieces_begin_where_they_may() {
        let ends = |cuts: &Cuts| {
            let mut plan = Plan { input: 0, size: 100, made: SplitPlan::default() };
            let file = InputFile { path: "f".into(), bytes: 450, modified_ns: 0, tag: None };
            plan.cut(&file, Compression::Zstd, cuts).unwrap();
            let ends: Vec<u64> = plan.made.splits.iter().map(|split| split.pieces[0].end).collect();
            (ends, plan.made.whole.len())
        };
        assert_eq!(ends(&Cuts::At(vec![0, 60, 90, 300, 310, 400])), (vec![90, 300, 400, 450], 0));
        assert_eq!(ends(&Cuts::At(vec![])), (vec![450], 0));
        assert_eq!(ends(&Cuts::Nowhere("why")), (vec![450], 1));
        assert_eq!(ends(&Cuts::Anywhere), (vec![100, 200, 300, 400, 450], 0));
    }

    #[test]
    fn a_split_survives_serialisation() {
        use std::os::unix::ffi::OsStringExt;
        for name in [b"plain".to_vec(), b"not \xff UTF-8".to_vec()] {
            let path = PathBuf::from(std::ffi::OsString::from_vec(name));
            let file = InputFile { path, bytes: 9, modified_ns: -1, tag: Some("\"etag\"".into()) };
            let piece = Piece::of(&file, Compression::Zstd, 0, 5);
            let split = Split { index: 3, input: 1, pieces: vec![piece], bytes: 5 };
            let json = serde_json::to_string(&split).unwrap();
            assert_eq!(serde_json::from_str::<Split>(&json).unwrap(), split);
        }
    }
}
