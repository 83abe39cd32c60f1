//! Objects as inputs of jobs: listed as files are, looked into when a job is planned, copied ahead of the
//! attempts that read them. Joins what stores can do with what storage asks of them; decides nothing itself.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use mr_model::Failure;
use mr_storage::{InputError, InputFile, OpenInput, RemoteInputs, Source};

use crate::error::StoreError;
use crate::listing::RemoteFile;
use crate::location::is_remote;
use crate::stores::Stores;

/// Bytes of an object that are had at a time when it is looked into.
const BLOCK_BYTES: u64 = 1 << 20;
/// Blocks that are kept of an object that is looked into.
const BLOCKS_MAX: usize = 16;

/// Objects of all stores as inputs.
#[derive(Debug, Clone, Default)]
pub struct StoreInputs(Arc<Stores>);

impl StoreInputs {
    /// Those of `stores`.
    pub fn new(stores: Arc<Stores>) -> Self {
        Self(stores)
    }
}

impl OpenInput for StoreInputs {
    fn open(&self, file: &InputFile) -> io::Result<Arc<dyn Source>> {
        let file = remote(file).map_err(io::Error::other)?;
        Ok(Arc::new(Object { stores: self.0.clone(), file, blocks: Mutex::default() }))
    }
}

impl RemoteInputs for StoreInputs {
    fn is_remote(&self, pattern: &str) -> bool {
        is_remote(pattern)
    }

    fn list(&self, pattern: &str) -> Result<Vec<InputFile>, InputError> {
        let listed = self.0.list(pattern).map_err(|error| refused(pattern, &error))?;
        let file = |file: RemoteFile| InputFile {
            path: file.url.into(),
            bytes: file.bytes,
            modified_ns: 0,
            tag: Some(file.fingerprint),
        };
        Ok(listed.into_iter().map(file).collect())
    }

    fn copy(
        &self,
        object: &InputFile,
        ranges: &[Range<u64>],
        to: &Path,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), Failure> {
        let file = remote(object).map_err(Failure::internal)?;
        self.0.fetch_ranges(&file, ranges, to, stop).map(|_| ())
    }
}

/// An object that is looked into: the blocks around what was asked for stay for a while.
struct Object {
    stores: Arc<Stores>,
    file: RemoteFile,
    blocks: Mutex<BTreeMap<u64, Arc<Vec<u8>>>>,
}

impl Source for Object {
    fn bytes(&self) -> u64 {
        self.file.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if offset >= self.file.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let number = offset / BLOCK_BYTES;
        let block = self.block(number)?;
        let from = usize::try_from(offset - number * BLOCK_BYTES).map_err(io::Error::other)?;
        let rest = block.get(from..).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }
}

impl Object {
    fn block(&self, number: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks.get(&number) {
            return Ok(block.clone());
        }
        let start = number * BLOCK_BYTES;
        let range = start..(start + BLOCK_BYTES).min(self.file.bytes);
        let block = self.stores.fetch_bytes(&self.file, range).map_err(io::Error::other)?;
        if blocks.len() >= BLOCKS_MAX {
            // They are read in order or from the end: the first ones are done with.
            blocks.pop_first();
        }
        let block = Arc::new(block);
        blocks.insert(number, block.clone());
        Ok(block)
    }
}

/// What a listing said of a file.
fn remote(file: &InputFile) -> Result<RemoteFile, String> {
    let url = file.path.to_str().ok_or("the address of an object is not UTF-8")?;
    let fingerprint = file.tag.clone().ok_or_else(|| format!("{url} has no tag"))?;
    Ok(RemoteFile { url: url.to_owned(), bytes: file.bytes, fingerprint })
}

fn refused(pattern: &str, error: &StoreError) -> InputError {
    InputError::Store { pattern: pattern.to_owned(), reason: error.problem.to_string() }
}
