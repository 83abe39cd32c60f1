//! Records against what `gensort` and TeraGen are known to make.

use guest_sdk::testing::Test;

use super::*;

#[test]
fn a_million_records_have_the_known_checksum() {
    // What TeraGen and TeraValidate tell of a million records.
    let mut random = Random::at(0);
    let sum: i64 = (0..1_000_000)
        .map(|number| record(random.next(), number))
        .map(|(key, value)| checksum(&key, &value))
        .sum();
    assert_eq!(format!("{sum:x}"), "7a27e2d0d55de");
}

#[test]
fn records_depend_on_their_number_alone() {
    let whole = Test::new().map::<Generate>("5 20\n").unwrap();
    let pieces = Test::new().map::<Generate>("5 7\n12 0\n12\t13").unwrap();
    assert_eq!(whole.records().unwrap(), pieces.records().unwrap());
    assert_eq!(whole.counters, pieces.counters);
    assert_eq!(whole.counters["records"], 20);
    let (_, value) = &whole.records().unwrap()[19];
    assert_eq!(value[2..34].to_vec(), b"00000000000000000000000000000018");
}

#[test]
fn what_is_no_range_is_told() {
    for line in ["", "1", "1 2 3", "-1 2", "a 1", "18446744073709551615 1"] {
        let error = Test::new().map::<Generate>(&format!("{line}\n")).unwrap_err();
        assert!(error.message().contains("is no range: use START COUNT"), "{error}");
    }
}
