//! Every combination of roles, present or absent, each from a component of its own: a role that is
//! missing is the identity.

use crate::support::naive::{self, Record, Remap, by_hash, by_last_byte, fixed_records};
use crate::support::random::Random;
use crate::support::{Done, Job, assert_same_bytes};

/// Length of a record and of its key, in bytes; values are numbers of 8 bytes.
const RECORD: usize = 12;
const KEY: usize = 4;
/// The mapper leaves a shorter key.
const REMAP: Remap = Remap { from_value: false, keep: 3, repeat: 1, pad: 0 };

/// Which roles a job has.
#[derive(Debug, Clone, Copy)]
struct Roles {
    mapper: bool,
    combiner: bool,
    reducer: bool,
    partitioner: bool,
}

impl Roles {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |bits: u8, place: u8| bits >> place & 1 == 1;
        (0..16).map(move |bits| Self {
            mapper: bit(bits, 0),
            combiner: bit(bits, 1),
            reducer: bit(bits, 2),
            partitioner: bit(bits, 3),
        })
    }

    fn job(self, input: &[u8]) -> Job {
        let roles = [
            (self.mapper, "map", "remap"),
            (self.combiner, "combine", "sum"),
            (self.reducer, "reduce", "gather"),
            (self.partitioner, "partitioner", "place"),
        ];
        // A job needs a component; `sort` has no role at all.
        let job = if self.mapper || self.combiner || self.reducer { Job::staged() } else { Job::new("sort") };
        let job = roles
            .iter()
            .filter(|(present, ..)| *present)
            .fold(job, |job, (_, option, name)| job.stage(option, name));
        let job = if self.mapper { job.args(&REMAP.args()) } else { job };
        let job = if self.reducer { job.args("-p how=sum") } else { job };
        let job = if self.partitioner { job } else { job.args("--partition hash") };
        job.input(input).args(&format!("--input-format fixed:{RECORD}:{KEY} --output-format raw"))
    }

    fn mapped(self, records: &[Record]) -> Vec<Record> {
        if self.mapper { REMAP.map(records) } else { records.to_vec() }
    }

    /// Length of a key of the output.
    fn key(self) -> usize {
        if self.mapper { REMAP.keep } else { KEY }
    }
}

/// Few keys, so that groups are large.
fn input() -> Vec<u8> {
    let mut random = Random::new(11);
    (0..6000)
        .flat_map(|_| {
            let key = [0, random.byte(5), random.byte(7), random.byte(3)];
            [key.as_slice(), &random.next().to_be_bytes()].concat()
        })
        .collect()
}

#[test]
fn every_combination_of_roles() {
    let input = input();
    let records = fixed_records(&input, RECORD, KEY);
    for roles in Roles::all() {
        let place = if roles.partitioner { by_last_byte } else { by_hash };
        let shuffled = naive::shuffle(roles.mapped(&records), 3, place);
        let done = roles.job(&input).args("--reducers 3 --split-size 9000 --workers 2 --memory 96M").done();
        assert_eq!(done.parts.len(), 3);
        for ((name, part), expected) in done.parts.iter().zip(&shuffled) {
            let reduced = naive::reduce(expected, naive::sum);
            let (got, expected) = match (roles.combiner, roles.reducer) {
                (_, true) => (part.clone(), naive::raw(&reduced)),
                (false, false) => (part.clone(), naive::raw(expected)),
                // How often a combiner runs is open; what it leaves is sorted, and sums to the same.
                (true, false) => (resummed(part, roles.key()), naive::raw(&reduced)),
            };
            assert_same_bytes(&format!("{roles:?}, {name}"), &got, &expected);
        }
        assert_roles(&done, roles);
    }
}

#[test]
fn without_reducers_only_the_mapper_counts() {
    let input = input();
    let records = fixed_records(&input, RECORD, KEY);
    for roles in Roles::all() {
        let done = roles.job(&input).args("--reducers 0 --split-size 9000 --workers 2 --memory 96M");
        done.check_whole(&naive::raw(&roles.mapped(&records)));
    }
}

#[test]
fn one_component_serves_all_its_roles_or_some() {
    let text = b"b a\na c\n";
    Job::new("wordcount").input(text).check_whole(b"a\t2\nb\t1\nc\t1\n");
    // The mapper alone, its counts summed up by another component of the same types.
    let job = Job::staged().stage("map", "wordcount").stage("reduce", "unruly").input(text);
    job.check_whole(b"a\t2\nb\t1\nc\t1\n");
    // A stage that is named wins over the plugin's own.
    let job = Job::new("wordcount").stage("map", "unruly").input(text);
    job.check_whole(b"a c\t1\nb a\t1\n");
}

fn resummed(part: &[u8], key: usize) -> Vec<u8> {
    let records = fixed_records(part, key + 8, key);
    assert!(records.is_sorted_by(|a, b| a.0 <= b.0), "a part is sorted by key");
    naive::raw(&naive::reduce(&records, naive::sum))
}

#[track_caller]
fn assert_roles(done: &Done, roles: Roles) {
    let plugins = done.manifest["plugins"].as_array().unwrap();
    let played: Vec<&str> = plugins
        .iter()
        .flat_map(|plugin| plugin["roles"].as_array().unwrap())
        .filter_map(|role| role.as_str())
        .collect();
    let expected = [
        (roles.mapper, "mapper"),
        (roles.combiner, "combiner"),
        (roles.reducer, "reducer"),
        (roles.partitioner, "partitioner"),
    ];
    let expected: Vec<&str> =
        expected.iter().filter(|(present, _)| *present).map(|(_, name)| *name).collect();
    assert_eq!(played, expected);
}
