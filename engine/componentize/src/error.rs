//! What can go wrong between a core module and a component, in words for the plugin's author.

use std::path::PathBuf;

/// Why no component or no bindings were made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// The interface cannot be parsed, or has no such world.
    #[error("the interface in {} has no usable world {world}: {why}", dir.display())]
    World {
        /// Folder of the interface.
        dir: PathBuf,
        /// Name of the world.
        world: String,
        /// What the parser said.
        why: String,
    },
    /// What the compiler wrote is no WebAssembly module.
    #[error("{} is not a WebAssembly module: {why}", path.display())]
    NotModule {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        why: String,
    },
    /// A role is asked for that the code does not implement.
    #[error("the plugin is to have the role {role}, but its code does not implement {function}")]
    RoleMissing {
        /// Name of the role.
        role: String,
        /// Name of the exported function.
        function: String,
    },
    /// The code implements a role that nobody asked for.
    #[error(
        "the code implements the role {role}, which is not among the roles of the plugin: add it there, or remove the code"
    )]
    RoleUnlisted {
        /// Name of the role.
        role: String,
    },
    /// The module needs WASI, and is to be built without it.
    #[error(
        "the code calls {function} of WASI, and plugins of this kind are built without it: it has no files, clock or output of its own"
    )]
    WasiRefused {
        /// Name of the imported function.
        function: String,
    },
    /// The module needs something that no engine gives it.
    #[error(
        "the code needs a function {function} of {module:?}, which is neither in the program nor in the plugin interface"
    )]
    Unknown {
        /// Module that it is imported from.
        module: String,
        /// Name of the imported function.
        function: String,
    },
    /// The module does not fit the interface.
    #[error("{} does not become a component: {why}", path.display())]
    Encode {
        /// The module.
        path: PathBuf,
        /// What the encoder said.
        why: String,
    },
}
