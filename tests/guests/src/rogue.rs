//! What no SDK would do, written against the bare interface: a combiner that emits a key that it was
//! not given, and a partitioner that answers with a partition that there is not.
#![cfg(target_family = "wasm")]

mod bindings {
    wit_bindgen::generate!({
        inline: "
        package mr:rogue;
        world rogue {
            include mr:engine/imports@0.1.0;
            export mr:engine/combiner@0.1.0;
            export mr:engine/partitioner@0.1.0;
        }
    ",
        path: "../../wit",
        generate_all,
        pub_export_macro: true,
    });
}

use bindings::exports::mr::engine::{combiner, partitioner};
use bindings::mr::engine::output;
use bindings::mr::engine::types::{Batch, Column, Error, GroupedBatch, TaskContext};

struct Rogue;

impl combiner::Guest for Rogue {
    fn open(_: TaskContext) -> Result<(), Error> {
        Ok(())
    }

    fn combine_batch(_: GroupedBatch) -> Result<(), Error> {
        let column =
            |width: u32, byte: u8| Column { width, ends: Vec::new(), data: vec![byte; width as usize] };
        output::emit(0, &Batch { rows: 1, keys: column(10, b'?'), values: column(8, 0) });
        Ok(())
    }

    fn close() -> Result<(), Error> {
        Ok(())
    }
}

impl partitioner::Guest for Rogue {
    fn open(_: TaskContext) -> Result<(), Error> {
        Ok(())
    }

    fn partition_batch(rows: u32, _: Column) -> Result<Vec<u8>, Error> {
        Ok((0..rows).flat_map(|_| 1_000u32.to_le_bytes()).collect())
    }
}

bindings::export!(Rogue with_types_in bindings);
