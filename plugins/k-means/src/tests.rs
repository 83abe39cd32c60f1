//! Points in, means out.

use guest_sdk::testing::Test;

use super::*;

const MEANS: &str = "left\t0\t0\nright\t10\t0\nalone\t100\t100\n";
const POINTS: &str = "a\t1\t1\nb\t-2\t0\nc\t5\t0\nd\t9\t-3\ne\t12\t0.000001\n";

#[test]
fn means_move_to_their_points() {
    let test = Test::new().side_input("means", MEANS);
    // What is as near to both belongs to the first: c is of the left.
    let expected = "left\t1.333333\t0.333333\nright\t10.5\t-1.499999\nalone\t100\t100\n";
    let run = test.job::<Assign, Move>(POINTS).unwrap();
    assert_eq!(run.text(), expected);
    assert_eq!(run.counters["moved"], 1_333_333 + 333_333 + 500_000 + 1_499_999);
    assert_eq!(test.combined_job::<Assign, Early, Move>(POINTS).unwrap().text(), expected);
}

#[test]
fn what_is_no_point_or_mean_is_told() {
    let run = Test::new().side_input("means", MEANS).map::<Assign>("a\t1\na\t1\t2\t3\na\t1\tx\n\n").unwrap();
    assert_eq!(run.rejects.len(), 4);
    for (means, sentence) in [
        ("", "side input means: there is no mean"),
        ("a\t1\nb\t1\t2\n", "side input means: \"b\\t1\\t2\" is no mean"),
        ("a\n", "side input means: \"a\" is no mean"),
    ] {
        let error = Test::new().side_input("means", means).map::<Assign>(POINTS).unwrap_err();
        assert!(error.message().starts_with(sentence), "{error}");
    }
}
