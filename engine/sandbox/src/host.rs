//! The imports of `world imports`: what a plugin calls. Every call is checked before anything is
//! done for it; a breach of the interface, or a failure of whoever takes the records, ends the
//! guest. The hot one, `output.emit`, reads the columns where they lie in guest memory.

use mr_model::Failure;
use mr_model::column::END_BYTES;
use mr_model::counter::CounterRefused;
use mr_model::limit::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, COUNTER_NAME_BYTES_MAX, COUNTERS_MAX, table};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::abi::{BatchIn, LevelIn, ValuesOut};
use crate::fault::Fault;
use crate::limits::Passed;
use crate::log::clean;
use crate::side::Part;
use crate::state::{Group, Purpose, Sink, State};

/// Version of `mr:engine` that this engine speaks.
pub(crate) const VERSION: &str = "0.1.0";

/// Name of an interface of `mr:engine` as components import and export it.
pub(crate) fn interface(name: &str) -> String {
    format!("mr:engine/{name}@{VERSION}")
}

/// Defines every function of `world imports`.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut output = linker.instance(&interface("output"))?;
    output.func_wrap("emit", |cx, (port, records)| Ok(emit(cx, port, &records)?))?;
    output.func_wrap("emit-partitioned", |cx, (records, partitions)| {
        Ok(emit_partitioned(cx, &records, &partitions)?)
    })?;
    output.func_wrap("reject", |cx, (row, reason)| reject(cx, row, &reason))?;
    let mut values = linker.instance(&interface("group-values"))?;
    values.func_wrap("next", |cx, ()| Ok((next_values(cx)?,)))?;
    let mut config = linker.instance(&interface("config"))?;
    config.func_wrap("get", |cx, (key,)| Ok((config_value(&cx, &key)?,)))?;
    config.func_wrap("get-all", |cx: StoreContextMut<'_, State>, ()| {
        cx.data().admit("config.get-all")?;
        Ok((cx.data().params.clone(),))
    })?;
    let mut counters = linker.instance(&interface("counters"))?;
    counters.func_wrap("add", |cx, (deltas,)| add_counters(cx, &deltas))?;
    let mut logging = linker.instance(&interface("logging"))?;
    logging.func_wrap("log", |cx: StoreContextMut<'_, State>, (level, message): (LevelIn, WasmStr)| {
        cx.data().log().message(level.into(), &message.to_str(&cx)?);
        Ok(())
    })?;
    link_side_input(linker)
}

fn link_side_input(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut side_input = linker.instance(&interface("side-input"))?;
    side_input.func_wrap("size", |cx: StoreContextMut<'_, State>, (name,): (WasmStr,)| {
        cx.data().admit("side-input.size")?;
        Ok((cx.data().sides.bytes(&name.to_str(&cx)?),))
    })?;
    side_input.func_wrap("read", |cx, (name, offset, len)| Ok((read_side(cx, &name, offset, len)?,)))
}

/// Something to read is a sign of progress, as input is: a loop at a file's end is none.
fn read_side(
    mut cx: StoreContextMut<'_, State>,
    name: &WasmStr,
    offset: u64,
    len: u32,
) -> wasmtime::Result<Part> {
    cx.data().admit("side-input.read")?;
    let part = cx.data().sides.part(&name.to_str(&cx)?, offset, len)?;
    if !part.is_empty() {
        cx.data_mut().progressed();
    }
    Ok(part)
}

fn emit(mut cx: StoreContextMut<'_, State>, port: u32, records: &BatchIn) -> Result<(), Fault> {
    cx.data().admit("output.emit")?;
    if port >= cx.data().ports {
        return Err(bad_port(port, cx.data().ports));
    }
    check_size(records)?;
    to_sink(&mut cx, "output.emit", |cx, sink| {
        let batch = records.view(cx).map_err(|bad| Fault::Contract(format!("it emitted a batch: {bad}")))?;
        cx.data().count_output(batch.bytes(), batch.rows())?;
        sink.emit(port, batch).map_err(Fault::Failure)
    })
}

#[cold]
fn bad_port(port: u32, ports: u32) -> Fault {
    let last = ports - 1;
    let there =
        if last == 0 { "there is only port 0".to_owned() } else { format!("ports go from 0 to {last}") };
    Fault::Contract(format!(
        "it emitted to port {port}; {there}: named outputs are those that the component declares as \"outputs\", and only \
         the last stage of a job has them, the reducer, or the mapper of a job without reducers"
    ))
}

fn emit_partitioned(
    mut cx: StoreContextMut<'_, State>,
    records: &BatchIn,
    partitions: &WasmList<u8>,
) -> Result<(), Fault> {
    check_size(records)?;
    to_sink(&mut cx, "output.emit-partitioned", |cx, sink| {
        let state = cx.data();
        if state.partitions == 0 || state.purpose != Purpose::Role(mr_model::Role::Mapper) {
            return Err(Fault::Contract("it emitted to partitions, which this output does not have".into()));
        }
        let count = state.partitions;
        let batch = records.view(cx).map_err(|bad| Fault::Contract(format!("it emitted a batch: {bad}")))?;
        let partitions = partitions.as_le_slice(cx);
        check_partitions(partitions, batch.rows(), count)?;
        state.count_output(batch.bytes(), batch.rows())?;
        sink.emit_partitioned(batch, partitions).map_err(Fault::Failure)
    })
}

fn reject(mut cx: StoreContextMut<'_, State>, row: u32, reason: &WasmStr) -> wasmtime::Result<()> {
    let reason = clean(&reason.to_str(&cx)?);
    to_sink(&mut cx, "output.reject", |cx, sink| {
        let rows = cx.data().input_rows;
        if row >= rows {
            return Err(Fault::Contract(format!("it rejected row {row} of an input of {rows} rows")));
        }
        sink.reject(row, &reason).map_err(Fault::Failure)
    })?;
    Ok(())
}

/// Runs `take` with the sink, which is out of the store meanwhile, so that it can read guest memory.
fn to_sink(
    cx: &mut StoreContextMut<'_, State>,
    import: &str,
    take: impl FnOnce(&StoreContextMut<'_, State>, &mut dyn Sink) -> Result<(), Fault>,
) -> Result<(), Fault> {
    cx.data().admit(import)?;
    let Some(mut sink) = cx.data_mut().sink.take() else {
        return Err(Fault::Contract(format!("it called {import}, but this role has no output")));
    };
    let taken = take(cx, sink.as_mut());
    let state = cx.data_mut();
    state.sink = Some(sink);
    state.progressed();
    taken
}

fn check_size(records: &BatchIn) -> Result<(), Fault> {
    let (rows, bytes) = (records.rows(), records.bytes());
    if bytes > BATCH_BYTES_MAX {
        return Err(Fault::Limit(Passed::new(&table::BATCH_SIZE, bytes, BATCH_BYTES_MAX)));
    }
    if rows > BATCH_ROWS_MAX {
        return Err(Fault::Limit(Passed::new(&table::BATCH_ROWS, rows.into(), BATCH_ROWS_MAX.into())));
    }
    Ok(())
}

/// Checks that there is one partition below `count` for each of `rows`.
pub(crate) fn check_partitions(partitions: &[u8], rows: u32, count: u32) -> Result<(), Fault> {
    let bytes = partitions.len();
    if bytes as u64 != u64::from(rows) * END_BYTES as u64 {
        return Err(Fault::Contract(format!("its partitions have {bytes} bytes for {rows} rows")));
    }
    let mut partitions = partitions.as_chunks::<END_BYTES>().0.iter().map(|p| u32::from_le_bytes(*p));
    match partitions.find(|partition| *partition >= count) {
        Some(bad) => Err(Fault::Contract(format!("it chose partition {bad}; there are {count}, from 0"))),
        None => Ok(()),
    }
}

fn next_values(mut cx: StoreContextMut<'_, State>) -> Result<Option<ValuesOut>, Fault> {
    let state = cx.data_mut();
    state.admit("group-values.next")?;
    match state.group {
        Group::Whole => {
            return Err(Fault::Contract(
                "it called group-values.next, but the last group of its batch does not go on".into(),
            ));
        }
        // The source has closed the group: it is not asked again.
        Group::Ended => return Ok(None),
        Group::GoesOn => {}
    }
    state.more_values.clear();
    let Some(more) = &mut state.more else {
        return Err(Failure::internal("a batch goes on where there is no source of values").into());
    };
    let found = more.next(&mut state.more_values)?;
    state.progressed();
    if !found {
        state.group = Group::Ended;
        return Ok(None);
    }
    Ok(Some(state.more_values.view().into()))
}

fn config_value(cx: &StoreContextMut<'_, State>, key: &WasmStr) -> wasmtime::Result<Option<String>> {
    let state = cx.data();
    state.admit("config.get")?;
    let key = key.to_str(cx)?;
    Ok(state.params.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone()))
}

fn refused_counter(refused: &CounterRefused) -> Fault {
    let passed = |limit, value: usize, cap: usize| Fault::Limit(Passed::new(limit, value as u64, cap as u64));
    match refused {
        CounterRefused::Count => passed(&table::COUNTERS, COUNTERS_MAX + 1, COUNTERS_MAX),
        CounterRefused::Long { bytes } => passed(&table::COUNTER_NAME_BYTES, *bytes, COUNTER_NAME_BYTES_MAX),
        CounterRefused::Name | CounterRefused::Reserved => Fault::Contract(refused.to_string()),
    }
}

fn add_counters(
    mut cx: StoreContextMut<'_, State>,
    deltas: &WasmList<(WasmStr, i64)>,
) -> wasmtime::Result<()> {
    cx.data().admit("counters.add")?;
    let mut counters = std::mem::take(&mut cx.data_mut().counters);
    for index in 0..deltas.len() {
        let Some(delta) = deltas.get(&mut cx, index) else { break };
        let (name, delta) = delta?;
        match counters.add(&name.to_str(&cx)?, delta) {
            Ok(()) => {}
            Err(refused) => return Err(refused_counter(&refused).into()),
        }
    }
    let state = cx.data_mut();
    state.counters = counters;
    state.progressed();
    Ok(())
}
