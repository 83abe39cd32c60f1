//! Texts of plugins and of people: descriptions, type names, cells that are written as text, formats and
//! names of counters. Refused with a reason, or understood so that it can be written and read again.

use std::collections::BTreeMap;

use mr_model::limit::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX};
use mr_model::text::is_unprintable;
use mr_model::{
    Compression, Contract, Counters, DataType, InputFormat, JobId, OutputFormat, PluginInfo, StageTypes,
};
use mr_storage::Encoder;

use crate::take::Supply;

/// Target: attributes, each a line `NAME=VALUE`.
pub fn contract(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let attributes: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let given = attributes.len();
    let parsed = Contract::parse(&PluginInfo { attributes, ..PluginInfo::default() });
    let Ok(contract) = parsed else { return };
    assert!(given <= mr_model::limit::ATTRIBUTES_MAX);
    let types = [&contract.map, &contract.combine, &contract.reduce_in, &contract.reduce];
    let types = types.into_iter().flat_map(|(key, value)| [key, value]).chain([&contract.partition_key]);
    types.flatten().for_each(check_type);
    for param in contract.params.iter().flat_map(BTreeMap::values) {
        check_type(&param.datatype);
        // Answers; whether it fits is not known here.
        let _ = param.check(param.default.as_deref().unwrap_or(&param.help));
    }
    if let Some(format) = contract.input.format {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!(crate::settles::<Contract>(&postcard::to_stdvec(&contract).unwrap()), Some(contract));
}

fn check_type(datatype: &DataType) {
    assert_eq!(datatype.to_string().parse().as_ref(), Ok(datatype));
}

/// Target: a line that is a type, a format or a name; behind it a key and a value, which are written as
/// text of that type.
pub fn typed(data: &[u8]) {
    let newline = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, cells) = data.split_at(newline);
    let Ok(line) = std::str::from_utf8(line) else { return };
    if let Ok(format) = line.parse::<InputFormat>() {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let _ = line.parse::<OutputFormat>();
    if let Ok(job) = JobId::new(line) {
        assert_eq!(job.as_str(), line);
        assert!(!line.contains(['/', '.']) && line.len() <= JobId::BYTES_MAX);
    }
    let Ok(datatype) = line.parse::<DataType>() else { return };
    check_type(&datatype);
    let mut supply = Supply(cells.get(1..).unwrap_or_default());
    let key = supply.string();
    check_written(&datatype, key, supply.rest());
}

fn check_written(datatype: &DataType, key: &[u8], value: &[u8]) {
    let types = StageTypes { key: Some(datatype.clone()), value: Some(datatype.clone()) };
    let mut encoder = Encoder::new(OutputFormat::Text, Compression::None, &types, None, 1).unwrap();
    let mut written = b"before".to_vec();
    let accepted = encoder.encode(key, value, &mut written).is_ok();
    let mut rendered = Vec::new();
    let fits = datatype.render(key, &mut rendered).is_ok() && datatype.render(value, &mut rendered).is_ok();
    assert_eq!(accepted, fits);
    if !accepted {
        assert_eq!(written, b"before");
    }
    // The longest text for its bytes is that of a float.
    assert!(written.len() <= 64 + 512 * (key.len() + value.len() + 64 * 64));
}

/// Descriptions of plugins that there are.
pub fn contract_seeds() -> Vec<Vec<u8>> {
    let all = "map.batch=chunks\nmap.input-key=path-offset\ninput.format=fixed:100:10\npartition=range\n\
        map.key=text\nmap.value=u64\ncombine.key=bytes\ncombine.value=tuple<text,tuple<u64,bool>>\n\
        reduce.in.key=f64\nreduce.in.value=s64\nreduce.key=unit\nreduce.value=bool\npartition.key=text\n\
        param.pattern.type=u64\nparam.pattern.required=true\nparam.pattern.default=7\nparam.pattern.help=what\n\
        colour=green\n";
    vec![all.into(), b"map.batch=rows\ninput.format=line-keys\nmap.key= tuple< u64 , text >\n".to_vec()]
}

/// Types with cells of them, formats and names.
pub fn typed_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"fixed:100:10\n".to_vec(),
        b"line-keys\n".to_vec(),
        b"raw\n".to_vec(),
        b"job-1\n".to_vec(),
        b"tuple<text,tuple<bytes,bool>>\n\x08a\0\xffb\0\0\0\0\x01x\0\0\0\0\0".to_vec(),
        b"unit\n\0".to_vec(),
        b"bool\n\x01\x01\0".to_vec(),
    ];
    for name in ["u64", "s64", "f64"] {
        seeds.push([name.as_bytes(), b"\n\x08\x80\0\0\0\0\0\0\x01\x7f\xff\xff\xff\xff\xff\xff\xfe"].concat());
    }
    seeds
}

/// Target: additions, some of them to a second set that is then merged, against a plain map.
pub fn counters(data: &[u8]) {
    let mut supply = Supply(data);
    let (mut counters, mut other) = (Counters::default(), Counters::default());
    let (mut naive, mut naive_other) = (BTreeMap::new(), BTreeMap::new());
    while !supply.is_empty() {
        let (second, long) = (supply.below(2) == 1, supply.below(16) == 15);
        let name = String::from_utf8_lossy(supply.string()).into_owned();
        let name = if long { name.repeat(COUNTER_NAME_BYTES_MAX) } else { name };
        let delta = supply.number().cast_signed();
        let (sums, naive) = if second { (&mut other, &mut naive_other) } else { (&mut counters, &mut naive) };
        assert_eq!(sums.add(&name, delta).is_ok(), add(naive, &name, delta));
    }
    let merged = counters.merge(&other).is_ok();
    let naive_merged = naive_other.iter().all(|(name, delta)| add(&mut naive, name, *delta));
    assert_eq!(merged, naive_merged);
    assert!(counters.iter().eq(naive.iter().map(|(name, sum)| (name.as_str(), *sum))));
    assert_eq!(crate::settles::<Counters>(&postcard::to_stdvec(&counters).unwrap()), Some(counters));
}

fn add(sums: &mut BTreeMap<String, i64>, name: &str, delta: i64) -> bool {
    let known = sums.contains_key(name);
    let named = !name.is_empty() && name.len() <= COUNTER_NAME_BYTES_MAX && !name.contains(is_unprintable);
    let legal = named && sums.len() < COUNTERS_MAX;
    if !known && !legal {
        return false;
    }
    let sum = sums.entry(name.to_owned()).or_default();
    *sum = sum.saturating_add(delta);
    true
}

/// Sums in both sets.
pub fn counter_seeds() -> Vec<Vec<u8>> {
    let mut many = Vec::new();
    for i in 0..1_100u16 {
        many.extend_from_slice(&[u8::from(i % 2 == 0), 0, 2]);
        many.extend_from_slice(&[b'a' + i.to_le_bytes()[0] % 26, b'a' + (i / 26).to_le_bytes()[0], 5]);
    }
    let huge = [0, 0, 1, b'x', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    vec![many, [huge, huge].concat(), b"\x00\x00\x01a\x01\x01\x00\x01a\x02\x00\x0f\x03abc\x07".to_vec()]
}
