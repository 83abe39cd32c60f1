//! Lines in, the best out.

use guest_sdk::testing::Test;

use super::*;

const TEXT: &str = "a\t1\nb\t10\nc\t9.5\nb\t10\nd\t-3\nZ\t10\ne\t-0\nf\t0\n";

fn top(k: &str) -> String {
    let test = Test::new().param("k", k);
    let text = test.job::<Splits, All>(TEXT).unwrap().text();
    assert_eq!(test.combined_job::<Splits, Early, All>(TEXT).unwrap().text(), text);
    text
}

#[test]
fn the_largest_come_first_and_ties_in_byte_order() {
    assert_eq!(top("1"), "Z\t10\n");
    assert_eq!(top("4"), "Z\t10\nb\t10\nb\t10\nc\t9.5\n");
    assert_eq!(top("100"), "Z\t10\nb\t10\nb\t10\nc\t9.5\na\t1\ne\t-0\nf\t0\nd\t-3\n");
}

#[test]
fn any_column_may_hold_the_number() {
    let run = Test::new().param("column", "1").param("k", "2").job::<Splits, All>("2\tx\n3\n1\t9\n").unwrap();
    assert_eq!(run.text(), "3\n2\tx\n");
}

#[test]
fn lines_without_a_number_are_rejected() {
    let run = Test::new().param("column", "2").map::<Splits>("a\t1\nb\nc\tNaN\nd\tx\n").unwrap();
    assert_eq!((run.text(), run.rejects.len()), ("1\ta\t1\n".into(), 3));
    for (name, value) in [("k", "0"), ("k", "100001"), ("column", "0")] {
        assert!(Test::new().param(name, value).map::<Splits>(TEXT).is_err());
    }
}
