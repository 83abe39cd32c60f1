//! What a job writes: the format and compression of its files, their size, and its named outputs beside the
//! main one. Plain data; must not know how files are written or called.

use serde::{Deserialize, Serialize};

use crate::format::{Compression, Fields, OutputFormat};
use crate::job::{StageTypes, is_input_name};
use crate::limit::OUTPUTS_MAX;

/// Name of the output that is always there, as plugins see it: port 0.
pub const MAIN_OUTPUT: &str = "main";
/// What names of files of an output begin with, so that no named output is called like one.
const FILE_PREFIX: &str = "part-";

/// What a job writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// How output records become bytes.
    pub format: OutputFormat,
    /// How files are compressed as a whole.
    pub compression: Compression,
    /// Names of the columns of the main output, where the format has them; none for those that the engine
    /// gives.
    pub names: Option<Fields>,
    /// A file of this many bytes is ended and the next one begun; none for one file for each task.
    pub part_bytes_max: Option<u64>,
    /// Types of the records of the main output.
    pub types: StageTypes,
    /// The named outputs: the first one is port 1.
    pub ports: Vec<Port>,
}

/// A named output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name, also that of its folder in the output.
    pub name: String,
    /// Names of its columns, as of [`OutputSpec::names`].
    pub names: Option<Fields>,
    /// Types of its records.
    pub types: StageTypes,
}

impl OutputSpec {
    /// Files of this format, one for each task, with nothing else said.
    pub fn of(format: OutputFormat) -> Self {
        Self {
            format,
            compression: Compression::None,
            names: None,
            part_bytes_max: None,
            types: StageTypes::default(),
            ports: Vec::new(),
        }
    }

    /// How names of its files end: `.csv.gz`, or nothing for text.
    pub fn ending(&self) -> String {
        // What compresses inside of itself is still called by its format alone.
        let compression = if self.format.may_be_compressed() { self.compression } else { Compression::None };
        let endings = [self.format.ending(), compression.ending()];
        endings.iter().filter(|ending| !ending.is_empty()).map(|ending| format!(".{ending}")).collect()
    }

    /// Types and names of columns of the output `port`, 0 for the main one; none where there is no such one.
    pub fn port(&self, port: u32) -> Option<(&StageTypes, Option<&Fields>)> {
        match (port as usize).checked_sub(1) {
            None => Some((&self.types, self.names.as_ref())),
            Some(named) => self.ports.get(named).map(|port| (&port.types, port.names.as_ref())),
        }
    }

    /// Checks what a peer may have sent. Answers what is wrong.
    ///
    /// # Errors
    /// More named outputs than [`OUTPUTS_MAX`], a name that is none or there twice, or files of no size.
    pub fn check(&self) -> Result<(), String> {
        if self.ports.len() > OUTPUTS_MAX {
            return Err(format!("it has {} named outputs, and {OUTPUTS_MAX} are the most", self.ports.len()));
        }
        for (number, port) in self.ports.iter().enumerate() {
            check_output_name(&port.name)?;
            if self.ports[..number].iter().any(|other| other.name == port.name) {
                return Err(format!("the output {} is there twice", port.name));
            }
        }
        if self.part_bytes_max == Some(0) {
            return Err("its files have no size".into());
        }
        Ok(())
    }
}

/// Checks the name of a named output: one of an input that neither stands for the main output nor looks like
/// a file of it.
///
/// # Errors
/// A sentence that names it.
pub fn check_output_name(name: &str) -> Result<(), String> {
    if is_input_name(name) && name != MAIN_OUTPUT && !name.starts_with(FILE_PREFIX) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of an output: use a-z, 0-9, - and _, a letter first, 64 at most, neither \"{MAIN_OUTPUT}\" \
         nor \"{FILE_PREFIX}...\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_end_as_they_are_written() {
        let ending = |format: &str, compression| {
            OutputSpec { compression, ..OutputSpec::of(format.parse().unwrap()) }.ending()
        };
        assert_eq!(ending("text", Compression::None), "");
        assert_eq!(ending("text", Compression::Gzip), ".gz");
        assert_eq!(ending("tsv", Compression::Zstd), ".tsv.zst");
        assert_eq!(ending("parquet", Compression::None), ".parquet");
        assert_eq!(ending("kv", Compression::Lz4), ".kv");
    }

    #[test]
    fn named_outputs_are_few_and_told_apart() {
        let spec = |names: &[&str]| {
            let port =
                |name: &&str| Port { name: (*name).to_owned(), names: None, types: StageTypes::default() };
            OutputSpec { ports: names.iter().map(port).collect(), ..OutputSpec::of(OutputFormat::Text) }
        };
        assert_eq!(spec(&["errors", "stats-2"]).check(), Ok(()));
        for bad in ["", "main", "part-r-00000", "part-", "Errors", "a/b", "..", "_a", "a.b"] {
            assert!(spec(&[bad]).check().is_err(), "{bad}");
        }
        assert!(spec(&["a", "b", "a"]).check().is_err());
        let many: Vec<String> = (0..=OUTPUTS_MAX).map(|number| format!("o{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(spec(&many).check().is_err() && spec(&many[1..]).check().is_ok());
        assert!(OutputSpec { part_bytes_max: Some(0), ..spec(&[]) }.check().is_err());
    }
}
