//! How much may be handed in at once: submissions, memory for their plans, and the time that each may
//! take. A client has a certificate, and its plans still must not take all memory of a coordinator that
//! others share. Must not know what is handed in.

use std::time::Duration;

use mr_model::Side;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::protocol::{PLAN_BYTES_MAX, Refused, SubmitHead};

/// Submissions in progress at once; more wait. Each holds an open file and some chunks.
pub const SUBMISSIONS_MAX: u32 = 64;
/// Memory for encoded plans of all submissions in progress, in KiB: one plan of the greatest size, or
/// thousands of usual ones.
#[expect(clippy::cast_possible_truncation, reason = "the greatest plan has less than 2^32 KiB")]
const PLANS_KIB_MAX: u32 = (PLAN_BYTES_MAX / KIB) as u32;
/// Longest wait for a place or for memory: within what a client waits for an answer.
const WAIT: Duration = Duration::from_secs(30);
/// Time that every submission has, however small: a slow link, a busy disk.
const TIME_MIN: Duration = Duration::from_secs(120);
/// Bytes that have to come in a second on top of that: who is slower keeps others out.
const BYTES_PER_SECOND_MIN: u64 = 256 << 10;
const KIB: u64 = 1 << 10;

/// Room for submissions.
#[derive(Debug)]
pub struct Intake {
    places: Semaphore,
    plans_kib: Semaphore,
    wait: Duration,
}

impl Default for Intake {
    fn default() -> Self {
        Self::new(SUBMISSIONS_MAX, PLANS_KIB_MAX, WAIT)
    }
}

impl Intake {
    fn new(places: u32, plans_kib: u32, wait: Duration) -> Self {
        let permits = |count: u32| Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX >> 3));
        Self { places: permits(places), plans_kib: permits(plans_kib), wait }
    }

    /// A place for one submission, held while it is in progress.
    ///
    /// # Errors
    /// [`Refused::Busy`] if none becomes free in time.
    pub async fn place(&self) -> Result<SemaphorePermit<'_>, Refused> {
        self.granted(&self.places, 1).await
    }

    /// Memory for a plan of `bytes` bytes, held until the plan is handed on.
    ///
    /// # Errors
    /// [`Refused::Busy`] if not so much becomes free in time.
    pub async fn memory(&self, bytes: u64) -> Result<SemaphorePermit<'_>, Refused> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        self.granted(&self.plans_kib, kib).await
    }

    async fn granted<'a>(
        &'a self,
        permits: &'a Semaphore,
        count: u32,
    ) -> Result<SemaphorePermit<'a>, Refused> {
        match timeout(self.wait, permits.acquire_many(count)).await {
            Ok(Ok(permit)) => Ok(permit),
            // Nobody closes it, so it is the time that is over.
            Ok(Err(_)) | Err(_) => Err(Refused::Busy),
        }
    }
}

/// Longest that a submission may take to arrive.
pub fn time_max(head: &SubmitHead) -> Duration {
    let components = head.components.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
    let bytes = components.saturating_add(Side::bytes_of(&head.sides)).saturating_add(head.plan_bytes);
    TIME_MIN + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN)
}

#[cfg(test)]
mod tests {
    use mr_model::JobId;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn what_does_not_fit_in_time_is_refused() {
        let intake = Intake::new(2, 10, Duration::ZERO);
        block_on(async {
            let held = [intake.place().await.unwrap(), intake.place().await.unwrap()];
            assert_eq!(intake.place().await.unwrap_err(), Refused::Busy);
            drop(held);
            drop(intake.place().await.unwrap());
            let held = intake.memory(9 << 10).await.unwrap();
            drop(intake.memory(1 << 10).await.unwrap());
            assert_eq!(intake.memory((1 << 10) + 1).await.unwrap_err(), Refused::Busy);
            drop(held);
            drop(intake.memory(10 << 10).await.unwrap());
            assert_eq!(intake.memory(u64::MAX).await.unwrap_err(), Refused::Busy);
        });
    }

    #[test]
    fn the_largest_plan_fits_alone() {
        block_on(async {
            let intake = Intake::new(1, PLANS_KIB_MAX, Duration::ZERO);
            drop(intake.memory(PLAN_BYTES_MAX).await.unwrap());
            drop(intake.memory(0).await.unwrap());
        });
    }

    #[test]
    fn the_time_follows_the_bytes() {
        let job = JobId::new("job").unwrap();
        let head = |components: Vec<([u8; 32], u64)>, plan_bytes: u64| SubmitHead {
            job: job.clone(),
            digest: [0; 32],
            components,
            sides: vec![Side { name: "v".into(), bytes: plan_bytes, blake3: String::new() }],
            plan_bytes,
        };
        assert_eq!(time_max(&head(vec![], 10)), TIME_MIN);
        let minute = 60 * BYTES_PER_SECOND_MIN;
        let bytes = vec![([0; 32], minute), ([1; 32], minute)];
        assert_eq!(time_max(&head(bytes, minute)), TIME_MIN + Duration::from_secs(240));
        time_max(&head(vec![([0; 32], u64::MAX); 2], u64::MAX));
    }
}
