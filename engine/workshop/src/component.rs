//! A core module becomes a component of a project's world: what `wasm-tools component embed` and `new` do, as a
//! library.

use mr_model::Role;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::world::resolve;

/// Section in which a module says its interface; generated bindings bring one along.
const TYPE_SECTION: &[u8] = b"component-type";

/// The component of a core module with these roles.
///
/// # Errors
/// A sentence: the module lacks an export of its world, imports what there is not, or is malformed.
pub fn componentize(core: &[u8], roles: &[Role], adapter: bool) -> Result<Vec<u8>, String> {
    let failed = |error: anyhow::Error| sentence(&format!("{error:#}"));
    let mut module = core.to_vec();
    if !core.windows(TYPE_SECTION.len()).any(|bytes| bytes == TYPE_SECTION) {
        let (resolve, world) = resolve(roles)?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(failed)?;
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(&module).map_err(failed)?;
    if adapter {
        let (name, bytes) = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
        encoder.adapter(name, bytes).map_err(failed)?;
    }
    encoder.encode().map_err(failed)
}

/// An error that spans lines, in one.
fn sentence(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_its_exports_is_told_so() {
        let said = componentize(b"\0asm\x01\0\0\0", &[Role::Mapper], false).unwrap_err();
        assert!(said.contains("mapper"), "{said}");
        assert!(componentize(b"no module", &[Role::Mapper], true).is_err());
    }
}
