//! Whether a submitted plan makes sense. It comes from a client: one with a certificate, whose jobs
//! share the cluster with others' all the same.

use mr_model::is_address;
use mr_storage::Split;

use crate::protocol::{Refused, SubmitHead, SubmittedPlan};

/// Decodes a plan and checks that its parts belong together.
pub fn decode(head: &SubmitHead, encoded: &[u8]) -> Result<SubmittedPlan, Refused> {
    let plan: SubmittedPlan =
        postcard::from_bytes(encoded).map_err(|error| malformed(&format!("its plan: {error}")))?;
    let SubmittedPlan { record, description, splits, output, share: _ } = &plan;
    if record.spec.id != head.job || description.spec != record.spec {
        return Err(malformed("its plan is that of another job"));
    }
    if record.spec.reducers > mr_model::limit::REDUCERS_MAX {
        return Err(malformed("it has too many reducers"));
    }
    let numbered = (0u32..).zip(splits).all(|(number, split)| split.index == number);
    if !numbered || !splits.iter().all(is_whole) {
        return Err(malformed("its splits are not in order"));
    }
    let known = |hash: &str| {
        let hash = blake3::Hash::from_hex(hash);
        hash.is_ok_and(|hash| head.components.iter().any(|(given, _)| given == hash.as_bytes()))
    };
    if !description.roles.iter().all(|(_, hash)| known(hash)) {
        return Err(malformed("a stage has a component that does not come with it"));
    }
    if description.spec.sides != head.sides {
        return Err(malformed("its side inputs are not those that were announced"));
    }
    if !output.path.is_absolute() && !is_address(&output.path) {
        return Err(malformed("the path of its output is not absolute"));
    }
    let pieces = || splits.iter().flat_map(|split| &split.pieces);
    if pieces().any(|piece| piece.tag.is_none() && !piece.path.is_absolute()) {
        return Err(malformed("the path of an input is not absolute"));
    }
    // Where copies lie is for whoever makes them to say.
    if pieces().any(|piece| piece.copy.is_some()) {
        return Err(malformed("a piece of its input is a copy"));
    }
    if splits.iter().any(|split| split.input as usize >= record.spec.inputs.len()) {
        return Err(malformed("a split is of no input"));
    }
    Ok(plan)
}

fn is_whole(split: &Split) -> bool {
    let in_order = split.pieces.iter().all(|piece| {
        // A whole file of nothing is a record.
        (piece.start < piece.end || piece.file_bytes == 0) && piece.end <= piece.file_bytes
    });
    let lengths = split.pieces.iter().map(|piece| piece.end.saturating_sub(piece.start));
    in_order && split.bytes == lengths.fold(0, u64::saturating_add)
}

fn malformed(reason: &str) -> Refused {
    Refused::Malformed { reason: reason.to_owned() }
}
