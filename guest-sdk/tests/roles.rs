//! Roles in the test double: groups over several batches, counters, rejects, parameters, errors,
//! folds, and what a plugin says of itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::Read;

use guest_sdk::prelude::*;
use guest_sdk::testing::Test;
use guest_sdk::{ErrorKind, native};
use mr_model::{Contract, DataType as ModelType, PluginInfo};

/// Emits the numbers of each line under the line's first word; rejects what is no number.
struct Numbers {
    limit: u64,
    seen: Counter,
    stop_words: String,
}

impl Mapper for Numbers {
    type Input = Lines;
    type Output = Emitter<Text, u64>;

    const PARAMS: &'static [Param] = &[
        Param::u64("limit", "largest number that is taken").default("1000"),
        Param::text("mode", "what to do").required(),
    ];

    fn setup(task: &Task) -> Result<Self> {
        let mut stop_words = String::new();
        if task.param::<String>("mode")? == "stop-words" {
            task.side_input("stop-words")?.read_to_string(&mut stop_words)?;
        }
        Ok(Self { limit: task.param("limit")?, seen: task.counter("numbers"), stop_words })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let mut words = line.words();
        let Some(name) = words.next() else { return Ok(()) };
        if self.stop_words.lines().any(|stop| stop.as_bytes() == &*name) {
            return Ok(());
        }
        for word in words {
            match word.to_str()? {
                "fail" => return Err(Error::transient("try again")),
                text => match text.parse::<u64>() {
                    Ok(number) if number > self.limit => "x".parse::<u64>().map(drop)?,
                    Ok(number) => {
                        self.seen.add(1);
                        out.emit(name, number);
                    }
                    Err(error) => return reject(error),
                },
            }
        }
        Ok(())
    }
}

fn numbers() -> Test {
    Test::new().param("mode", "plain")
}

/// Emits the first `take` values of each group and whether there were more.
struct Take(usize);

impl Reducer for Take {
    type Key = Text;
    type Value = u64;
    type Output = Emitter<Text, (u64, Text)>;

    const PARAMS: &'static [Param] = &[Param::u64("take", "values of each group")];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self(task.param_if_set("take")?.unwrap_or(usize::MAX)))
    }

    fn reduce(&mut self, key: Str<'_>, values: &mut Values<'_, u64>, out: &mut Self::Output) -> Result {
        count("groups", 1);
        let some: Vec<String> = values.take(self.0).map(|value| value.to_string()).collect();
        out.emit(key, (some.len() as u64, some.join(",")));
        Ok(())
    }
}

const TEXT: &str = "a 1 2 3 4 5 6 7 8\nb 1\n\nc 5 6 7\nd 1 2 3 4\na 9";

#[test]
fn a_group_goes_on_through_its_batches() {
    let run = numbers().job::<Numbers, Take>(TEXT).unwrap();
    assert_eq!(run.text(), "a\t9\t1,2,3,4,5,6,7,8,9\nb\t1\t1\nc\t3\t5,6,7\nd\t4\t1,2,3,4\n");
    assert_eq!(run.counters, BTreeMap::from([("numbers".into(), 17), ("groups".into(), 4)]));
}

#[test]
fn what_a_reducer_leaves_is_passed_over() {
    for take in ["0", "1", "3", "4"] {
        let run = numbers().param("take", take).job::<Numbers, Take>(TEXT).unwrap();
        let firsts: Vec<u64> = run.records().unwrap().into_iter().map(|(_, (len, _))| len).collect();
        let limit: u64 = take.parse().unwrap();
        assert_eq!(firsts, [9, 1, 3, 4].map(|len: u64| len.min(limit)));
    }
}

#[test]
fn a_reject_names_its_line() {
    let run = numbers().map::<Numbers>("a 1\nb x 2\nc 3\n").unwrap();
    assert_eq!(run.text(), "a\t1\nc\t3\n");
    let reason = r#"invalid digit found in string; while mapping the line at byte 4: "b x 2""#;
    assert_eq!(run.rejects, [(0, reason.to_owned())]);
}

#[test]
fn errors_have_kinds_and_places() {
    let error = |text| numbers().map::<Numbers>(text).unwrap_err();
    let transient = error("a 1\nb fail");
    assert_eq!(transient.kind(), Some(ErrorKind::Transient));
    assert_eq!(transient.message(), r#"try again; while mapping the line at byte 4: "b fail""#);
    assert_eq!(error("a 1001").kind(), Some(ErrorKind::InvalidInput));

    let setup = |test: Test| test.map::<Numbers>("").unwrap_err();
    let bad = setup(numbers().param("limit", "many"));
    assert_eq!(bad.kind(), Some(ErrorKind::Fatal));
    assert_eq!(bad.message(), r#"parameter limit = "many": invalid digit found in string"#);
    assert_eq!(setup(Test::new()).message(), "parameter mode is required");
    let missing = setup(Test::new().param("mode", "stop-words"));
    assert_eq!(missing.message(), r#"the job has no side input "stop-words""#);
}

#[test]
fn side_inputs_are_read() {
    let test = Test::new().param("mode", "stop-words").side_input("stop-words", "b\nc\n");
    assert_eq!(test.map::<Numbers>("a 1\nb 2\nc 3\nd 4\n").unwrap().text(), "a\t1\nd\t4\n");
}

/// Numbers by word, with a table in between.
struct Folded<F>(std::marker::PhantomData<F>);

impl<F: Fold<i64>> Mapper for Folded<F> {
    type Input = FileLines;
    type Output = Combining<Text, i64, F>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self(std::marker::PhantomData))
    }

    fn map(&mut self, line: FileLine<'_>, out: &mut Self::Output) -> Result {
        out.emit("", line.offset().cast_signed());
        for word in line.words() {
            out.emit(word, -(word.len() as i64) + line.offset().cast_signed() % 7);
        }
        Ok(())
    }
}

fn check_fold<F: Fold<i64>>(naive: fn(i64, i64) -> i64) {
    // Enough words to drive one another out of the table, some of them too long for it.
    let text: String =
        (0..90_000u64).map(|i| format!("{}{}\n", "w".repeat((i % 30) as usize), i * i % 70_001)).collect();
    let mut expected = BTreeMap::<String, i64>::new();
    let mut offset = 0i64;
    for line in text.lines() {
        let mut fold = |key: &str, value| {
            expected.entry(key.into()).and_modify(|sum| *sum = naive(*sum, value)).or_insert(value);
        };
        fold("", offset);
        fold(line, -(line.len() as i64) + offset % 7);
        offset += line.len() as i64 + 1;
    }
    let expected: String = expected.iter().map(|(word, value)| format!("{word}\t{value}\n")).collect();

    let mapped = Test::new().map::<Folded<F>>(&text).unwrap().records().unwrap();
    assert!(mapped.len() < 150_000, "the table folds: {}", mapped.len());
    let run = Test::new().combined_job::<Folded<F>, Folding<Text, i64, F>, Folding<Text, i64, F>>(&text);
    assert_eq!(run.unwrap().text(), expected);
}

#[test]
fn folds_equal_a_naive_loop() {
    check_fold::<Sum>(|a, b| a + b);
    check_fold::<Min>(i64::min);
    check_fold::<Max>(i64::max);
}

/// Swaps keys and values; partitions by parity.
struct Swap;

impl Mapper for Swap {
    type Input = Records<(Text, bool), f64>;
    type Output = Emitter<f64, (Text, bool)>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Swap)
    }

    fn map(&mut self, (key, value): ((Str<'_>, bool), f64), out: &mut Self::Output) -> Result {
        out.emit(value, key);
        Ok(())
    }
}

impl Partitioner for Swap {
    type Key = u64;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Swap)
    }

    fn partition(&mut self, key: u64, partitions: u32) -> Result<u32> {
        Ok((key % 3) as u32 % partitions.max(2))
    }
}

#[test]
fn typed_records_and_partitions() {
    let run = Test::new().map_records::<Swap, _, _>(&[(("a", true), 1.5), (("b\0", false), -2.0)]).unwrap();
    assert_eq!(run.text(), "1.5\ta\ttrue\n-2\tb\0\tfalse\n");
    assert_eq!(Test::new().partition::<Swap>(&[0, 1, 2, 3, 4], 3).unwrap(), [0, 1, 2, 0, 1]);
    let error = Test::new().partition::<Swap>(&[0, 1], 1).unwrap_err();
    assert_eq!(
        error.message(),
        "partition 1 of 1; while partitioning the key \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\""
    );
}

#[test]
fn the_native_driver_hands_out_packed_columns() {
    let mut columns = Vec::new();
    let mut sink = |batch: &guest_sdk::Batch| {
        columns.push((batch.rows, batch.keys.ends.len(), batch.values.width, batch.values.ends.len()));
    };
    let mut driver = native::MapDriver::<Numbers>::open(&[("mode", ""), ("limit", "9")], 20).unwrap();
    driver.map_chunk(0, b"a 1\nb 2 3\n", &mut sink).unwrap();
    driver.map_chunk(10, b"c 4\n", &mut sink).unwrap();
    driver.close(&mut sink).unwrap();
    assert_eq!(columns, [(3, 12, 8, 0), (1, 4, 8, 0)]);
}

/// Values that are no numbers, and those that are.
const ODD: Port<Text, Text> = Port::new("odd");
const EVEN: Port<Text, u64> = Port::new("even");

struct Apart {
    odd: PortEmitter<Text, Text>,
    even: PortEmitter<Text, u64>,
}

impl Mapper for Apart {
    type Input = Lines;
    type Output = Emitter<Text, ()>;

    const OUTPUTS: &'static [&'static dyn AnyPort] = &[&ODD, &EVEN];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { odd: task.output(&ODD)?, even: task.output(&EVEN)? })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        match line.to_str()?.parse::<u64>() {
            Ok(number) if number % 2 == 0 => self.even.emit(line, number),
            Ok(_) => out.emit(line, ()),
            Err(_) => self.odd.emit(line, "no number"),
        }
        Ok(())
    }
}

#[test]
fn named_outputs_have_records_of_their_own() {
    let run = Test::new().map::<Apart>("1\n2\nx\n4\n").unwrap();
    assert_eq!(run.text(), "1\n");
    assert_eq!(run.output(&EVEN).unwrap(), [("2".into(), 2), ("4".into(), 4)]);
    assert_eq!(run.output(&ODD).unwrap(), [("x".into(), "no number".into())]);
    let said = guest_sdk::Description::new("apart", "1").mapper::<Apart>();
    let attribute = |name: &str| said.attributes.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    let names = ["outputs", "output.odd.value", "output.even.value"];
    assert_eq!(names.map(attribute), ["odd,even", "text", "u64"]);
}

guest_sdk::export! {
    name: "numbers",
    mapper: Numbers,
    combiner: Folding<Text, u64, Sum>,
    reducer: Take,
    attributes: { "partition": "range" },
}

#[test]
fn the_engine_understands_the_description() {
    let said = description();
    let info =
        PluginInfo { name: said.name, version: said.version, sdk: said.sdk, attributes: said.attributes };
    let contract = Contract::parse(&info).unwrap();
    let datatype = |name: &str| Some(name.parse::<ModelType>().unwrap());
    assert!(contract.chunks);
    assert_eq!(contract.partitioning, Some(mr_model::Partitioning::Range));
    assert_eq!(contract.map, (datatype("text"), datatype("u64")));
    assert_eq!(contract.combine, contract.map);
    assert_eq!(contract.reduce_in, contract.map);
    assert_eq!(contract.reduce, (datatype("text"), datatype("tuple<u64,text>")));
    let params = contract.params.unwrap();
    assert_eq!(params.keys().collect::<Vec<_>>(), ["limit", "mode", "take"]);
    assert!(params["mode"].required && params["limit"].default.as_deref() == Some("1000"));
    assert_eq!(params["limit"].datatype, ModelType::U64);
}
