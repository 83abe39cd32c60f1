//! A guest that serves every role and does whatever the parameter `mode` says, most of it bad.

wit_bindgen::generate!({ path: "../../../../wit", world: "job", generate_all });

mod attack;
mod packed;
mod wasi;

use attack::attack;
use exports::mr::engine::{combiner, mapper, partitioner, plugin, reducer};
use mr::engine::types::{Batch, Column, Error, GroupedBatch, TaskContext};
use mr::engine::{config, counters, group_values, output};
use packed::{Packed, cells, pack};

struct Guest;

impl mapper::Guest for Guest {
    fn open(ctx: TaskContext) -> Result<(), Error> {
        open(&ctx)
    }

    fn map_batch(input: Batch) -> Result<(), Error> {
        work(&input.keys, &input.values, input.rows)
    }

    fn close() -> Result<(), Error> {
        attack(&mode("close"))
    }
}

impl combiner::Guest for Guest {
    fn open(ctx: TaskContext) -> Result<(), Error> {
        open(&ctx)
    }

    fn combine_batch(input: GroupedBatch) -> Result<(), Error> {
        attack(&mode("mode"))?;
        assert!(!input.more, "a combiner never sees a group that goes on");
        sum(&input);
        Ok(())
    }

    fn close() -> Result<(), Error> {
        attack(&mode("close"))
    }
}

impl reducer::Guest for Guest {
    fn open(ctx: TaskContext) -> Result<(), Error> {
        open(&ctx)
    }

    fn reduce_batch(input: GroupedBatch) -> Result<(), Error> {
        attack(&mode("mode"))?;
        sum(&input);
        Ok(())
    }

    fn close() -> Result<(), Error> {
        attack(&mode("close"))
    }
}

impl partitioner::Guest for Guest {
    fn open(ctx: TaskContext) -> Result<(), Error> {
        open(&ctx)
    }

    fn partition_batch(rows: u32, keys: Column) -> Result<Vec<u8>, Error> {
        let mode = mode("mode");
        attack(&mode)?;
        Ok(match mode.as_str() {
            "short-partitions" => vec![0; 4],
            "far-partition" => pack((0..rows).map(|row| row * 100)),
            // The length of the key, so that the test can tell.
            _ => pack(cells(&keys, rows).map(|key| key.len() as u32)),
        })
    }
}

impl plugin::Guest for Guest {
    fn describe() -> plugin::Info {
        plugin::Info {
            name: "hostile".into(),
            version: "1.2.3".into(),
            sdk: "none".into(),
            attributes: vec![
                ("map.key".into(), "text".into()),
                ("map.value".into(), "u64".into()),
                ("param.mode.help".into(), "what to do".into()),
            ],
        }
    }
}

fn mode(name: &str) -> String {
    config::get(name).unwrap_or_default()
}

fn open(ctx: &TaskContext) -> Result<(), Error> {
    if mode("mode") == "context" {
        let text = format!(
            "{} {} {} {} {} {} {} {:?} {:?}",
            ctx.job_id,
            ctx.stage,
            ctx.task,
            ctx.attempt,
            ctx.partitions,
            ctx.seed,
            ctx.batch_bytes,
            ctx.outputs,
            config::get_all()
        );
        emit_one(b"context", text.as_bytes());
    }
    attack(&mode("open"))
}

/// Maps: emits every record as it came, unless the mode says otherwise.
fn work(keys: &Column, values: &Column, rows: u32) -> Result<(), Error> {
    let mode = mode("mode");
    attack(&mode)?;
    match mode.as_str() {
        "echo-in-place" => {
            let copy = |column: &Column| Column {
                width: column.width,
                ends: column.ends.clone(),
                data: column.data.clone(),
            };
            output::emit(0, &Batch { rows, keys: copy(keys), values: copy(values) });
        }
        "fixed" => {
            let column = |width, byte| Column { width, ends: vec![], data: vec![byte; 2 * width as usize] };
            output::emit(0, &Batch { rows: 2, keys: column(3, b'k'), values: column(0, b'v') });
        }
        "partitioned" => {
            let mut out = Packed::default();
            cells(keys, rows).zip(cells(values, rows)).for_each(|(key, value)| out.push(key, value));
            output::emit_partitioned(&out.batch(), &pack((0..rows).map(|row| row % 4)));
        }
        "reject-odd" => (0..rows).filter(|row| row % 2 == 1).for_each(|row| output::reject(row, "odd")),
        "pairs" => emit_pairs(),
        _ => {
            let mut out = Packed::default();
            for (key, value) in cells(keys, rows).zip(cells(values, rows)) {
                out.push(key, value);
            }
            output::emit(0, &out.batch());
            counters::add(&[("rows".into(), i64::from(rows)), ("batches".into(), 1)]);
        }
    }
    Ok(())
}

/// Emits ten batches of 10,000 small pairs, for measuring.
fn emit_pairs() {
    let mut out = Packed::default();
    for batch in 0..10u64 {
        out.clear();
        for pair in 0..10_000u64 {
            out.push(&(batch ^ pair).to_be_bytes()[2..], &1u64.to_be_bytes());
        }
        output::emit(0, &out.batch());
    }
}

/// Emits for every group the sum of its values' lengths, the rest of a long group included.
fn sum(input: &GroupedBatch) {
    let mut out = Packed::default();
    let mut values = cells(&input.values, input.rows);
    let mut start = 0;
    for (group, key) in cells(&input.keys, input.groups).enumerate() {
        let end = u32::from_le_bytes(input.ends[4 * group..4 * group + 4].try_into().unwrap());
        let mut sum: usize = values.by_ref().take((end - start) as usize).map(<[u8]>::len).sum();
        start = end;
        if input.more && group + 1 == input.groups as usize {
            while let Some(more) = group_values::next() {
                sum += cells(&more.cells, more.rows).map(<[u8]>::len).sum::<usize>();
            }
            assert!(group_values::next().is_none(), "an ended group stays ended");
        }
        out.push(key, sum.to_string().as_bytes());
    }
    output::emit(0, &out.batch());
}

fn emit_one(key: &[u8], value: &[u8]) {
    let mut out = Packed::default();
    out.push(key, value);
    output::emit(0, &out.batch());
}

export!(Guest);
