//! Links that lose, double, delay and reorder, and links that are cut: between workers and the
//! coordinator, and between workers.

use std::time::Duration;

use serde_json::Value;

use crate::support::cluster::{Cluster, Link, Setup, Weather, Work, number};

/// A link as bad as one may meet: 5 % are lost, some are doubled, many come late and out of order.
const BAD: Weather = Weather { lost: 50, doubled: 30, late: 100 };

/// A cluster of two workers whose first reaches the coordinator over one link, and is reached by the
/// other worker over another.
fn linked(lease: &'static str) -> (Cluster, Link, Link) {
    let mut cluster = Cluster::without_workers(Setup { lease, ..Setup::default() });
    let (up, across) = (Link::new(1), Link::new(2));
    up.lead_to(&cluster.address);
    let address = free_address();
    across.lead_to(&address);
    cluster.add_worker(&["--coordinator", &up.address, "--listen", &address, "--advertise", &across.address]);
    cluster.add_worker(&[]);
    cluster.wait_until_live(2);
    (cluster, up, across)
}

/// An address that nobody listens at.
fn free_address() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[test]
fn a_short_cut_changes_nothing() {
    let (mut cluster, up, _across) = linked("8s");
    let before = cluster.worker("worker-1").unwrap();
    let job = cluster.submit(&Work::toil(300, 300).with("--no-speculation"), "job");
    for moment in [4, 12] {
        job.maps(moment);
        up.cut(true, true);
        std::thread::sleep(Duration::from_secs(1));
        up.cut(false, false);
    }
    let view = job.done();
    assert_eq!((number(&view, "attempts_failed"), number(&view, "maps_rerun")), (0, 0), "{view}");
    let after = cluster.worker("worker-1").unwrap();
    assert_eq!(before["incarnation"], after["incarnation"]);
    cluster.assert_idle(&["job"]);
}

/// Cuts the link of a worker to the coordinator, in the directions given, until the worker is lost.
fn long_cut(there: bool, back: bool) {
    let (mut cluster, up, _across) = linked("2s");
    let before = cluster.worker("worker-1").unwrap();
    let job = cluster.submit(&Work::toil(500, 100), "job");
    job.maps(5);
    up.cut(there, back);
    // Who gets no answer hangs up, so that it is lost also where it is heard.
    cluster.wait_for_worker("worker-1", "to be lost", |worker| worker["live"] == false);
    up.cut(false, false);
    job.done();
    let is_new = |worker: &Value| worker["live"] == true && worker["incarnation"] != before["incarnation"];
    cluster.wait_for_worker("worker-1", "to be back", is_new);
    cluster.assert_idle(&["job"]);
}

#[test]
fn a_long_cut_fences() {
    long_cut(true, true);
}

#[test]
#[ignore = "make chaos"]
fn a_cut_one_way_fences() {
    long_cut(true, false);
    long_cut(false, true);
}

#[test]
#[ignore = "make chaos"]
fn map_output_that_cannot_be_reached_is_made_again() {
    let (mut cluster, _up, across) = linked("2s");
    // Without it a second attempt, which has the map output at hand, would be done before the first fails.
    let job = cluster.submit(&Work::toil(50, 600).with("--no-speculation"), "job");
    job.maps(20);
    across.cut(true, true);
    let view = job.done();
    assert!(number(&view, "attempts_failed") > 0, "{view}");
    cluster.assert_idle(&["job"]);
    across.cut(false, false);
    cluster.check(&Work::small_sort(), "next");
    cluster.assert_idle(&["job", "next"]);
}

/// Runs a job over bad links.
fn in_bad_weather(work: &Work) {
    let (mut cluster, up, across) = linked("6s");
    up.set(BAD);
    across.set(BAD);
    cluster.check(work, "job");
    for (name, link) in [("up", &up), ("across", &across)] {
        let (passed, lost) = link.tally();
        // How much crosses between workers depends on who has maps and who reduces.
        assert!(lost > 0 && passed > 10, "the link {name} passed {passed} and lost {lost}");
    }
    cluster.assert_idle(&["job"]);
}

#[test]
fn bad_weather_changes_nothing() {
    in_bad_weather(&Work::small_sort());
}

#[test]
#[ignore = "make chaos"]
fn bad_weather_changes_nothing_of_large_jobs() {
    in_bad_weather(&Work::count());
    in_bad_weather(&Work::sort());
}

#[test]
#[ignore = "make chaos"]
fn cuts_again_and_again() {
    let (mut cluster, up, across) = linked("2s");
    let job = cluster.submit(&Work::toil(500, 500), "job");
    for moment in [3, 6, 9, 12, 15, 18] {
        job.maps(moment);
        up.cut(true, true);
        across.cut(true, moment % 2 == 0);
        std::thread::sleep(Duration::from_millis(300 * moment));
        up.cut(false, false);
        across.cut(false, false);
    }
    job.done();
    cluster.wait_until_live(2);
    cluster.assert_idle(&["job"]);
}
