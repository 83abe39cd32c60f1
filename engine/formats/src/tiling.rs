//! What tests of all formats check: the records of ranges that tile a file are those of the whole file, and
//! a damaged file gives an error or the same records, never others.

use std::ops::Range;
use std::sync::Arc;

use mr_model::{BatchBuf, Compression, InputFormat};

use crate::{FormatError, ReadOptions, RecordReader, Source, footprint, open};

/// A record: key and value.
pub(crate) type Record = (Vec<u8>, Vec<u8>);

/// Reads to the end, in batches of about `target` bytes.
pub(crate) fn drain(
    reader: &mut dyn RecordReader,
    range: &Range<u64>,
    target: usize,
) -> Result<Vec<Record>, FormatError> {
    let (mut records, mut batch, mut offsets) = (Vec::new(), BatchBuf::default(), Vec::new());
    let mut more = true;
    while more {
        more = reader.fill(&mut batch, &mut offsets, target, &mut |bad| bad.refuse())?;
        assert!(!more || batch.rows() > 0, "there is a row, or no more");
        assert_eq!(offsets.len(), batch.rows() as usize, "each row has a place");
        assert!(reader.bytes_read() <= range.end - range.start);
        records.extend(batch.view().iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
        batch.clear();
        offsets.clear();
    }
    assert_eq!(reader.bytes_read(), range.end - range.start, "all of the range is read at its end");
    Ok(records)
}

/// The records of a range.
pub(crate) fn records(
    file: &Arc<dyn Source>,
    format: InputFormat,
    range: Range<u64>,
    options: &ReadOptions,
    target: usize,
) -> Result<Vec<Record>, FormatError> {
    let mut reader = open(file.clone(), format, Compression::None, range.clone(), options.clone())?;
    drain(&mut *reader, &range, target)
}

/// The records of all ranges that `places` cut the file into.
pub(crate) fn tiled(
    file: &Arc<dyn Source>,
    format: InputFormat,
    places: &[u64],
    options: &ReadOptions,
    target: usize,
) -> Result<Vec<Record>, FormatError> {
    let mut places: Vec<u64> = places.iter().map(|place| place % (file.bytes() + 1)).collect();
    places.extend([0, file.bytes()]);
    places.sort_unstable();
    let mut all = Vec::new();
    for pair in places.windows(2) {
        all.extend(records(file, format, pair[0]..pair[1], options, target)?);
    }
    Ok(all)
}

/// Checks that a range is read from what [`footprint`] says of it alone: all else of the file is zero.
pub(crate) fn check_footprint(
    file: &Arc<dyn Source>,
    format: InputFormat,
    range: Range<u64>,
    options: &ReadOptions,
) {
    let parts =
        footprint(&**file, format, Compression::None, range.clone(), options.record_bytes_max).unwrap();
    assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start), "ascending and apart: {parts:?}");
    let mut sparse = vec![0; usize::try_from(file.bytes()).unwrap()];
    for part in parts {
        let part = usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap();
        file.read_at(part.start as u64, &mut sparse[part]).unwrap();
    }
    let sparse: Arc<dyn Source> = Arc::new(sparse);
    let read = |file| records(file, format, range.clone(), options, 1 << 16).unwrap();
    assert!(read(&sparse) == read(file), "{format} {range:?}");
}

/// Reads the file with each of `damages` done to it, and checks that nothing else than its records ever comes
/// of it. Answers how many of the damaged files were refused.
pub(crate) fn refused(
    file: &[u8],
    format: InputFormat,
    options: &ReadOptions,
    damages: impl Iterator<Item = Damage>,
) -> usize {
    let read = |file: Vec<u8>| -> Result<Vec<Record>, FormatError> {
        let file: Arc<dyn Source> = Arc::new(file);
        let range = 0..file.bytes();
        records(&file, format, range, options, 1 << 16)
    };
    let whole = read(file.to_vec()).unwrap();
    let mut refused = 0;
    for damage in damages {
        match read(damage.done_to(file)) {
            Ok(records) => assert!(records == whole, "{damage:?} gives other records"),
            Err(error) => {
                assert!(!error.to_string().contains('\n'), "one sentence: {error}");
                refused += 1;
            }
        }
    }
    refused
}

/// What happens to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    /// A bit of it flips.
    Flip(usize),
    /// It ends after so many bytes.
    Cut(usize),
}

impl Damage {
    fn done_to(self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        match self {
            Damage::Flip(bit) => file[bit / 8] ^= 1 << (bit % 8),
            Damage::Cut(bytes) => file.truncate(bytes),
        }
        file
    }
}
