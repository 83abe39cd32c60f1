//! Lines with their sides, and groups joined.

use guest_sdk::testing::Test;

use super::*;

#[test]
fn lines_carry_their_side_and_their_other_columns() {
    let test = Test::new().param("right-key", "3,1");
    let left = test.clone().param("mr.input", "left").map::<Tag>("k\ta\tb\nk\n\tx\n").unwrap();
    assert_eq!(left.text(), "k\tfalse\t\ta\tb\nk\tfalse\t\n\tfalse\t\tx\n");
    let right = test.clone().param("mr.input", "right").map::<Tag>("1\t2\t3\t4\n1\t2\n").unwrap();
    assert_eq!(right.text(), "3\t1\ttrue\t\t2\t4\n");
    assert!(right.rejects[0].1.starts_with("there is no column 3"), "{:?}", right.rejects);
    let error = test.map::<Tag>("a").unwrap_err();
    assert_eq!(error.message(), "inputs are named left and right, not \"\"");
}

#[test]
fn every_left_line_meets_every_right_line() {
    let both: &[(bool, &str)] = &[(false, "\ta"), (false, ""), (true, "\tx"), (true, "\ty\tz")];
    let groups = [("both", both), ("left", &[(false, "\tb")]), ("right", &[(true, "\tw")])];
    let run = Test::new().reduce::<Join>(&groups).unwrap();
    assert_eq!(run.text(), "both\ta\tx\nboth\tx\nboth\ta\ty\tz\nboth\ty\tz\n");
}

#[test]
fn what_cannot_be_joined_in_bounds_is_told() {
    let late: [(&str, &[(bool, &str)]); 1] = [("k", &[(true, ""), (false, "")])];
    let error = Test::new().reduce::<Join>(&late).unwrap_err();
    let told = "the input left has to be named before the input right";
    assert!(error.message().starts_with(told), "{error}");
    let much: [(&str, &[(bool, &str)]); 1] = [("k", &[(false, "\tlong"), (false, "\tlong")])];
    let error = Test::new().param("left-bytes", "20").reduce::<Join>(&much).unwrap_err();
    assert!(error.message().starts_with("key \"k\" has more than left-bytes=20 of lines"), "{error}");
}
