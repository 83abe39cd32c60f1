//! A plugin that attacks the engine: it counts words in every role, and does what it was told where it was
//! told, see [`orders`]. Written against the bare interface, because an SDK would protect the engine.
//!
//! In reading order: [`orders`] (what, and where), [`greedy`], [`rude`], [`allocator`], [`curious`] (the attacks),
//! [`words`] (the honest part, and where it is dishonest), [`packed`].
#![cfg(target_family = "wasm")]

mod bindings {
    wit_bindgen::generate!({
        inline: "
        package mr:hostile;
        world hostile {
            include mr:engine/job@0.1.0;
            import wasi:random/random@0.2.6;
        }
        package wasi:random@0.2.6 {
            interface random {
                get-random-bytes: func(len: u64) -> list<u8>;
                get-random-u64: func() -> u64;
            }
        }
    ",
        path: "../../wit",
        generate_all,
        pub_export_macro: true,
    });
}

mod allocator;
mod curious;
mod greedy;
mod orders;
mod packed;
mod rude;
mod words;

use bindings::exports::mr::engine::{combiner, mapper, partitioner, plugin, reducer};
use bindings::mr::engine::types::{Batch, Column, Error, GroupedBatch, TaskContext};

struct Guest;

/// Does what is due at `place`, if anything.
fn attack(place: &str) -> Result<(), Error> {
    let due = orders::due(place);
    if due == "look-around" {
        curious::look_around();
    } else if !allocator::attack(&due) && !greedy::attack(&due)? {
        rude::attack(&due)?;
    }
    Ok(())
}

impl mapper::Guest for Guest {
    fn open(context: TaskContext) -> Result<(), Error> {
        words::remember(&context);
        attack("map-open")
    }

    fn map_batch(input: Batch) -> Result<(), Error> {
        attack("map")?;
        words::map(&input);
        Ok(())
    }

    fn close() -> Result<(), Error> {
        attack("map-close")
    }
}

impl combiner::Guest for Guest {
    fn open(_: TaskContext) -> Result<(), Error> {
        attack("combine-open")
    }

    fn combine_batch(input: GroupedBatch) -> Result<(), Error> {
        attack("combine")?;
        words::combine(&input);
        Ok(())
    }

    fn close() -> Result<(), Error> {
        attack("combine-close")
    }
}

impl reducer::Guest for Guest {
    fn open(_: TaskContext) -> Result<(), Error> {
        attack("reduce-open")
    }

    fn reduce_batch(input: GroupedBatch) -> Result<(), Error> {
        attack("reduce")?;
        words::reduce(&input);
        Ok(())
    }

    fn close() -> Result<(), Error> {
        attack("reduce-close")
    }
}

impl partitioner::Guest for Guest {
    fn open(context: TaskContext) -> Result<(), Error> {
        words::remember(&context);
        attack("partition-open")
    }

    fn partition_batch(rows: u32, keys: Column) -> Result<Vec<u8>, Error> {
        attack("partition")?;
        Ok(words::partition(rows, &keys))
    }
}

impl plugin::Guest for Guest {
    fn describe() -> plugin::Info {
        // There is no error to answer with.
        let _ = attack("describe");
        words::describe()
    }
}

bindings::export!(Guest with_types_in bindings);
