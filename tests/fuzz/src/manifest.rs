//! The manifest of an output, which anybody may have written: it is refused, or it says the same when it
//! is written again.

use std::collections::BTreeMap;

use mr_model::{
    Counters, InputFormat, InputKey, InputSpec, JobId, OutputFormat, OutputSpec, Partitioning, Role,
    StageTypes,
};
use mr_storage::{Manifest, ManifestInput, ManifestPlugin, Part};

/// Target: the JSON of a manifest.
pub fn manifest(data: &[u8]) {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(data) else { return };
    let written = serde_json::to_vec(&manifest).unwrap();
    let again: Manifest = serde_json::from_slice(&written).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
}

/// A manifest with something in every field.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut counters = Counters::default();
    counters.add("words", -3).unwrap();
    let manifest = Manifest {
        engine: "0.1.0".into(),
        job: JobId::new("job-1").unwrap(),
        plugins: vec![ManifestPlugin { roles: vec![Role::Mapper], name: "n".into(), blake3: "00".into() }],
        params: BTreeMap::from([("a".into(), "b".into())]),
        inputs: vec![InputSpec {
            key: InputKey::PathOffset,
            ..InputSpec::of(InputFormat::Fixed { bytes: 100, key: 10 })
        }],
        files: vec![ManifestInput { path: "in".into(), bytes: 7, input: 0, modified_ns: -1, tag: None }],
        sides: Vec::new(),
        output: OutputSpec {
            types: StageTypes { key: "tuple<text,u64>".parse().ok(), value: None },
            ..OutputSpec::of(OutputFormat::Raw)
        },
        partitioning: Partitioning::Range,
        reducers: 2,
        parts: vec![Part { name: "part-r-00000".into(), rows: 1, bytes: 2, blake3: "ff".into() }],
        counters,
        rejects: 1,
    };
    vec![serde_json::to_vec(&manifest).unwrap(), b"{\"job\":\"x\",\"inputs\":[{\"path\":[255]}]}".to_vec()]
}
