//! Quotas on what a job may shuffle and write: the same check for one attempt, which ends it early,
//! and for all winners together, which ends the job.

use mr_model::limit::{Limit, table};
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
    check(&table::SHUFFLE_BYTES, permissions.shuffle_bytes_max, bytes, Role::Mapper)
}

/// Refuses more bytes or records of parts than the job may write. `role` is that of the last stage.
pub(crate) fn check_output(
    permissions: &Permissions,
    role: Role,
    bytes: u64,
    records: u64,
) -> Result<(), Failure> {
    check(&table::OUTPUT_BYTES, permissions.output_bytes_max, bytes, role)?;
    check(&table::OUTPUT_RECORDS, permissions.output_records_max, records, role)
}

fn check(limit: &Limit, cap: Option<u64>, value: u64, role: Role) -> Result<(), Failure> {
    match cap {
        Some(cap) if value > cap => Err(limit.passed(role, value, cap)),
        _ => Ok(()),
    }
}
