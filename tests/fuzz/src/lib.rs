//! What must hold for any bytes that come from outside: one function for each decoder of the engine.
//!
//! A target takes bytes and panics where its invariant breaks: nothing panics or overflows, memory is
//! bounded by the input and by named limits, what is accepted is what a naive reading accepts, and what
//! was decoded is encoded to bytes that mean the same. It knows no fuzzer. A plain test runs every target
//! over its seeds, its kept corpus (`corpus/TARGET`) and damaged copies of both; `libfuzzer/` looks for
//! new inputs (`make fuzz`). Seeds are made by code, so that they are always of this version.
//!
//! In reading order: [`take`] and [`mod@file`] (what targets are made with), then the targets: [`net`],
//! [`identity`], [`mod@column`], [`text`], [`encoding`], [`reader`], [`formats`], [`run_file`], [`manifest`],
//! [`policy`]; those of the cluster: `message`, `journal`, `submission`, `executor`, `coordinator`,
//! `component`.

#![expect(clippy::unwrap_used, reason = "a target fails by panicking")]

pub mod column;
pub mod encoding;
pub mod file;
pub mod formats;
pub mod identity;
pub mod manifest;
pub mod net;
pub mod policy;
pub mod reader;
pub mod run_file;
pub mod take;
pub mod text;

#[cfg(feature = "cluster")]
pub mod component;
#[cfg(feature = "cluster")]
pub mod coordinator;
#[cfg(feature = "cluster")]
pub mod executor;
#[cfg(feature = "cluster")]
pub mod journal;
#[cfg(feature = "cluster")]
pub mod message;
#[cfg(feature = "cluster")]
pub mod submission;

/// A decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Panics where the invariant breaks.
    pub run: fn(&[u8]),
    /// Good inputs, made by this version.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many damaged copies of inputs the plain test tries: what is dear is tried less.
    pub damages: usize,
}

/// Copies tried of a target that takes microseconds.
const CHEAP: usize = 20_000;
/// Copies tried of a target that reads files.
const MIDDLING: usize = 4_000;
/// Copies tried of a target that compiles or writes a journal.
#[cfg(feature = "cluster")]
const DEAR: usize = 150;

/// All targets, in reading order.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", run: net::frame, seeds: net::frame_seeds, damages: CHEAP },
    Target { name: "identity", run: identity::identity, seeds: identity::seeds, damages: MIDDLING },
    Target { name: "column", run: column::column, seeds: column::seeds, damages: CHEAP },
    Target { name: "contract", run: text::contract, seeds: text::contract_seeds, damages: CHEAP },
    Target { name: "typed", run: text::typed, seeds: text::typed_seeds, damages: CHEAP },
    Target { name: "counters", run: text::counters, seeds: text::counter_seeds, damages: CHEAP },
    Target { name: "encoding", run: encoding::encoding, seeds: encoding::seeds, damages: CHEAP },
    Target { name: "lines", run: reader::lines, seeds: reader::seeds, damages: MIDDLING },
    Target { name: "line_keys", run: reader::line_keys, seeds: reader::seeds, damages: MIDDLING },
    Target { name: "fixed", run: reader::fixed, seeds: reader::seeds, damages: MIDDLING },
    Target { name: "delimited", run: formats::delimited, seeds: formats::delimited_seeds, damages: CHEAP },
    Target { name: "json_lines", run: formats::json_lines, seeds: formats::json_lines_seeds, damages: CHEAP },
    Target {
        name: "compressed",
        run: formats::compressed,
        seeds: formats::compressed_seeds,
        damages: MIDDLING,
    },
    Target { name: "kv", run: formats::kv, seeds: formats::kv_seeds, damages: MIDDLING },
    Target { name: "parquet", run: formats::parquet, seeds: formats::parquet_seeds, damages: MIDDLING },
    Target { name: "run_file", run: run_file::run_file, seeds: run_file::file_seeds, damages: MIDDLING },
    Target { name: "segment", run: run_file::segment, seeds: run_file::segment_seeds, damages: MIDDLING },
    Target { name: "block", run: run_file::block, seeds: run_file::block_seeds, damages: MIDDLING },
    Target { name: "manifest", run: manifest::manifest, seeds: manifest::seeds, damages: CHEAP },
    Target { name: "policy", run: policy::policy, seeds: policy::policy_seeds, damages: MIDDLING },
    Target { name: "signed", run: policy::signed, seeds: policy::signed_seeds, damages: CHEAP },
    #[cfg(feature = "cluster")]
    Target { name: "message", run: message::message, seeds: message::seeds, damages: CHEAP },
    #[cfg(feature = "cluster")]
    Target { name: "journal", run: journal::journal, seeds: journal::seeds, damages: CHEAP },
    #[cfg(feature = "cluster")]
    Target { name: "submission", run: submission::submission, seeds: submission::seeds, damages: MIDDLING },
    #[cfg(feature = "cluster")]
    Target { name: "executor", run: executor::executor, seeds: executor::seeds, damages: MIDDLING },
    #[cfg(feature = "cluster")]
    Target { name: "coordinator", run: coordinator::coordinator, seeds: coordinator::seeds, damages: DEAR },
    #[cfg(feature = "cluster")]
    Target { name: "component", run: component::component, seeds: component::seeds, damages: DEAR },
];

/// Checks that bytes which decode to a `T` are encoded to bytes that decode to the same, and returns it.
pub fn settles<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (decoded, _) = postcard::take_from_bytes::<T>(bytes).ok()?;
    let encoded = postcard::to_stdvec(&decoded).unwrap();
    let (again, rest) = postcard::take_from_bytes::<T>(&encoded).unwrap();
    assert!(rest.is_empty());
    assert_eq!(postcard::to_stdvec(&again).unwrap(), encoded);
    Some(decoded)
}
