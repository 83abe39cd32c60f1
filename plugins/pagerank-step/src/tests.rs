//! Shares and ranks of a graph of three nodes, of which one links to nothing.

use guest_sdk::testing::Test;

use super::*;

/// What was shared with a node, and maybe its rank and its links.
type Shared = (u64, bool, u64, &'static str);

#[test]
fn ranks_are_shared_among_links() {
    let graph = [("a", (ONE, "b")), ("b", (ONE + 1, "a\tc")), ("c", (ONE, ""))];
    let run = Test::new().map_records::<Share, Text, (u64, Text)>(&graph).unwrap();
    let expected = [
        "b\t1000000000\tfalse\t0\t",
        "a\t0\ttrue\t1000000000\tb",
        "a\t500000000\tfalse\t0\t",
        "c\t500000000\tfalse\t0\t",
        "b\t0\ttrue\t1000000001\ta\tc",
        "c\t0\ttrue\t1000000000\t",
    ];
    assert_eq!(run.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn parts_add_up_in_any_portion() {
    let all: &[Shared] = &[(5, false, 0, ""), (0, true, ONE, "a"), (7, false, 0, "")];
    let combined = |parts: &[Shared]| Test::new().combine::<Early>(&[("b", parts)]).unwrap().text();
    assert_eq!(combined(all), "b\t12\ttrue\t1000000000\ta\n");
    assert_eq!(combined(&all[..1]), "b\t5\tfalse\t0\t\n");
}

#[test]
fn new_ranks_are_damped_and_counted() {
    let test = Test::new().param("nodes", "3").param("dangling", "1000000000");
    let groups: [(&str, &[Shared]); 2] =
        [("a", &[(500_000_000, true, ONE, "b")]), ("c", &[(500_000_000, false, 0, ""), (0, true, ONE, "")])];
    let run = test.reduce::<Rank>(&groups).unwrap();
    // 0.15 + 0.85 * (0.5 + 1/3)
    assert_eq!(run.text(), "a\t858333333\tb\nc\t858333333\t\n");
    let counted = ["nodes", "dangling", "moved"].map(|name| run.counters[name]);
    assert_eq!(counted, [2, 858_333_333, 2 * 141_666_667]);
    let unknown: [(&str, &[Shared]); 1] = [("x", &[(1, false, 0, "")])];
    let error = test.reduce::<Rank>(&unknown).unwrap_err();
    assert!(error.message().starts_with("\"x\" is linked to but is no node of the graph"), "{error}");
}

#[test]
fn damping_is_a_share() {
    for (text, share) in [("0", 0), ("1", ONE), ("0.85", 850_000_000), ("0.000000001", 1)] {
        assert_eq!(billionths(text).unwrap(), share);
    }
    for text in ["", "1.5", "-0.1", ".85", "0.", "0.1234567891", "0.x", "0.+1"] {
        assert!(billionths(text).is_err(), "{text}");
    }
}
