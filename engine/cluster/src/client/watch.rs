//! Waiting for the end of a job: asks again and again, each answer held back until there is news.

use std::time::Duration;

use mr_model::JobId;
use tokio::time::{Instant, sleep};

use super::Client;
use super::error::ClientError;
use crate::protocol::{JobState, JobView, WAIT_MILLIS_MAX};

/// Share of the time waited so far (one in so many) that is paused between two looks: a short job is
/// seen to end at once, and a long one whose state changes all the time costs little.
const PAUSE_SHARE: u32 = 20;
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(200);

impl Client {
    /// Waits until a job has ended, through absences of the coordinator. `on_view` hears every look.
    ///
    /// # Errors
    /// See [`Client::jobs`].
    pub async fn wait(&self, job: &JobId, mut on_view: impl FnMut(&JobView)) -> Result<JobView, ClientError> {
        let begun = Instant::now();
        let mut seen = 0;
        loop {
            let asked = Instant::now();
            let view = self.job(job, seen, Duration::from_millis(u64::from(WAIT_MILLIS_MAX))).await?;
            on_view(&view);
            if view.state == JobState::Ended {
                return Ok(view);
            }
            seen = view.revision;
            let pause = (begun.elapsed() / PAUSE_SHARE).min(PAUSE_MAX);
            sleep(pause.saturating_sub(asked.elapsed())).await;
        }
    }
}
