//! What is asked of a cluster: jobs, submitted once or twice, some of them cancelled.

use mr_model::JobId;
use mr_scheduler::{Event, JobPlan};

use super::{CLIENT_MILLIS, Cluster, Happening};

impl Cluster {
    pub(super) fn plan_jobs(&mut self) {
        for number in 0..self.rng.within(1, 5) {
            let job = JobId::new(format!("job-{number}")).unwrap();
            let plan = self.draw_plan();
            if self.rng.percent(15) {
                self.fatal.push(job.clone());
            }
            let latest = if self.rng.percent(20) { 120_000 } else { 20_000 };
            for _ in 0..self.rng.within(1, 2) {
                let at = self.rng.within(0, latest);
                let event = Event::JobSubmitted { job: job.clone(), plan: plan.clone() };
                self.at(at, Happening::Wish(event));
            }
            if self.rng.percent(10) {
                let at = self.rng.within(1_000, 40_000);
                self.at(at, Happening::Wish(Event::JobCancelled { job: job.clone() }));
            }
            self.jobs.insert(job, plan);
        }
    }

    fn draw_plan(&mut self) -> JobPlan {
        let rng = &mut self.rng;
        let maps = rng.within(0, 16);
        let split_bytes: Vec<u64> = (0..maps).map(|_| rng.within(0, 100)).collect();
        let reducers = if rng.percent(25) { 0 } else { rng.within_u32(1, 6) };
        let located = rng.percent(50);
        let mut hosts = || (0..rng.within(0, 2)).map(|_| format!("host-{}", rng.within(0, 3))).collect();
        let split_hosts = if located { split_bytes.iter().map(|_| hosts()).collect() } else { Vec::new() };
        let queue = ["default", "default", "nightly", "people"];
        let queue = queue[usize::try_from(rng.within(0, 3)).unwrap()];
        let queue = if rng.percent(3) { "nowhere" } else { queue };
        JobPlan {
            split_hosts,
            attempts_max: rng.within_u32(0, 6),
            priority: i32::try_from(rng.within(0, 1)).unwrap(),
            queue: queue.to_owned(),
            weight: rng.within_u32(0, 3),
            slots_max: rng.percent(20).then(|| rng.within_u32(1, 3)),
            speculation: rng.percent(70),
            ..JobPlan::new(split_bytes, reducers)
        }
    }

    /// A client says what it wants, and again until it knows that it was heard.
    pub(super) fn wish(&mut self, event: Event) {
        let heard = match &event {
            Event::JobSubmitted { job, .. } => self.observer.was_submitted(job),
            Event::JobCancelled { job } => self.observer.is_over(job),
            _ => true,
        };
        self.tell(event.clone(), self.now);
        if !heard {
            self.at(self.now + CLIENT_MILLIS, Happening::Wish(event));
        }
    }
}
