//! The attempts that fill the data folder's disk now, and which of them has to go when it is full.
//!
//! A plugin may emit without end, and the disk is everybody's. Below the reserve the attempt is ended that
//! gives back what is missing; where none does, because the room is taken by what finished attempts left, it
//! is one of the job that holds most. Where others than jobs fill the disk, nobody is. Whoever was ended so has
//! failed of a full disk; those beside it wait for the room that it leaves. Must not run attempts, nor remove
//! files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mr_model::{AttemptId, Failure, JobId};
use mr_sandbox::CancelToken;
use mr_shuffle::FullDisk;
use mr_storage::attempt_bytes;
use tokio::sync::Notify;

use super::attempt::name;
use super::cancel::Cancel;
use super::disk;

/// Longest wait of an attempt for room that another one is to leave, each time. Ending one takes
/// milliseconds, and removing what it wrote some seconds at most.
pub(super) const ROOM_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a part that the disk may not have taken yet. A plugin emits faster than any disk writes, and some
/// gigabytes of that in memory make the system hold up everybody who writes; parts of usual size never wait.
pub(super) const UNWRITTEN_BYTES_MAX: u64 = 512 << 20;
/// How often the free space is looked at: an attempt that writes as fast as memory takes it does not get
/// through a reserve of the usual size in this time.
pub(super) const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Below this share of the reserve somebody has to go, even if that alone does not help: one in so many.
const URGENT_SHARE: u64 = 2;

/// The attempts on the disk of a worker. Cheap to clone; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Tenants(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    data_dir: PathBuf,
    reserve_bytes: u64,
    book: Mutex<Book>,
    /// Somebody has left, or there was a look at the disk.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    tenants: BTreeMap<u64, Tenant>,
}

#[derive(Debug, Clone)]
struct Tenant {
    job: JobId,
    attempt: AttemptId,
    cancel: Cancel,
    /// Where it writes, once it does.
    places: Option<Places>,
    /// Why it was ended.
    evicted: Option<Failure>,
}

/// Where an attempt writes.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Folder of its job in the data folder.
    pub job_dir: PathBuf,
    /// Staging folder of its job, wherever that is.
    pub part_dir: PathBuf,
}

/// What an attempt holds, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holding {
    number: u64,
    /// What goes with it.
    own: u64,
    /// All of its job's in the data folder, of finished attempts, too.
    job: u64,
}

/// An attempt's stay; over when this is dropped, after what it wrote is removed or kept.
#[derive(Debug)]
pub(super) struct Tenancy {
    tenants: Tenants,
    number: u64,
}

impl Tenants {
    /// Nobody is there yet.
    pub fn new(data_dir: PathBuf, reserve_bytes: u64) -> Self {
        Self(Arc::new(Shared { data_dir, reserve_bytes, book: Mutex::default(), changed: Notify::new() }))
    }

    /// An attempt begins; `cancel` ends it.
    pub fn enter(&self, job: JobId, attempt: AttemptId, cancel: Cancel) -> Tenancy {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        book.tenants.insert(number, Tenant { job, attempt, cancel, places: None, evicted: None });
        Tenancy { tenants: self.clone(), number }
    }

    /// Whether anybody writes, and so may leave room behind.
    pub fn any_writes(&self) -> bool {
        self.any_writes_but(None)
    }

    fn any_writes_but(&self, one: Option<u64>) -> bool {
        self.book().tenants.iter().any(|(number, tenant)| tenant.places.is_some() && Some(*number) != one)
    }

    /// Looks at the disk, ends who has to go, and answers how many bytes are free. Blocks.
    pub fn look(&self) -> io::Result<u64> {
        let free = disk::free_bytes(&self.0.data_dir)?;
        if free < self.0.reserve_bytes {
            self.make_room(free);
        }
        self.0.changed.notify_waiters();
        Ok(free)
    }

    fn make_room(&self, free: u64) {
        let tenants = self.book().tenants.clone();
        if tenants.values().any(|tenant| tenant.evicted.is_some()) {
            // One after the other: what it wrote is being removed.
            return;
        }
        let device = device(&self.0.data_dir);
        let holding = |(number, tenant): (u64, &Tenant)| {
            let places = tenant.places.as_ref()?;
            let name = name(tenant.attempt);
            let mut own = held(&places.job_dir, &|file| is_of(file, &name));
            if device.is_some() && device == self::device(&places.part_dir) {
                own = own.saturating_add(attempt_bytes(&places.part_dir, tenant.attempt));
            }
            Some(Holding { number, own, job: held(&places.job_dir, &|_| true) })
        };
        let holdings = tenants.iter().filter_map(|(&number, tenant)| holding((number, tenant))).collect();
        let Some(most) = who_goes(holdings, free, self.0.reserve_bytes) else { return };
        let mut book = self.book();
        let Some(tenant) = book.tenants.get_mut(&most.number) else { return };
        let reason = format!(
            "it had written {} bytes and its job holds {}, more than others that are on the disk, of which {free} were free and {} stay free",
            most.own, most.job, self.0.reserve_bytes
        );
        tracing::warn!(job = %tenant.job, attempt = %tenant.attempt, own = most.own, free, "an attempt is ended for want of room");
        tenant.evicted = Some(Failure::Disk { path: self.0.data_dir.clone(), reason, full: true });
        tenant.cancel.evict();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenancy {
    /// From now on it writes there.
    pub fn writes(&self, places: Places) {
        if let Some(tenant) = self.tenants.book().tenants.get_mut(&self.number) {
            tenant.places = Some(places);
        }
    }

    /// Space of the disk that stays free, in bytes.
    pub fn reserve_bytes(&self) -> u64 {
        self.tenants.0.reserve_bytes
    }

    /// Why it was ended, if it was.
    pub fn evicted(&self) -> Option<Failure> {
        self.tenants.book().tenants.get(&self.number)?.evicted.clone()
    }

    /// What writes of the attempt do on a full disk: they wait, unless it is ended.
    pub fn full_disk(&self) -> FullDisk {
        let book = self.tenants.book();
        let cancel = book.tenants.get(&self.number).map(|tenant| tenant.cancel.running().clone());
        FullDisk::wait(ROOM_PATIENCE, move || cancel.as_ref().is_none_or(CancelToken::is_cancelled))
    }

    /// Waits until `bytes` fit beside the reserve.
    ///
    /// # Errors
    /// That the disk is full: when it has taken too long, and at once if nobody writes who may leave room.
    pub async fn room(&self, bytes: u64) -> Result<(), Failure> {
        let Shared { data_dir, reserve_bytes, changed, .. } = &*self.tenants.0;
        let begun = Instant::now();
        loop {
            let change = changed.notified();
            let verdict = disk::check(data_dir, bytes, *reserve_bytes).await;
            if verdict.is_ok()
                || begun.elapsed() >= ROOM_PATIENCE
                || !self.tenants.any_writes_but(Some(self.number))
            {
                return verdict;
            }
            // Changes come with every look, and looks all the time.
            let _ = tokio::time::timeout(ROOM_PATIENCE, change).await;
        }
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.tenants.book().tenants.remove(&self.number);
        self.tenants.0.changed.notify_waiters();
    }
}

/// Who has to go, if anybody. With `free` bytes, less than `reserve`.
fn who_goes(mut holdings: Vec<Holding>, free: u64, reserve: u64) -> Option<Holding> {
    let wanted = disk::enough_again(reserve).saturating_sub(free);
    holdings.sort_by_key(|holding| (holding.own, holding.job, std::cmp::Reverse(holding.number)));
    if let Some(most) = holdings.pop_if(|most| most.own >= wanted) {
        return Some(most);
    }
    if free >= reserve / URGENT_SHARE {
        return None;
    }
    // Where others than jobs fill the disk, ending attempts makes no room.
    holdings.into_iter().filter(|most| most.job >= wanted).max_by_key(|holding| (holding.job, holding.own))
}

/// Whether a file or folder in a job's folder is of the attempt of that name.
fn is_of(file: &str, name: &str) -> bool {
    file.match_indices(name).any(|(at, _)| {
        let (before, after) = (&file[..at], &file[at + name.len()..]);
        (before.is_empty() || before.ends_with('-')) && (after.is_empty() || after.starts_with('-'))
    })
}

/// Bytes of what lies in a folder, with the files of folders in it, if its name is `wanted`. What goes away
/// meanwhile is nothing.
fn held(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let mut bytes = 0_u64;
    for entry in entries.flatten().filter(|entry| wanted(&entry.file_name().to_string_lossy())) {
        let Ok(metadata) = entry.metadata() else { continue };
        let here = if metadata.is_dir() { held(&entry.path(), &|_| true) } else { metadata.len() };
        bytes = bytes.saturating_add(here);
    }
    bytes
}

fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}

#[cfg(test)]
mod tests {
    use mr_model::TaskId;

    use super::*;

    fn holding(number: u64, own: u64, job: u64) -> Holding {
        Holding { number, own, job }
    }

    #[test]
    fn who_gives_back_what_is_missing_goes_and_else_one_of_the_job_that_holds_most() {
        let goes = |holdings: &[Holding], free| {
            who_goes(holdings.to_vec(), free, 1000).map(|holding| holding.number)
        };
        let [honest, flood] = [holding(0, 100, 90_000), holding(1, 5000, 5000)];
        assert_eq!(goes(&[honest.clone(), flood.clone()], 999), Some(1));
        assert_eq!(goes(&[flood, honest.clone()], 0), Some(1));
        // Nobody helps alone: while it is not urgent they may end, and then it is who hoards.
        let hoarder = holding(2, 90, 95_000);
        assert_eq!(goes(&[honest.clone(), hoarder.clone()], 900), None);
        assert_eq!(goes(&[honest, hoarder], 400), Some(2));
        // It is not the jobs that fill the disk.
        assert_eq!(goes(&[holding(3, 0, 0), holding(4, 10, 700)], 400), None);
        assert_eq!(goes(&[], 0), None);
    }

    #[test]
    fn files_of_an_attempt_are_told_from_those_of_others() {
        let name = name(AttemptId { task: TaskId::map(1), attempt: 2 });
        for file in ["map-000001-2", "spool-map-000001-2", "run-map-000001-2-00007"] {
            assert!(is_of(file, &name), "{file}");
        }
        for file in ["map-000001-20", "run-map-000001-20-00001", "map-0000012-2", "run-reduce-000001-2-00001"]
        {
            assert!(!is_of(file, &name), "{file}");
        }
    }

    #[tokio::test]
    async fn a_flood_is_ended_and_who_waits_gets_its_room() {
        let dir = tempfile::tempdir().unwrap();
        let tenants = Tenants::new(dir.path().to_owned(), 1000);
        let attempts = [0, 1].map(|index| AttemptId { task: TaskId::map(index), attempt: 0 });
        let cancels = [Cancel::default(), Cancel::default()];
        let jobs = ["honest", "flood"].map(|job| JobId::new(job).unwrap());
        let mut stays = Vec::new();
        for at in 0..2 {
            let job_dir = dir.path().join(jobs[at].as_str());
            let own = job_dir.join(name(attempts[at]));
            fs::create_dir_all(&own).unwrap();
            fs::write(own.join("run"), vec![0; 10 + 1000 * at]).unwrap();
            let stay = tenants.enter(jobs[at].clone(), attempts[at], cancels[at].clone());
            stay.writes(Places { job_dir: job_dir.clone(), part_dir: job_dir });
            stays.push(stay);
        }
        tenants.make_room(600);
        tenants.make_room(600);
        assert_eq!(stays[0].evicted(), None, "one goes, and before it has gone no other");
        let ended = stays[1].evicted().unwrap();
        assert!(
            matches!(&ended, Failure::Disk { full: true, reason, .. } if reason.contains("1010 bytes")),
            "{ended}"
        );
        assert_eq!(cancels[1].unless_cancelled(std::future::pending::<()>()).await, None);
        assert!(!cancels[1].is_cancelled(), "nobody told it to stop");
        drop(stays.pop());
        drop(stays.pop());
        let late = tenants.enter(jobs[0].clone(), attempts[0], Cancel::default());
        assert!(late.room(u64::MAX).await.is_err(), "nobody is there who could leave room");
    }
}
