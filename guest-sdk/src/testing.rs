//! Runs a plugin in an ordinary test: the same code as in the sandbox, with stand-ins for the
//! engine. Batches are small and groups are cut, so that a few lines of input meet what a big job
//! meets.
//!
//! ```
//! use guest_sdk::prelude::*;
//! use guest_sdk::testing::Test;
//!
//! # struct Words;
//! # impl Mapper for Words {
//! #     type Input = Lines;
//! #     type Output = Emitter<Text, u64>;
//! #     fn setup(_: &Task) -> Result<Self> { Ok(Words) }
//! #     fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
//! #         line.words().for_each(|word| out.emit(word, 1));
//! #         Ok(())
//! #     }
//! # }
//! type Total = Folding<Text, u64, Sum>;
//!
//! let run = Test::new().job::<Words, Total>("to be\nor not to be\n")?;
//! assert_eq!(run.text(), "be\t2\nnot\t1\nor\t1\nto\t2\n");
//! # Ok::<(), Error>(())
//! ```

mod pack;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use crate::datatype::{DataType, Owned, Text};
use crate::driver::{Answer, CombineDriver, MapDriver, PartitionDriver, ReduceDriver};
use crate::emitter::Output;
use crate::encode::Encode;
use crate::error::{Error, Result};
use crate::host::{self, Level, Said};
use crate::input::Input;
use crate::param::Param;
use crate::port::{AnyPort, Port};
use crate::role::{Combiner, Mapper, Partitioner, Reducer};
use crate::wire::{Batch, TaskContext};

use self::pack::{Cell, Groups, cell, chunks, count, group, group_by_prefix, pack, pack_groups};

/// Bytes that output batches aim for.
const BATCH_BYTES: u32 = 128;
/// Records, groups, and values of one group in an input batch.
const BATCH_ROWS: usize = 3;

/// A test run in the making: parameters and side inputs.
#[derive(Debug, Clone, Default)]
pub struct Test {
    params: Vec<(String, String)>,
    side_inputs: BTreeMap<String, Vec<u8>>,
}

/// What came of a run: records of types `K` and `V`, and all that was said besides.
#[derive(Debug, Clone)]
pub struct Outcome<K, V> {
    cells: Vec<(Cell, Cell)>,
    /// Records of named outputs, by name.
    named: BTreeMap<&'static str, Vec<(Cell, Cell)>>,
    /// Counters by name.
    pub counters: BTreeMap<String, i64>,
    /// Rejected rows, with the reasons.
    pub rejects: Vec<(u32, String)>,
    /// The log.
    pub log: Vec<(Level, String)>,
    types: PhantomData<fn(K, V)>,
}

/// Outcome of a mapper.
pub type Mapped<M> =
    Outcome<<<M as Mapper>::Output as Output>::Key, <<M as Mapper>::Output as Output>::Value>;
/// Outcome of a reducer.
pub type Reduced<R> =
    Outcome<<<R as Reducer>::Output as Output>::Key, <<R as Reducer>::Output as Output>::Value>;

impl Test {
    /// A run without parameters. Those that a role declares have their defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a parameter.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// Ships a file with the job.
    #[must_use]
    pub fn side_input(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.side_inputs.insert(name.into(), bytes.into());
        self
    }

    /// Maps the lines of a text.
    pub fn map<M: Mapper>(&self, text: &str) -> Result<Mapped<M>> {
        self.map_files::<M>(&[("input", text)])
    }

    /// Maps the lines of files, given as paths and texts.
    pub fn map_files<M: Mapper>(&self, files: &[(&str, &str)]) -> Result<Mapped<M>> {
        let with_path = M::Input::attributes().contains(&("map.input-key", "path-offset".into()));
        let mut rows = Vec::new();
        for (path, text) in files {
            for (offset, chunk) in chunks(text.as_bytes()) {
                let key =
                    if with_path { cell::<(Text, u64)>(&(*path, offset)) } else { cell::<u64>(&offset) };
                rows.push((key, chunk.to_vec()));
            }
        }
        self.map_cells::<M>(&rows, None)
    }

    /// Maps records with keys of type `K` and values of type `V`.
    pub fn map_records<M, K, V>(&self, records: &[(impl Encode<K>, impl Encode<V>)]) -> Result<Mapped<M>>
    where
        M: Mapper<Input = crate::input::Records<K, V>>,
        K: DataType,
        V: DataType,
    {
        let rows: Vec<_> = records.iter().map(|(key, value)| (cell(key), cell(value))).collect();
        self.map_cells::<M>(&rows, Some((K::WIDTH, V::WIDTH)))
    }

    /// Combines groups, given as keys and values in key order.
    pub fn combine<C: Combiner>(
        &self,
        groups: &[(impl Encode<C::Key>, &[impl Encode<C::Value>])],
    ) -> Result<Outcome<C::Key, C::Value>> {
        let groups = groups.iter().map(|(key, values)| (cell(key), values.iter().map(cell).collect()));
        self.combine_cells::<C>(groups.collect())
    }

    /// Reduces groups, given as keys and values in key order.
    pub fn reduce<R: Reducer>(
        &self,
        groups: &[(impl Encode<R::Key>, &[impl Encode<R::Value>])],
    ) -> Result<Reduced<R>> {
        let groups = groups.iter().map(|(key, values)| (cell(key), values.iter().map(cell).collect()));
        self.reduce_cells::<R>(groups.collect())
    }

    /// The partitions of keys.
    pub fn partition<P: Partitioner>(
        &self,
        keys: &[impl Encode<P::Key>],
        partitions: u32,
    ) -> Result<Vec<u32>> {
        self.start(P::PARAMS)?;
        let cells: Vec<Cell> = keys.iter().map(cell).collect();
        let context = TaskContext { partitions, ..TaskContext::default() };
        let answer = PartitionDriver::<P>::open(context).and_then(|mut driver| {
            driver.partition_batch(count(cells.len()), &pack(cells.iter(), P::Key::WIDTH))
        });
        let packed = answer.map_err(Error::from_wire)?;
        Ok(packed.as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect())
    }

    /// Runs a whole job on the lines of a text: the records of all partitions, in key order.
    pub fn job<M: Mapper, R: Reducer>(&self, text: &str) -> Result<Reduced<R>> {
        self.job_files::<M, R>(&[("input", text)])
    }

    /// Runs a whole job on files, given as paths and texts.
    pub fn job_files<M: Mapper, R: Reducer>(&self, files: &[(&str, &str)]) -> Result<Reduced<R>> {
        let mapped = self.map_files::<M>(files)?;
        let mut reduced = self.reduce_cells::<R>(reduce_groups::<R>(mapped.cells.clone()))?;
        reduced.add_said(mapped);
        Ok(reduced)
    }

    /// Runs a whole job with a combiner, which sees parts of what the mapper emits, and then what
    /// it made of them.
    pub fn combined_job<M: Mapper, C: Combiner, R: Reducer>(&self, text: &str) -> Result<Reduced<R>> {
        let mapped = self.map::<M>(text)?;
        let mut once = Vec::new();
        for part in mapped.cells.chunks(BATCH_ROWS * 2) {
            once.extend(self.combine_cells::<C>(group(part.to_vec()))?.cells);
        }
        let twice = self.combine_cells::<C>(group(once))?;
        let mut reduced = self.reduce_cells::<R>(reduce_groups::<R>(twice.cells.clone()))?;
        reduced.add_said(twice);
        reduced.add_said(mapped);
        Ok(reduced)
    }

    /// Widths are those of the rows; none for text.
    fn map_cells<M: Mapper>(
        &self,
        rows: &[(Cell, Cell)],
        widths: Option<(Option<usize>, Option<usize>)>,
    ) -> Result<Mapped<M>> {
        self.start(M::PARAMS)?;
        let (key_width, value_width) = widths.unwrap_or_default();
        self.run(
            M::OUTPUTS,
            MapDriver::<M>::open,
            |driver| {
                for rows in rows.chunks(BATCH_ROWS) {
                    driver.map_batch(&Batch {
                        rows: count(rows.len()),
                        keys: pack(rows.iter().map(|(key, _)| key), key_width),
                        values: pack(rows.iter().map(|(_, value)| value), value_width),
                    })?;
                }
                Ok(())
            },
            MapDriver::close,
        )
    }

    fn combine_cells<C: Combiner>(&self, groups: Groups) -> Result<Outcome<C::Key, C::Value>> {
        self.start(C::PARAMS)?;
        self.run(
            &[],
            CombineDriver::<C>::open,
            |driver| {
                for groups in groups.chunks(BATCH_ROWS) {
                    driver.combine_batch(&pack_groups::<C::Key, C::Value>(groups, usize::MAX).0)?;
                }
                Ok(())
            },
            CombineDriver::close,
        )
    }

    fn reduce_cells<R: Reducer>(&self, groups: Groups) -> Result<Reduced<R>> {
        self.start(R::PARAMS)?;
        self.run(
            R::OUTPUTS,
            ReduceDriver::<R>::open,
            |driver| {
                // A group that goes on is the last of its batch.
                let long = |group: &(Cell, Vec<Cell>)| group.1.len() > BATCH_ROWS;
                for groups in
                    groups.chunk_by(|before, _| !long(before)).flat_map(|groups| groups.chunks(BATCH_ROWS))
                {
                    let (batch, rest) = pack_groups::<R::Key, R::Value>(groups, BATCH_ROWS);
                    host::set_group_rest(rest);
                    driver.reduce_batch(&batch)?;
                    assert_eq!(host::next_values(), None, "a group was left before its end");
                }
                Ok(())
            },
            ReduceDriver::close,
        )
    }

    fn run<D, K, V>(
        &self,
        ports: &[&'static dyn AnyPort],
        open: impl FnOnce(TaskContext) -> Answer<D>,
        work: impl FnOnce(&mut D) -> Answer,
        close: impl FnOnce(D) -> Answer,
    ) -> Result<Outcome<K, V>> {
        let outputs = std::iter::once("main").chain(ports.iter().map(|port| port.name()));
        let context = TaskContext {
            job_id: "test".into(),
            batch_bytes: BATCH_BYTES,
            outputs: outputs.map(str::to_owned).collect(),
            ..TaskContext::default()
        };
        let answer = open(context).and_then(|mut driver| {
            work(&mut driver)?;
            close(driver)
        });
        answer.map_err(Error::from_wire)?;
        let (mut cells, mut named) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        let cells_of = |batch: Batch| -> Vec<(Cell, Cell)> {
            batch.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
        };
        while let Some(batch) = host::emitted() {
            cells.extend(cells_of(batch));
        }
        for (port, batch) in host::emitted_to() {
            let port = ports[port as usize - 1];
            named.entry(port.name()).or_default().extend(cells_of(batch));
        }
        let Said { counters, rejects, log } = host::take_said();
        Ok(Outcome { cells, named, counters, rejects, log, types: PhantomData })
    }

    /// Begins a task as the engine does: a required parameter must be set, others have defaults.
    fn start(&self, declared: &[Param]) -> Result {
        let mut params = self.params.clone();
        for param in declared {
            if params.iter().any(|(name, _)| name == param.name) {
                continue;
            }
            if param.required {
                return Err(Error::fatal(format!("parameter {} is required", param.name)));
            }
            params.extend(param.default.map(|value| (param.name.into(), value.into())));
        }
        host::start(params, self.side_inputs.clone());
        Ok(())
    }
}

impl<K: DataType, V: DataType> Outcome<K, V> {
    /// The records, in the order in which they were emitted.
    ///
    /// # Errors
    /// Where a record is not of its type, which is a fault of an own [`Encode`].
    pub fn records(&self) -> Result<Vec<(Owned<K>, Owned<V>)>> {
        decoded::<K, V>(&self.cells)
    }

    /// The records of a named output, in the order in which they were emitted.
    ///
    /// # Errors
    /// Where a record is not of its type, which is a fault of an own [`Encode`].
    pub fn output<K2: DataType, V2: DataType>(
        &self,
        port: &Port<K2, V2>,
    ) -> Result<Vec<(Owned<K2>, Owned<V2>)>> {
        decoded::<K2, V2>(self.named.get(port.name()).map_or(&[], Vec::as_slice))
    }

    /// The records as the engine writes them to text: key, tab, value, newline.
    ///
    /// # Panics
    /// Where a record is not of its type, which is a fault of an own [`Encode`].
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        for (key, value) in &self.cells {
            let sides = [rendered::<K>(key), rendered::<V>(value)];
            text.extend(sides.into_iter().flatten().collect::<Vec<_>>().join(&b'\t'));
            text.push(b'\n');
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn add_said<K2, V2>(&mut self, earlier: Outcome<K2, V2>) {
        for (name, delta) in earlier.counters {
            *self.counters.entry(name).or_default() += delta;
        }
        self.rejects.splice(0..0, earlier.rejects);
        self.log.splice(0..0, earlier.log);
    }
}

fn decoded<K: DataType, V: DataType>(cells: &[(Cell, Cell)]) -> Result<Vec<(Owned<K>, Owned<V>)>> {
    let decode = |(key, value): &(Cell, Cell)| -> Result<_> {
        Ok((K::to_owned(K::decode(key)?), V::to_owned(V::decode(value)?)))
    };
    cells.iter().map(decode).collect()
}

/// A side of a record as text; none for a unit, which text output leaves out.
#[expect(clippy::panic, reason = "documented, and this is test support")]
fn rendered<D: DataType>(cell: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match D::decode(cell) {
        Ok(view) => D::render(&view, &mut out),
        Err(malformed) => panic!("{malformed}"),
    }
    (D::name() != "unit").then_some(out)
}

/// The groups that a reducer is given.
fn reduce_groups<R: Reducer>(records: Vec<(Cell, Cell)>) -> Groups {
    let groups = group(records);
    if R::GROUP_PREFIX == 0 { groups } else { group_by_prefix::<R::Key>(groups) }
}
