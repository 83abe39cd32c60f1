//! Matrices as triples against three loops.

use std::collections::BTreeMap;

use super::parts;
use crate::support::Job;
use crate::support::random::{Arrangement, Random, property};

/// A sparse matrix, of elements that do not add up the same in every order.
#[derive(Debug, Clone)]
struct Matrix {
    seed: u64,
    rows: u64,
    columns: u64,
    /// One element in so many is there.
    sparse: u64,
}

impl Matrix {
    fn elements(&self) -> BTreeMap<(u64, u64), f64> {
        let mut random = Random::new(self.seed);
        let places = (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column)));
        let present: Vec<_> = places.filter(|_| random.below(self.sparse) == 0).collect();
        let value = |place| (place, random.below(1_000_000) as f64 / 1024.1 - 400.0);
        present.into_iter().map(value).collect()
    }
}

fn text(elements: &BTreeMap<(u64, u64), f64>, seed: u64) -> String {
    let mut lines: Vec<String> =
        elements.iter().map(|((row, column), value)| format!("{row}\t{column}\t{value}\n")).collect();
    // In any order.
    let mut random = Random::new(seed);
    for end in (1..lines.len()).rev() {
        lines.swap(end, usize::try_from(random.below(end as u64 + 1)).unwrap());
    }
    lines.concat()
}

#[test]
fn matrices_are_multiplied() {
    let measures = (proptest::num::u64::ANY, 1..25u64, 1..30u64, 1..25u64, 1..6u64);
    let values = (measures, Arrangement::any(), 1..5u64, 1..4usize);
    property(12, &values, |((seed, rows, inner, columns, sparse), arrangement, bands, reducers)| {
        let a = Matrix { seed, rows, columns: inner, sparse }.elements();
        let b = Matrix { seed: seed ^ 1, rows: inner, columns, sparse }.elements();
        let mut groups = BTreeMap::<(u64, u64), String>::new();
        for row in 0..rows {
            for column in 0..columns {
                let products = (0..inner).filter_map(|at| Some(a.get(&(row, at))? * b.get(&(at, column))?));
                let sum = products.fold(0.0, |sum, product| sum + product);
                if sum != 0.0 {
                    let group = groups.entry((row % bands, column % bands)).or_default();
                    group.push_str(&format!("{row}\t{column}\t{sum}\n"));
                }
            }
        }
        let groups = groups.into_iter().map(|((row, column), lines)| {
            ([row.to_be_bytes(), column.to_be_bytes()].concat(), lines.into_bytes())
        });
        let (a, b) = (text(&a, seed), text(&b, seed));
        let args = format!("-p bands={bands} --reducers {reducers} {}", arrangement.args(a.len()));
        let job = Job::new("matrix-multiply").file("in/a", &a).file("in/b", &b).args(&args);
        job.reads(&["a=in/a", "b=in/b"]).check(&parts(groups, reducers));
    });
}

#[test]
fn what_cannot_be_multiplied_is_told() {
    let job = |a: &str, args: &str| {
        let job = Job::new("matrix-multiply").file("in/a", a).file("in/b", "0\t0\t2\n").args(args);
        job.args("--reducers 1").reads(&["a=in/a", "b=in/b"])
    };
    job("0\t0\t1\n1\t0\t1\n", "-p bands=1 -p elements=2").fails(6, &["more than elements=2 elements"]);
    job("0\t0\t1\n", "-p bands=0").fails(6, &["parameter bands is at least 1"]);
    let done = job("0\t0\t0.5\n0 0 1\n", "--max-rejects 1").check_whole(b"0\t0\t1\n");
    assert_eq!(done.rejects.len(), 1);
    Job::new("matrix-multiply").input("0\t0\t1\n").fails(6, &["inputs are named a and b, not \"\""]);
}
