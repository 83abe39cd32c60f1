//! What a plugin says of itself, taken from the types of its roles (`wit/ATTRIBUTES.md`).

use crate::datatype::DataType;
use crate::emitter::Output;
use crate::input::Input;
use crate::param::Param;
use crate::port::AnyPort;
use crate::role::{Combiner, Mapper, Partitioner, Reducer};

/// Name of this SDK, as plugins carry it.
const SDK: &str = concat!("guest-sdk-rust ", env!("CARGO_PKG_VERSION"));

/// The attribute that names the outputs beside the main one.
const OUTPUTS: &str = "outputs";

/// Self-description of a plugin. [`export!`](crate::export) builds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Name of the plugin.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// The SDK that it was built with.
    pub sdk: String,
    /// Facts by name, in no particular order.
    pub attributes: Vec<(String, String)>,
}

impl Description {
    /// A plugin without roles.
    pub fn new(name: &str, version: &str) -> Self {
        Self { name: name.into(), version: version.into(), sdk: SDK.into(), attributes: Vec::new() }
    }

    /// Adds a fact, in place of what was said by that name.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        match self.attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.attributes.push((name.into(), value)),
        }
        self
    }

    /// Adds what there is to know of a mapper.
    #[must_use]
    pub fn mapper<M: Mapper>(self) -> Self {
        let input = M::Input::attributes();
        input
            .into_iter()
            .fold(self, |description, (name, value)| description.attribute(name, value))
            .types::<<M::Output as Output>::Key, <M::Output as Output>::Value>("map")
            .params(M::PARAMS)
            .outputs(M::OUTPUTS)
    }

    /// Adds what there is to know of a combiner.
    #[must_use]
    pub fn combiner<C: Combiner>(self) -> Self {
        self.types::<C::Key, C::Value>("combine").params(C::PARAMS)
    }

    /// Adds what there is to know of a reducer.
    #[must_use]
    pub fn reducer<R: Reducer>(self) -> Self {
        let grouped = match R::GROUP_PREFIX {
            0 => self,
            elements => self.attribute("reduce.group", elements.to_string()),
        };
        grouped
            .types::<R::Key, R::Value>("reduce.in")
            .types::<<R::Output as Output>::Key, <R::Output as Output>::Value>("reduce")
            .params(R::PARAMS)
            .outputs(R::OUTPUTS)
    }

    /// Adds what there is to know of a partitioner.
    #[must_use]
    pub fn partitioner<P: Partitioner>(self) -> Self {
        self.attribute("partition.key", P::Key::name()).params(P::PARAMS)
    }

    fn types<K: DataType, V: DataType>(self, stage: &str) -> Self {
        self.attribute(&format!("{stage}.key"), K::name()).attribute(&format!("{stage}.value"), V::name())
    }

    /// Adds named outputs to those that are known.
    fn outputs(mut self, ports: &[&dyn AnyPort]) -> Self {
        for port in ports {
            let known =
                self.attributes.iter().find(|(name, _)| name == OUTPUTS).map(|(_, names)| names.as_str());
            let names = match known {
                Some(names) if names.split(',').any(|name| name == port.name()) => names.to_owned(),
                Some(names) => format!("{names},{}", port.name()),
                None => port.name().to_owned(),
            };
            let types = port.attributes().into_iter();
            self =
                types.fold(self.attribute(OUTPUTS, names), |all, (name, value)| all.attribute(&name, value));
        }
        self
    }

    fn params(self, params: &[Param]) -> Self {
        params
            .iter()
            .flat_map(Param::attributes)
            .fold(self, |description, (name, value)| description.attribute(&name, value))
    }
}
