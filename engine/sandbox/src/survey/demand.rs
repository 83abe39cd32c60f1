//! What one instance of a component takes when it starts: linear memory, tables, core instances, as its
//! definitions say. A module that is instantiated twice counts twice, and so does a component. What comes
//! in through an import counts as nothing: the engine offers no modules.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    Encoding, Instance, Payload, Result,
};

/// What starting takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// Linear memory, in bytes.
    pub memory_bytes: u64,
    /// Linear memories.
    pub memories: u64,
    /// Elements of all tables.
    pub table_elements: u64,
    /// Tables.
    pub tables: u64,
    /// Core instances.
    pub instances: u64,
}

impl Demand {
    fn add(&mut self, other: Demand) {
        let Demand { memory_bytes, memories, table_elements, tables, instances } = other;
        // Nested components can multiply beyond any number.
        for (sum, more) in [
            (&mut self.memory_bytes, memory_bytes),
            (&mut self.memories, memories),
            (&mut self.table_elements, table_elements),
            (&mut self.tables, tables),
            (&mut self.instances, instances),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A module or component that is being read, with what it can instantiate.
struct Frame {
    is_module: bool,
    demand: Demand,
    modules: Vec<Demand>,
    components: Vec<Demand>,
}

/// Adds up while a component is read, one payload after the other.
#[derive(Default)]
pub(super) struct Tally {
    frames: Vec<Frame>,
    total: Option<Demand>,
}

impl Tally {
    /// True while the outermost component itself is read, and nothing in it.
    pub(super) fn is_outermost(&self) -> bool {
        self.frames.len() == 1
    }

    /// The sum, once the outermost component has ended.
    pub(super) fn total(&self) -> Option<Demand> {
        self.total
    }

    /// Takes what is read next.
    pub(super) fn take(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_module = *encoding == Encoding::Module;
                // An instance of a module is one instance, whatever is in it.
                let demand = Demand { instances: u64::from(is_module), ..Demand::default() };
                self.frames.push(Frame { is_module, demand, modules: Vec::new(), components: Vec::new() });
            }
            Payload::End(_) => self.end(),
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?);
                }
            }
            payload => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.take(payload)?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        let Some(Frame { is_module, demand, .. }) = self.frames.pop() else { return };
        match self.frames.last_mut() {
            Some(outer) if is_module => outer.modules.push(demand),
            Some(outer) => outer.components.push(demand),
            None => self.total = Some(demand),
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        let mut unknown = None;
        let found = match alias {
            ComponentAlias::Outer { kind, count, index } => {
                let frame = self.frames.iter().rev().nth(*count as usize);
                let at = |demands: &Vec<Demand>| demands.get(*index as usize).copied().unwrap_or_default();
                match kind {
                    ComponentOuterAliasKind::CoreModule => frame.map(|frame| (true, at(&frame.modules))),
                    ComponentOuterAliasKind::Component => frame.map(|frame| (false, at(&frame.components))),
                    _ => None,
                }
            }
            ComponentAlias::InstanceExport { kind, .. } => {
                unknown = Some(kind);
                None
            }
            ComponentAlias::CoreInstanceExport { .. } => None,
        };
        let Some(frame) = self.frames.last_mut() else { return };
        match (found, unknown) {
            (Some((true, demand)), _) => frame.modules.push(demand),
            (Some((false, demand)), _) => frame.components.push(demand),
            (None, Some(kind)) => frame.import(*kind),
            (None, None) => {}
        }
    }
}

impl Frame {
    fn take(&mut self, payload: &Payload<'_>) -> Result<()> {
        match payload {
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    let memory = memory?;
                    let bytes = memory.initial.saturating_mul(1u64 << memory.page_size_log2().min(32));
                    self.demand.add(Demand { memory_bytes: bytes, memories: 1, ..Demand::default() });
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    let elements = table?.ty.initial;
                    self.demand.add(Demand { table_elements: elements, tables: 1, ..Demand::default() });
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.demand.add(self.modules.get(module_index as usize).copied().unwrap_or_default());
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        let demand = self.components.get(component_index as usize).copied();
                        self.demand.add(demand.unwrap_or_default());
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.import(ComponentExternalKind::Module),
                        ComponentTypeRef::Component(_) => self.import(ComponentExternalKind::Component),
                        _ => {}
                    }
                }
            }
            // What is exported gets another number, too.
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    let again = |demands: &mut Vec<Demand>| {
                        demands.push(demands.get(export.index as usize).copied().unwrap_or_default());
                    };
                    match export.kind {
                        ComponentExternalKind::Module => again(&mut self.modules),
                        ComponentExternalKind::Component => again(&mut self.components),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A module or component that comes from outside gets a number.
    fn import(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(Demand::default()),
            ComponentExternalKind::Component => self.components.push(Demand::default()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::Parser;

    use super::*;

    fn demand(text: &str) -> Demand {
        let bytes = wat::parse_str(text).unwrap();
        let mut tally = Tally::default();
        for payload in Parser::new(0).parse_all(&bytes) {
            tally.take(&payload.unwrap()).unwrap();
        }
        tally.total().unwrap()
    }

    #[test]
    fn what_is_instantiated_counts_as_often() {
        let module = "(core module $m (memory 2) (memory 1) (table 5 funcref) (table 6 externref))";
        assert_eq!(demand(&format!("(component {module})")), Demand::default());
        let once = Demand { memory_bytes: 3 << 16, memories: 2, table_elements: 11, tables: 2, instances: 1 };
        assert_eq!(demand(&format!("(component {module} (core instance (instantiate $m)))")), once);
        let nested = format!(
            "(component $top {module} (component $c
                (alias outer $top $m (core module $m))
                (core instance (instantiate $m)) (core instance (instantiate $m)))
              (component $d (alias outer $top $c (component $c)) (instance (instantiate $c)))
              (instance (instantiate $c)) (instance (instantiate $d)))"
        );
        let four =
            Demand { memory_bytes: 12 << 16, memories: 8, table_elements: 44, tables: 8, instances: 4 };
        assert_eq!(demand(&nested), four);
    }

    /// 2^70 instances: the sum stays at its end rather than beginning again.
    #[test]
    fn sums_do_not_wrap() {
        let mut text =
            String::from("(component $c0 (core module $m (memory 1)) (core instance (instantiate $m)))");
        for level in 1..=70 {
            let below = level - 1;
            let inner =
                format!("{text}(instance (instantiate $c{below})) (instance (instantiate $c{below}))");
            text = format!("(component $c{level} {inner})");
        }
        assert_eq!(demand(&text).instances, u64::MAX);
    }
}
