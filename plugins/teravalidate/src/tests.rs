//! Verdicts on summaries of splits, and summaries of records.

use guest_sdk::testing::Test;

use super::*;

type Split<'a> = (u64, (u64, u64, u64), u64, (&'a str, &'a str));

fn judge(test: &Test, splits: &[Split<'_>]) -> Result<String> {
    Ok(test.reduce::<Judge>(&[((), splits)])?.text())
}

#[track_caller]
fn fails(test: &Test, splits: &[Split<'_>], sentence: &str) {
    let error = judge(test, splits).unwrap_err();
    assert!(error.message().starts_with(sentence), "{error}");
}

#[test]
fn splits_are_summarised() {
    let records = [("b", "1"), ("b", "2"), ("a", "3"), ("c", "4")];
    let run = Test::new().map_records::<Look, Bytes, Bytes>(&records).unwrap();
    let sum: u64 = records.iter().map(|(key, value)| checksum(key.as_bytes(), value.as_bytes())).sum();
    assert_eq!(run.text(), format!("0\t4\t1\t{sum}\t2\tb\tc\n"));
}

#[test]
fn order_is_judged_within_and_across_splits() {
    let (a, b) = ((0, (2, 0, 5), 2, ("a", "b")), (1, (3, 1, 7), 3, ("b", "d")));
    let verdict = "sorted: 5 records, 2 duplicate keys, checksum c\n";
    assert_eq!(judge(&Test::new(), &[b, a]).unwrap(), verdict);
    let told = "not sorted: record 3 is below the one before it";
    fails(&Test::new(), &[a, (1, (3, 1, 7), 1, ("b", "d"))], told);
    fails(&Test::new(), &[(0, b.1, 3, b.3), (1, a.1, 2, a.3)], told);
}

#[test]
fn other_records_than_generated_fail() {
    let split = [(0, (2, 0, 5), 2, ("a", "b"))];
    fails(&Test::new().param("records", "3"), &split, "sorted, but 2 records instead of 3");
    let told = "sorted, but other records: checksum 5 instead of 6";
    fails(&Test::new().param("checksum", "6"), &split, told);
    assert!(judge(&Test::new().param("checksum", "5").param("records", "2"), &split).is_ok());
}
