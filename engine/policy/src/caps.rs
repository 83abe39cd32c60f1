//! Caps on what a job may use: the most of each of its [`Permissions`] that an operator allows.
//!
//! A job that asks for nothing (it sets no quota, or leaves a limit at the engine's default) gets what is
//! allowed: [`Caps::grant`] lowers it to the cap. A job that asks for more is refused: [`Caps::excesses`].

use std::time::Duration;

use mr_model::Permissions;
use mr_model::limit::REJECTS_MAX;

use crate::refusal::{Amount, PermissionRefusal};

/// The most that jobs may use; none where the job decides, within the engine's own limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caps {
    /// Linear memory of the plugins of one task, in bytes.
    pub guest_memory_bytes: Option<u64>,
    /// Time without a sign of progress.
    pub idle_timeout: Option<Duration>,
    /// Time of an attempt in all.
    pub task_time: Option<Duration>,
    /// Length of a record, in bytes of key and value.
    pub record_bytes: Option<u64>,
    /// Rejects of the whole job.
    pub rejects: Option<u64>,
    /// What the plugins of an attempt emit, in bytes.
    pub task_output_bytes: Option<u64>,
    /// What the plugins of an attempt emit, in records.
    pub task_output_records: Option<u64>,
    /// Map output of the whole job after combining, in bytes.
    pub shuffle_bytes: Option<u64>,
    /// Output of the whole job, in bytes.
    pub output_bytes: Option<u64>,
    /// Output of the whole job, in records.
    pub output_records: Option<u64>,
    /// Side inputs of the whole job, in bytes.
    pub sides_bytes: Option<u64>,
    /// Whether plugins may see when their job was submitted.
    pub wall_clock: bool,
}

/// One permission beside its cap.
struct Row {
    permission: &'static str,
    option: &'static str,
    asked: Option<Amount>,
    cap: Option<Amount>,
}

impl Caps {
    /// Gives a job what it did not ask for: quotas that it does not set become the caps, and so do limits
    /// that it leaves at the engine's defaults where those are higher. `guest_memory_bytes` is what the job
    /// asks for itself, in bytes: without it the memory of guests is what was at hand where the job was
    /// planned, and is lowered, too.
    pub fn grant(&self, permissions: &mut Permissions, guest_memory_bytes: Option<u64>) {
        // Every field has to be looked at when one is added.
        let Permissions {
            record_bytes_max,
            guest_memory_bytes_max,
            idle_timeout,
            task_time_max,
            rejects_max,
            rejects_per_million_max,
            task_output_bytes_max,
            task_output_records_max,
            shuffle_bytes_max,
            output_bytes_max,
            output_records_max,
            wall_clock: _,
        } = permissions;
        let default = Permissions::default();
        if let (None, Some(cap)) = (guest_memory_bytes, self.guest_memory_bytes) {
            *guest_memory_bytes_max = cap.min(*guest_memory_bytes_max);
        }
        lower(record_bytes_max, default.record_bytes_max, self.record_bytes);
        lower(idle_timeout, default.idle_timeout, self.idle_timeout);
        lower(task_time_max, default.task_time_max, self.task_time);
        lower(task_output_bytes_max, default.task_output_bytes_max, self.task_output_bytes);
        lower(task_output_records_max, default.task_output_records_max, self.task_output_records);
        // Who asks for a share asks for no number, and has the engine's.
        if let (Some(_), Some(cap)) = (rejects_per_million_max, self.rejects) {
            lower(rejects_max, REJECTS_MAX, Some(cap));
        }
        *shuffle_bytes_max = shuffle_bytes_max.or(self.shuffle_bytes);
        *output_bytes_max = output_bytes_max.or(self.output_bytes);
        *output_records_max = output_records_max.or(self.output_records);
    }

    /// Everything that a job asks for beyond the caps of `policy`, each with its sentence.
    pub fn excesses(&self, permissions: &Permissions, policy: &str) -> Vec<PermissionRefusal> {
        let over = self.rows(permissions).into_iter().filter_map(|Row { permission, option, asked, cap }| {
            let (cap, policy) = (cap?, policy.to_owned());
            match asked {
                Some(asked) if asked > cap => {
                    Some(PermissionRefusal::Over { permission, asked, cap, option, policy })
                }
                Some(_) => None,
                None => Some(PermissionRefusal::Unbounded { permission, cap, option, policy }),
            }
        });
        let mut excesses: Vec<_> = over.collect();
        if permissions.wall_clock.is_some() && !self.wall_clock {
            excesses.push(PermissionRefusal::NotGranted {
                permission: "the wall clock",
                option: "--wall-clock",
                policy: policy.to_owned(),
            });
        }
        excesses
    }

    /// The caps that there are, as pairs of the option that they cap and the most that it may ask for.
    pub fn options(&self) -> Vec<(&'static str, Amount)> {
        let rows = self.rows(&Permissions::default());
        let rows = rows.into_iter().filter_map(|row| Some((row.option, row.cap?)));
        rows.chain(self.sides_bytes.map(|cap| ("--side", Amount::Bytes(cap)))).collect()
    }

    fn rows(&self, permissions: &Permissions) -> [Row; 10] {
        let row = |permission, option, asked: Option<Amount>, cap: Option<Amount>| Row {
            permission,
            option,
            asked,
            cap,
        };
        let bytes = |bytes: Option<u64>| bytes.map(Amount::Bytes);
        let count = |count: Option<u64>| count.map(Amount::Count);
        let time = |time: Option<Duration>| time.map(Amount::Time);
        let p = permissions;
        [
            row(
                "guest memory",
                "--guest-memory",
                bytes(Some(p.guest_memory_bytes_max)),
                bytes(self.guest_memory_bytes),
            ),
            row(
                "time without progress",
                "--task-timeout",
                time(Some(p.idle_timeout)),
                time(self.idle_timeout),
            ),
            row("time of a task", "--max-task-time", time(Some(p.task_time_max)), time(self.task_time)),
            row("record size", "--max-record", bytes(Some(p.record_bytes_max)), bytes(self.record_bytes)),
            row("rejects", "--max-rejects", count(Some(p.rejects_max)), count(self.rejects)),
            row(
                "task output bytes",
                "--max-task-output",
                bytes(Some(p.task_output_bytes_max)),
                bytes(self.task_output_bytes),
            ),
            row(
                "task output records",
                "--max-task-records",
                count(Some(p.task_output_records_max)),
                count(self.task_output_records),
            ),
            row("shuffle bytes", "--max-shuffle", bytes(p.shuffle_bytes_max), bytes(self.shuffle_bytes)),
            row("output bytes", "--max-output", bytes(p.output_bytes_max), bytes(self.output_bytes)),
            row(
                "output records",
                "--max-output-records",
                count(p.output_records_max),
                count(self.output_records),
            ),
        ]
    }
}

fn lower<T: PartialOrd>(value: &mut T, default: T, cap: Option<T>) {
    if let Some(cap) = cap
        && *value == default
        && cap < default
    {
        *value = cap;
    }
}
