//! Lines in, groups out.

use guest_sdk::testing::Test;

use super::*;

#[test]
fn groups_have_their_numbers() {
    let text = "a\tx\t1.5\nb\tx\t-2\na\ty\t7\na\tx\t.25\n";
    let test = Test::new().param("by", "1").param("column", "3").param("decimals", "2");
    let expected = "a\t3\t8.75\t0.25\t7.00\t2.9166666666666665\nb\t1\t-2.00\t-2.00\t-2.00\t-2\n";
    assert_eq!(test.job::<Numbers, Tell>(text).unwrap().text(), expected);
    assert_eq!(test.combined_job::<Numbers, Early, Tell>(text).unwrap().text(), expected);
    let test = Test::new().param("by", "2,1").param("column", "3").param("decimals", "2");
    let groups = test.job::<Numbers, Tell>(text).unwrap().text();
    assert!(groups.starts_with("x\ta\t2\t1.75\t"), "{groups}");
}

#[test]
fn what_is_no_number_is_rejected() {
    let test = Test::new().param("by", "1").param("column", "2");
    let run = test.job::<Numbers, Tell>("a\t1\na\n\na\t1.5\na\tb\n").unwrap();
    assert_eq!(run.text(), "a\t1\t1\t1\t1\t1\n");
    assert_eq!(run.rejects.len(), 4, "{:?}", run.rejects);
}
