//! Named outputs: files beside those of the main output, each with records of types of its own. One is declared
//! as a constant, listed in `OUTPUTS` of the role that writes it, and opened in `setup`.

use std::fmt;
use std::marker::PhantomData;

use crate::datatype::DataType;
use crate::emitter::{Emitter, Output};
use crate::encode::Encode;
use crate::error::{Error, Result};
use crate::wire::TaskContext;

/// A named output with keys of type `K` and values of type `V`.
///
/// Only the last stage of a job writes files: its reducer, or its mapper where there is none.
///
/// ```
/// use guest_sdk::prelude::*;
///
/// const LONG: Port<Text, u64> = Port::new("long");
///
/// struct Sort {
///     long: PortEmitter<Text, u64>,
/// }
///
/// impl Mapper for Sort {
///     type Input = Lines;
///     type Output = Emitter<Text, ()>;
///
///     const OUTPUTS: &'static [&'static dyn AnyPort] = &[&LONG];
///
///     fn setup(task: &Task) -> Result<Self> {
///         Ok(Self { long: task.output(&LONG)? })
///     }
///
///     fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
///         match line.len() {
///             0..80 => out.emit(line, ()),
///             length => self.long.emit(line, length as u64),
///         }
///         Ok(())
///     }
/// }
/// # let run = guest_sdk::testing::Test::new().map::<Sort>(&format!("short\n{}\n", "x".repeat(99)))?;
/// # assert_eq!((run.text().as_str(), run.output(&LONG)?), ("short\n", vec![("x".repeat(99).as_str().into(), 99)]));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Port<K, V> {
    name: &'static str,
    types: PhantomData<fn(K, V)>,
}

impl<K: DataType, V: DataType> Port<K, V> {
    /// The output of this name, which is also that of its folder: `a-z`, `0-9`, `-` and `_`, a letter first.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }
}

/// A named output of any types.
pub trait AnyPort {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Types of its keys and values, as attributes.
    #[doc(hidden)]
    fn attributes(&self) -> [(String, String); 2];
}

impl<K: DataType, V: DataType> AnyPort for Port<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn attributes(&self) -> [(String, String); 2] {
        let named = |side: &str| format!("output.{}.{side}", self.name);
        [(named("key"), K::name()), (named("value"), V::name())]
    }
}

/// Emits records to a named output; what is still here when it is dropped, at the end of the task, is sent on.
pub struct PortEmitter<K: DataType, V: DataType>(Emitter<K, V>);

impl<K: DataType, V: DataType> PortEmitter<K, V> {
    /// Opens an output that the stage has.
    pub(crate) fn open(port: &Port<K, V>, context: &TaskContext) -> Result<Self> {
        let at = context.outputs.iter().position(|name| name == port.name);
        let Some(at) = at.and_then(|at| u32::try_from(at).ok()) else {
            return Err(Error::fatal(format!(
                "there is no output {} in this stage: list it in OUTPUTS, of the reducer, or of the mapper of a job \
                 without reducers",
                port.name
            )));
        };
        Ok(Self(Emitter::to_port(at, context.batch_bytes as usize)))
    }

    /// Emits a record.
    #[inline]
    pub fn emit(&mut self, key: impl Encode<K>, value: impl Encode<V>) {
        self.0.emit(key, value);
    }
}

impl<K: DataType, V: DataType> Drop for PortEmitter<K, V> {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl<K: DataType, V: DataType> fmt::Debug for PortEmitter<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortEmitter").finish_non_exhaustive()
    }
}
