//! The policy file, in TOML. Keys of `[permissions]` are the options that they cap, without dashes in
//! front. What a key does not say is not capped; only the wall clock has to be granted.
//!
//! ```toml
//! [permissions]
//! guest-memory = "512M"
//! task-timeout = "10m"
//! max-task-time = "2h"
//! max-record = "1M"
//! max-rejects = 1000
//! max-task-output = "64G"
//! max-task-records = 1_000_000_000
//! max-shuffle = "1T"
//! max-output = "1T"
//! max-output-records = 10_000_000_000
//! max-sides = "4G"
//! wall-clock = false
//!
//! [plugins]
//! max-size = "64M"
//! # Files beside this one, or keys in one word. One good signature of one of them is enough.
//! signed-by = ["keys/alice.pem", "ed25519:2cdcdd7b4f86e7196e4719103eda83c7e7123643244de08073f71f04af30096c"]
//! # BLAKE3 of plugins that are taken without a signature.
//! allow = []
//!
//! [data]
//! # Folders, from the root, and addresses that jobs may read from and write to; without these lines all that the
//! # nodes' user may.
//! inputs = ["/srv/data", "s3://bucket/data"]
//! outputs = ["/srv/results", "s3://bucket/results"]
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mr_model::limit::{COMPONENT_BYTES_MAX, GUEST_MEMORY_BYTES_MIN};
use mr_model::quantity::{parse_size, parse_time, size_text};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use toml::Spanned;

use crate::caps::Caps;
use crate::data::{self, Places};
use crate::key::PublicKey;
use crate::policy::{Plugins, Trusted};

/// Largest policy file, in bytes: a thousand keys and as many hashes fit.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most keys and most hashes of a policy: every signature is looked up among them.
const ENTRIES_MAX: usize = 4096;

/// A policy file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("policy {}: {reason}", path.display())]
pub struct PolicyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, with the line where it is known.
    pub reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tables {
    permissions: PermissionsTable,
    plugins: PluginsTable,
    data: DataTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct PermissionsTable {
    guest_memory: Option<Spanned<Quantity<Size>>>,
    task_timeout: Option<Quantity<Time>>,
    max_task_time: Option<Quantity<Time>>,
    max_record: Option<Quantity<Size>>,
    max_rejects: Option<u64>,
    max_task_output: Option<Quantity<Size>>,
    max_task_records: Option<u64>,
    max_shuffle: Option<Quantity<Size>>,
    max_output: Option<Quantity<Size>>,
    max_output_records: Option<u64>,
    max_sides: Option<Quantity<Size>>,
    wall_clock: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct PluginsTable {
    max_size: Option<Quantity<Size>>,
    signed_by: Option<Spanned<Vec<Spanned<String>>>>,
    allow: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct DataTable {
    inputs: Option<Spanned<Vec<Spanned<String>>>>,
    outputs: Option<Spanned<Vec<Spanned<String>>>>,
}

/// Reads what a policy file says.
///
/// # Errors
/// A file that cannot be read, is too large, or says something else than a policy; keys that cannot be
/// read.
pub(crate) fn read(path: &Path) -> Result<(Caps, Plugins, Places), PolicyError> {
    let unusable = |reason: String| PolicyError { path: path.to_owned(), reason };
    let text = read_text(path).map_err(|error| unusable(error.to_string()))?;
    let text = text.ok_or_else(|| unusable(format!("it is larger than {}", size_text(FILE_BYTES_MAX))))?;
    let line = |start: usize| text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
    let tables: Tables = toml::from_str(&text).map_err(|error| {
        let place = error.span().map(|span| format!("line {}: ", line(span.start))).unwrap_or_default();
        unusable(format!("{place}{}", error.message().replace('\n', "; ")))
    })?;
    let at = |(start, reason): (usize, String)| unusable(format!("line {}: {reason}", line(start)));
    let folder = path.parent().unwrap_or(Path::new(""));
    let caps = caps(tables.permissions).map_err(at)?;
    let places = places(tables.data).map_err(at)?;
    Ok((caps, plugins(tables.plugins, folder).map_err(at)?, places))
}

/// Nothing where the file is too large.
fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Ok(None);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// A fault and where it begins.
type Fault = (usize, String);

fn caps(table: PermissionsTable) -> Result<Caps, Fault> {
    if let Some(guest) = &table.guest_memory
        && guest.get_ref().value < GUEST_MEMORY_BYTES_MIN
    {
        let reason = format!(
            "guest-memory is below {}, with which no plugin starts",
            size_text(GUEST_MEMORY_BYTES_MIN)
        );
        return Err((guest.span().start, reason));
    }
    let size = |quantity: Option<Quantity<Size>>| quantity.map(|quantity| quantity.value);
    let time = |quantity: Option<Quantity<Time>>| quantity.map(|quantity| quantity.value);
    Ok(Caps {
        guest_memory_bytes: size(table.guest_memory.map(Spanned::into_inner)),
        idle_timeout: time(table.task_timeout),
        task_time: time(table.max_task_time),
        record_bytes: size(table.max_record),
        rejects: table.max_rejects,
        task_output_bytes: size(table.max_task_output),
        task_output_records: table.max_task_records,
        shuffle_bytes: size(table.max_shuffle),
        output_bytes: size(table.max_output),
        output_records: table.max_output_records,
        sides_bytes: size(table.max_sides),
        wall_clock: table.wall_clock,
    })
}

fn plugins(table: PluginsTable, folder: &Path) -> Result<Plugins, Fault> {
    let bytes_max = table.max_size.map_or(COMPONENT_BYTES_MAX, |size| size.value);
    let signed_by = table.signed_by.map(|list| entries(list, "signed-by", |text| trusted(text, folder)));
    let allow = table.allow.map(|list| {
        entries(list, "allow", |text| {
            blake3::Hash::from_hex(text)
                .map_err(|_| format!("{text:?} is no BLAKE3: it has 64 hexadecimal digits"))
        })
    });
    Ok(Plugins { bytes_max, signed_by: signed_by.transpose()?, allow: allow.transpose()? })
}

fn places(table: DataTable) -> Result<Places, Fault> {
    let folders = |list: Option<Spanned<Vec<Spanned<String>>>>, name: &str| {
        let list = list.map(|list| {
            entries(list, name, |text| match Path::new(text) {
                path if path.is_absolute() && !text.contains("..") => Ok(path.to_owned()),
                path if data::address(path).is_some_and(data::is_plain) => Ok(path.to_owned()),
                _ => Err(format!(
                    "{name}: {text:?} is neither a path from the root, /..., nor an address, s3://..."
                )),
            })
        });
        list.transpose()
    };
    Ok(Places { inputs: folders(table.inputs, "inputs")?, outputs: folders(table.outputs, "outputs")? })
}

/// Every entry of a list. An empty one is a policy, too: it takes nothing.
fn entries<T>(
    list: Spanned<Vec<Spanned<String>>>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    let start = list.span().start;
    let list = list.into_inner();
    if list.len() > ENTRIES_MAX {
        return Err((start, format!("{name} has {} entries, and {ENTRIES_MAX} are allowed", list.len())));
    }
    let parsed =
        list.iter().map(|entry| parse(entry.get_ref()).map_err(|reason| (entry.span().start, reason)));
    parsed.collect()
}

/// A key in a file, in one word, or in PEM.
fn trusted(text: &str, folder: &Path) -> Result<Trusted, String> {
    if text.starts_with("ed25519:") || text.starts_with("-----BEGIN") {
        let key: PublicKey = text.parse().map_err(|error| format!("signed-by: the entry {error}"))?;
        return Ok(Trusted { name: key.to_string(), key });
    }
    let path = folder.join(text);
    let key = PublicKey::read(&path).map_err(|error| format!("key {} {error}", path.display()))?;
    Ok(Trusted { name: text.to_owned(), key })
}

/// A number with a unit: text as options take it, or a bare number.
struct Quantity<Q: Unit> {
    value: Q::Value,
}

/// What a [`Quantity`] is of.
trait Unit {
    type Value;
    const EXPECTED: &str;

    fn parse(text: &str) -> Result<Self::Value, String>;
}

/// Bytes.
#[derive(Debug)]
struct Size;

impl Unit for Size {
    type Value = u64;
    const EXPECTED: &str = "a size such as \"64M\"";

    fn parse(text: &str) -> Result<u64, String> {
        parse_size(text)
    }
}

/// A time.
#[derive(Debug)]
struct Time;

impl Unit for Time {
    type Value = Duration;
    const EXPECTED: &str = "a time such as \"10m\"";

    fn parse(text: &str) -> Result<Duration, String> {
        parse_time(text)
    }
}

impl<Q: Unit> fmt::Debug for Quantity<Q>
where
    Q::Value: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<'de, Q: Unit> Deserialize<'de> for Quantity<Q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<Q>(PhantomData<Q>);

        impl<Q: Unit> Visitor<'_> for Reader<Q> {
            type Value = Quantity<Q>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Q::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Q::parse(text).map(|value| Quantity { value }).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                if number < 0 {
                    return Err(E::invalid_value(Unexpected::Signed(number), &self));
                }
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Reader(PhantomData))
    }
}
