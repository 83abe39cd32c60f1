//! The exported functions: they keep a role's driver between the calls of a task, and see to it
//! that a panic leaves a message before it traps.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::thread::LocalKey;

pub use crate::bindings::{combiner, mapper, partitioner, plugin, reducer};
use crate::current;
use crate::describe::Description;
pub use crate::driver::{Answer, CombineDriver, MapDriver, PartitionDriver, ReduceDriver};
pub use crate::export_role;
use crate::host::{self, Level};
pub use crate::wire::{Batch, Column, GroupedBatch, TaskContext};
use crate::wire::{Error, ErrorKind};

/// Keeps a driver from one exported call to the next.
pub type Slot<D> = RefCell<Option<D>>;

/// Begins a task.
pub fn open<D>(
    slot: &'static LocalKey<Slot<D>>,
    context: TaskContext,
    open: impl FnOnce(TaskContext) -> Answer<D>,
) -> Answer {
    std::panic::set_hook(Box::new(report));
    let driver = open(context)?;
    slot.set(Some(driver));
    Ok(())
}

/// Goes on with the task.
pub fn work<D, T>(slot: &'static LocalKey<Slot<D>>, work: impl FnOnce(&mut D) -> Answer<T>) -> Answer<T> {
    slot.with_borrow_mut(|driver| work(driver.as_mut().ok_or_else(not_open)?))
}

/// Ends the task.
pub fn close<D>(slot: &'static LocalKey<Slot<D>>, close: impl FnOnce(D) -> Answer) -> Answer {
    close(slot.take().ok_or_else(not_open)?)
}

/// The description as it crosses the boundary.
pub fn info(description: Description) -> plugin::exports::mr::engine::plugin::Info {
    let Description { name, version, sdk, attributes } = description;
    plugin::exports::mr::engine::plugin::Info { name, version, sdk, attributes }
}

fn not_open() -> Error {
    Error { kind: ErrorKind::Fatal, message: "called before open".into(), row: None }
}

/// A panic is a trap, and a trap has no words: they go to the log ahead of it, with the record.
fn report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let mut text = match panic.location() {
        Some(place) => format!("panicked at {}:{}: {message}", place.file(), place.line()),
        None => format!("panicked: {message}"),
    };
    let record = current::describe();
    if !record.is_empty() {
        text = format!("{text}; {record}");
    }
    host::log(Level::Error, &text);
}

/// Implements one role's exports for a type of the plugin's crate.
#[doc(hidden)]
#[macro_export]
macro_rules! export_role {
    (@lifecycle $driver:ty) => {
        fn open(context: sandbox::TaskContext) -> sandbox::Answer {
            sandbox::open(&SLOT, context, <$driver>::open)
        }
    };
    (@close $driver:ty) => {
        fn close() -> sandbox::Answer {
            sandbox::close(&SLOT, <$driver>::close)
        }
    };
    ($plugin:ident, mapper, $driver:ty) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: sandbox::Slot<$driver> = const { sandbox::Slot::new(None) };
            }
            impl sandbox::mapper::exports::mr::engine::mapper::Guest for $plugin {
                $crate::export_role!(@lifecycle $driver);
                $crate::export_role!(@close $driver);
                fn map_batch(batch: sandbox::Batch) -> sandbox::Answer {
                    sandbox::work(&SLOT, |driver| driver.map_batch(&batch))
                }
            }
    sandbox::mapper::export_mapper!($plugin with_types_in $crate::sandbox::mapper);
        };
    };
    ($plugin:ident, combiner, $driver:ty) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: sandbox::Slot<$driver> = const { sandbox::Slot::new(None) };
            }
            impl sandbox::combiner::exports::mr::engine::combiner::Guest for $plugin {
                $crate::export_role!(@lifecycle $driver);
                $crate::export_role!(@close $driver);
                fn combine_batch(batch: sandbox::GroupedBatch) -> sandbox::Answer {
                    sandbox::work(&SLOT, |driver| driver.combine_batch(&batch))
                }
            }
    sandbox::combiner::export_combiner!($plugin with_types_in $crate::sandbox::combiner);
        };
    };
    ($plugin:ident, reducer, $driver:ty) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: sandbox::Slot<$driver> = const { sandbox::Slot::new(None) };
            }
            impl sandbox::reducer::exports::mr::engine::reducer::Guest for $plugin {
                $crate::export_role!(@lifecycle $driver);
                $crate::export_role!(@close $driver);
                fn reduce_batch(batch: sandbox::GroupedBatch) -> sandbox::Answer {
                    sandbox::work(&SLOT, |driver| driver.reduce_batch(&batch))
                }
            }
    sandbox::reducer::export_reducer!($plugin with_types_in $crate::sandbox::reducer);
        };
    };
    ($plugin:ident, partitioner, $driver:ty) => {
        const _: () = {
            ::std::thread_local! {
                static SLOT: sandbox::Slot<$driver> = const { sandbox::Slot::new(None) };
            }
            impl sandbox::partitioner::exports::mr::engine::partitioner::Guest for $plugin {
                $crate::export_role!(@lifecycle $driver);
                fn partition_batch(rows: u32, keys: sandbox::Column) -> sandbox::Answer<Vec<u8>> {
                    sandbox::work(&SLOT, |driver| driver.partition_batch(rows, &keys))
                }
            }
    sandbox::partitioner::export_partitioner!($plugin with_types_in $crate::sandbox::partitioner);
        };
    };
}
