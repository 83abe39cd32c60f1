//! Records of the sort benchmark: generated, sorted, judged.

use crate::support::{Job, assert_same_bytes};

/// The records with the numbers below `end`, made one after the other as `gensort` does.
fn records(end: u64) -> Vec<u8> {
    let (factor, addend) =
        (0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645_u128, 0x4a69_6d47_7261_7952_4950_2020_2020_2001);
    let mut random = 0_u128;
    let mut records = Vec::new();
    for number in 0..end {
        random = random.wrapping_mul(factor).wrapping_add(addend);
        records.extend_from_slice(&random.to_be_bytes()[..10]);
        records.extend_from_slice(b"\x00\x11");
        records.extend_from_slice(format!("{number:032X}").as_bytes());
        records.extend_from_slice(b"\x88\x99\xAA\xBB");
        let digits = format!("{random:032X}");
        records.extend(digits.bytes().skip(20).flat_map(|digit| [digit; 4]));
        records.extend_from_slice(b"\xCC\xDD\xEE\xFF");
    }
    records
}

fn sorted(records: &[u8]) -> Vec<u8> {
    let mut records: Vec<&[u8]> = records.chunks(100).collect();
    records.sort_by_key(|record| &record[..10]);
    records.concat()
}

#[test]
fn generated_records_are_sorted_and_judged() {
    let ranges: String = (0..10).map(|range| format!("{} 2000\n", range * 2000)).collect();
    let generate = Job::new("teragen").input(&ranges).args("--reducers 0 --output-format raw");
    let generated = generate.args("--split-size 20 --workers 4").done();
    assert!(generated.parts.len() > 4, "ranges go to several tasks");
    let unsorted = generated.whole();
    assert_same_bytes("generated", &unsorted, &records(20_000));
    let checksum = generated.report["counters"]["checksum"].as_u64().unwrap();
    assert_eq!(generated.report["counters"]["records"], 20_000);

    let sort = Job::new("sort").input(&unsorted).args("--input-format fixed:100:10 --reducers 3");
    let done = sort.args("--split-size 300K --workers 2").done();
    assert_same_bytes("sorted", &done.whole(), &sorted(&unsorted));

    let mut validate = Job::new("teravalidate").args("--reducers 1 --split-size 70K --workers 2");
    for (name, part) in &done.parts {
        validate = validate.file(&format!("in/{name}"), part);
    }
    let verdict = format!("sorted: 20000 records, 0 duplicate keys, checksum {checksum:x}\n");
    validate.args(&format!("-p records=20000 -p checksum={checksum}")).check_whole(verdict.as_bytes());
}

#[test]
fn what_is_not_sorted_or_not_generated_fails() {
    let good = sorted(&records(1000));
    let job = |bytes: &[u8], args: &str| {
        Job::new("teravalidate").input(bytes).args("--reducers 1 --split-size 30000").args(args)
    };
    let swap = |a: usize, b: usize| {
        let mut records: Vec<&[u8]> = good.chunks(100).collect();
        records.swap(a, b);
        records.concat()
    };
    // Within a split, and from the last record of one to the first of the next.
    job(&swap(500, 501), "").fails(6, &["not sorted: record 501 is below the one before it"]);
    job(&swap(299, 300), "").fails(6, &["not sorted: record 300 is below the one before it"]);
    let mut twice = good.clone();
    twice.copy_within(0..100, 100);
    let done = job(&twice, "").done();
    assert!(done.whole().starts_with(b"sorted: 1000 records, 1 duplicate keys, checksum "));
    job(&good[100..], "-p records=1000").fails(6, &["sorted, but 999 records instead of 1000"]);
    job(&good, "-p checksum=1").fails(6, &["sorted, but other records: checksum ", " instead of 1"]);
    job(&[], "").check_whole(b"sorted: 0 records, 0 duplicate keys, checksum 0\n");
}

#[test]
fn ranges_that_are_none_fail() {
    let job = Job::new("teragen").input("0 10\n5\n").args("--reducers 0");
    job.fails(6, &["\"5\" is no range: use START COUNT", "at byte 5"]);
}
