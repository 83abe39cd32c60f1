//! Rows of delimited text against the `csv` crate.

use mr_formats::{FormatError, footprint};
use mr_model::{Compression, Delimited, InputFormat};
use proptest::prelude::*;

use crate::read::{Reading, Record, shown, texts};

/// Rows that the `csv` crate finds.
fn reference(delimited: Delimited, bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = csv::ReaderBuilder::new();
    reader.delimiter(delimited.delimiter).quoting(delimited.quote.is_some()).has_headers(delimited.header);
    if let Some(quote) = delimited.quote {
        reader.quote(quote);
    }
    let rows = reader.flexible(true).from_reader(bytes).into_byte_records().map(Result::unwrap);
    rows.map(|row| row.iter().map(<[u8]>::to_vec).collect()).collect()
}

/// What we find: rows of as many values as the first one.
fn read(reading: &Reading, records: &[Record]) -> Vec<Vec<Vec<u8>>> {
    assert!(records.is_sorted_by_key(|record| record.2));
    assert!(records.iter().all(|record| record.0 == record.2.to_be_bytes()) || reading.options.row.is_none());
    records.iter().map(|record| texts(&record.1)).collect()
}

/// All rows, also those of other lengths than the first, which are bad records.
fn count_with_bad(reading: &Reading, bytes: &[u8]) -> (Vec<Vec<Vec<u8>>>, usize) {
    let mut bad = 0;
    let range = 0..bytes.len() as u64;
    let records = reading.range(crate::read::source(bytes), range, &mut |_| {
        bad += 1;
        Ok(())
    });
    (read(reading, &records.unwrap()), bad)
}

fn dialects() -> impl Strategy<Value = Delimited> {
    let delimited = |(semicolon, quote, header)| Delimited {
        delimiter: if semicolon { b';' } else { b',' },
        quote,
        header,
    };
    (any::<bool>(), prop::sample::select(vec![Some(b'"'), Some(b'"'), Some(b'\''), None]), any::<bool>())
        .prop_map(delimited)
}

/// Rows as they are written, of values that need no quotes, have them, or have them where they mean nothing.
fn files() -> impl Strategy<Value = Vec<u8>> {
    let value = prop::sample::select(vec![
        "",
        "a",
        "bc",
        "a long value of many words",
        "1",
        "x\"y",
        "it's",
        "\"q\"",
        "\"a,b\"",
        "\"a;b\"",
        "\"two\nlines\"",
        "\"\r\n\"",
        "\"say \"\"hi\"\"\"",
        "\"\"",
        "\"\"\"\"",
        "\"a\"b",
        "'s'",
        "\u{0}",
        "\"\n,\"",
        "\",\"\"\n\"",
    ]);
    let row = (prop::collection::vec(value, 2..4), prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]));
    let write = |rows: Vec<(Vec<&str>, &str)>| {
        rows.iter().map(|(values, end)| values.join(",") + end).collect::<String>().into_bytes()
    };
    prop::collection::vec(row, 1..40).prop_map(write)
}

proptest! {
    #[test]
    fn rows_are_those_of_the_csv_crate(bytes in files(), delimited in dialects()) {
        let reading = Reading::new("csv");
        let reading = Reading { format: InputFormat::Delimited(delimited), ..reading };
        let Ok(row) = reading.row(&bytes, None, None) else { return Ok(()) };
        let mut reading = reading;
        reading.options.row = row;
        let range = 0..bytes.len() as u64;
        let mut ragged = Vec::new();
        let read = reading.range(crate::read::source(&bytes), range, &mut |bad| {
            assert!(bad.reason.starts_with("the row has "));
            ragged.push(bad.offset);
            Ok(())
        });
        match read {
            Ok(records) => {
                let known = reference(delimited, &bytes);
                let columns = known_columns(delimited, &bytes);
                let (fits, other): (Vec<_>, Vec<_>) = known.into_iter().partition(|row| row.len() == columns);
                prop_assert_eq!(records.iter().map(|record| texts(&record.1)).collect::<Vec<_>>(), fits);
                prop_assert_eq!(ragged.len(), other.len());
            }
            Err(error) => prop_assert!(error.to_string().contains("is not closed"), "{}", error),
        }
    }

    #[test]
    fn all_ways_to_cut_a_file_read_it(
        bytes in files(), cuts in prop::collection::vec(any::<u64>(), 0..12), delimited in dialects(),
        max in prop::sample::select(vec![200_u64, 1 << 20]),
    ) {
        let mut reading = Reading { format: InputFormat::Delimited(delimited), ..Reading::new("csv") };
        reading = reading.record_bytes_max(max);
        reading.target = 1;
        let Ok(row) = reading.row(&bytes, Some("c1"), None).or_else(|_| reading.row(&bytes, None, None)) else {
            return Ok(());
        };
        reading.options.row = row;
        let source = crate::read::source(&bytes);
        let end = bytes.len() as u64;
        let mut places: Vec<u64> = cuts.iter().map(|cut| cut % (end + 1)).chain([0, end]).collect();
        places.sort_unstable();
        let mut whole_bad = Vec::new();
        let whole = reading.range(source.clone(), 0..end, &mut |bad| {
            whole_bad.push((bad.offset, bad.reason));
            Ok(())
        });
        let (mut tiled, mut tiled_bad) = (Ok::<_, FormatError>(Vec::new()), Vec::new());
        for pair in places.windows(2).filter(|pair| pair[0] < pair[1]) {
            let read = reading.range(source.clone(), pair[0]..pair[1], &mut |bad| {
                tiled_bad.push((bad.offset, bad.reason));
                Ok(())
            });
            tiled = tiled.and_then(|mut all: Vec<Record>| { all.extend(read?); Ok(all) });
        }
        match (whole, tiled) {
            (Ok(whole), Ok(tiled)) => {
                prop_assert_eq!(whole, tiled);
                prop_assert_eq!(whole_bad, tiled_bad);
            }
            (Ok(_), Err(error)) => prop_assert!(false, "only a cut file fails: {}", error),
            (Err(_), tiled) => prop_assert!(tiled.is_err(), "a file that fails was read in ranges"),
        }
    }
}

fn known_columns(delimited: Delimited, bytes: &[u8]) -> usize {
    reference(Delimited { header: false, ..delimited }, bytes).first().map_or(0, Vec::len)
}

#[test]
fn fields_are_found_by_name_and_typed() {
    let bytes = b"\xef\xbb\xbfid,name,price,ok\r\n7,\"a,b\",1.5,true\r\n-8,,,false\n";
    let reading = Reading::new("csv").fields(bytes, Some("ok:bool,price:f64?,id:s64,name:?"), Some("name"));
    let row = reading.options.row.clone().unwrap();
    assert_eq!(row.value_type().to_string(), "tuple<bool,tuple<bool,f64>,s64,tuple<bool,text>>");
    assert_eq!(row.key_type().unwrap().to_string(), "tuple<tuple<bool,text>>");
    let lines: Vec<_> = reading.all(bytes).iter().map(|record| shown(&row, record)).collect();
    assert_eq!(lines, ["true\ta,b\ttrue\ttrue\t1.5\t7\ttrue\ta,b", "false\t\tfalse\tfalse\t0\t-8\tfalse\t"]);
}

#[test]
fn all_columns_without_the_key_are_the_value() {
    let bytes = b"id,name,price\n7,x,1\n";
    let reading = Reading::new("csv").fields(bytes, None, Some("name"));
    assert_eq!(reading.options.row.as_ref().unwrap().value.to_string(), "id:text,price:text");
    let reading = Reading::new("csv,header=no").fields(bytes, None, Some("c2"));
    assert_eq!(reading.options.row.as_ref().unwrap().value.to_string(), "c1:text,c3:text");
    assert_eq!(texts(&reading.all(bytes)[1].1), [b"7", b"1"]);
    let reading = Reading::new("csv,header=no").fields(bytes, Some("a,b"), Some("b"));
    assert_eq!(texts(&reading.all(b"1,2\n3,4\n")[1].0), [b"4"]);
}

#[test]
fn a_path_is_ahead_of_the_place() {
    let bytes = b"a\nx\n";
    let mut reading = Reading::new("csv").fields(bytes, None, None);
    reading.options.path_key = Some(b"p\0\0".to_vec());
    assert_eq!(reading.all(bytes)[0].0, b"p\0\0\0\0\0\0\0\0\0\x02");
}

#[test]
fn bad_rows_are_told_and_passed_over() {
    let bytes = b"id,n\n1,2\n3\nx,4\n5,\n6,7,8\n9,\"\"\n10,11\n";
    let reading = Reading::new("csv").fields(bytes, Some("id:u64,n:u64"), None);
    let mut told = Vec::new();
    let range = 0..bytes.len() as u64;
    let records = reading.range(crate::read::source(bytes), range, &mut |bad| {
        told.push(format!("{} {} [{}]", bad.offset, bad.reason, String::from_utf8_lossy(bad.sample)));
        Ok(())
    });
    assert_eq!(records.unwrap().len(), 2);
    assert_eq!(
        told,
        [
            "9 the row has 1 values and the header 2 [3]",
            "11 the field \"id\" is \"x\", which is no u64 [x,4]",
            "15 the field \"n\" is empty and has to be a u64; ask for n:u64? if it may be missing [5,]",
            "18 the row has 3 values and the header 2 [6,7,8]",
            "24 the field \"n\" is \"\", which is no u64 [9,\"\"]",
        ]
    );
    assert_eq!(count_with_bad(&reading, bytes).1, 5);
    assert_eq!(reading.refused(bytes), "at byte 9: the row has 1 values and the header 2");
}

#[test]
fn headers_that_lack_a_field_are_refused() {
    let csv = Reading::new("csv");
    let refused = |bytes: &[u8], asked, key| csv.row(bytes, asked, key).unwrap_err();
    assert_eq!(
        refused(b"a,b\n", Some("a,c"), None),
        "at byte 0: the header has no field \"c\"; it has \"a\", \"b\""
    );
    assert_eq!(refused(b"a,b,a\n", Some("a"), None), "at byte 0: the header has the field \"a\" twice");
    assert_eq!(refused(b"", None, None), "at byte 0: the file is empty and has no header");
    assert_eq!(
        refused(b"a,,b\n", None, None),
        "at byte 0: column 2 has no name in the header; name those wanted with --fields"
    );
    assert_eq!(
        refused(",".repeat(99).replace(',', "x,").as_bytes(), Some("y"), None),
        format!("at byte 0: the header has no field \"y\"; it has {}, ...", ["\"x\""; 10].join(", "))
    );
    let bare = Reading::new("csv,header=no");
    assert_eq!(
        bare.row(b"1,2\n", Some("c3"), None).unwrap_err(),
        "at byte 0: the field \"c3\" is that of column 3 and there are 2"
    );
    assert_eq!(
        csv.row(b"\xff\xfea\0", None, None).unwrap_err(),
        "at byte 0: the file is text in UTF-16; convert it to UTF-8"
    );
}

#[test]
fn ambiguous_quotes_are_read_right() {
    let bytes = ["a\n", &"\"\n\"\n".repeat(300)].concat().into_bytes();
    let reading = Reading::new("csv").record_bytes_max(50).fields(&bytes, None, None);
    let whole = reading.all(&bytes);
    assert_eq!(whole.len(), 300);
    assert_eq!(reading.tiled(&bytes, &[100, 555, 900]), whole);
}

#[test]
fn a_quote_that_runs_away_is_refused_in_every_cut() {
    let row = |row| format!("{}{row},x\"y\n", if row == 100 { "\"" } else { "" });
    let plain = "a,b\n".to_owned() + &(0..200).map(row).collect::<String>();
    // Here the false state goes on where the true one is refused.
    let swapped = "a\n".to_owned() + &"\"\n\"\n".repeat(20) + "\"z" + &"\n1".repeat(200) + "\"\n2\n";
    for file in [plain, swapped] {
        let bytes = file.into_bytes();
        let reading = Reading::new("csv").record_bytes_max(100).fields(&bytes, None, None);
        let end = bytes.len() as u64;
        for cut in 1..end {
            let read = |range| reading.range(crate::read::source(&bytes), range, &mut |bad| bad.refuse());
            assert!(read(0..cut).is_err() || read(cut..end).is_err(), "cut at {cut}");
        }
    }
}

/// Bytes of a file, of which some are zeros: they were not copied.
#[test]
fn the_footprint_of_a_range_is_all_that_its_reader_needs() {
    let mut bytes = b"\n\nid,\"na\nme\"\n".to_vec();
    for row in 0..5_000 {
        let end = if row % 7 == 0 { "\r\n\n" } else { "\n" };
        let quoted = if row % 500 < 3 { "\"x,\n\"\"y\"" } else { "plain" };
        bytes.extend_from_slice(format!("{row},{quoted}{end}").as_bytes());
    }
    let reading = Reading::new("csv").record_bytes_max(300).fields(&bytes, None, None);
    let InputFormat::Delimited(delimited) = reading.format else { unreachable!() };
    let whole = reading.all(&bytes);
    assert_eq!(whole.len(), 5_000);
    let end = bytes.len() as u64;
    let mut read = Vec::new();
    for start in (0..end).step_by(7_919) {
        let range = start..(start + 7_919).min(end);
        let needed =
            footprint(&bytes, InputFormat::Delimited(delimited), Compression::None, range.clone(), 300)
                .unwrap();
        let mut copy = vec![0; bytes.len()];
        for part in needed {
            let part = usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap();
            copy[part.clone()].copy_from_slice(&bytes[part]);
        }
        let copied = crate::read::source(&copy);
        read.extend(reading.range(copied, range, &mut |bad| bad.refuse()).unwrap());
    }
    assert!(read == whole);
}

#[test]
fn compressed_rows_without_quotes_are_split() {
    let csv: Vec<u8> = (0..20_000).flat_map(|row| format!("{row},{}\r\n", row * 7).into_bytes()).collect();
    let file = [b"a,b\n".as_slice(), &csv].concat();
    let packed: Vec<u8> = file.chunks(10_000).flat_map(|part| zstd::encode_all(part, 3).unwrap()).collect();
    let reading = Reading::new("csv,quote=none").compressed(Compression::Zstd);
    let reading = reading.fields(&packed, Some("b:u64,a:u64"), None);
    let whole = reading.all(&packed);
    assert_eq!(whole.len(), 20_000);
    let end = packed.len() as u64;
    for step in [1, 2, 3, 7, 50] {
        let cuts: Vec<u64> = (1..step).map(|i| end * i / step).collect();
        assert_eq!(reading.tiled(&packed, &cuts), whole);
    }
}
