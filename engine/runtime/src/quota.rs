//! Quotas on what a job may shuffle and write: the same check for one attempt, which ends it early,
//! and for all winners together, which ends the job.

use mr_model::{Failure, Permissions, Role, Stage};

/// The role that a limit on a whole stage is told of.
pub(crate) fn stage_role(stage: Stage) -> Role {
    match stage {
        Stage::Map => Role::Mapper,
        Stage::Reduce => Role::Reducer,
    }
}

/// Refuses more bytes for the reducers than the job may shuffle.
pub(crate) fn check_shuffle(permissions: &Permissions, bytes: u64) -> Result<(), Failure> {
    check(permissions.shuffle_bytes_max, bytes, Role::Mapper, ["shuffle bytes", "--max-shuffle"])
}

/// Refuses more bytes of parts than the job may write. `role` is that of the last stage.
pub(crate) fn check_output(permissions: &Permissions, role: Role, bytes: u64) -> Result<(), Failure> {
    check(permissions.output_bytes_max, bytes, role, ["output bytes", "--max-output"])
}

fn check(cap: Option<u64>, bytes: u64, role: Role, [limit, option]: [&str; 2]) -> Result<(), Failure> {
    match cap {
        Some(cap) if bytes > cap => Err(Failure::Limit {
            role,
            limit: limit.into(),
            value: format!("{bytes} bytes"),
            cap: format!("{cap} bytes"),
            option: option.into(),
            words: mr_model::LastWords::default(),
        }),
        _ => Ok(()),
    }
}
