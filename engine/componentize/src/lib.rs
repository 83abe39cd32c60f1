//! Makes components of what compilers leave, for languages whose own tools stop before that.
//!
//! `mr-engine build` calls this, so that an author needs a compiler and nothing else: neither
//! `wasm-tools` nor `wit-bindgen` has to be installed.
//!
//! In reading order: [`World`], the interface that a plugin is built for; [`bindgen_c`], its C
//! bindings; [`componentize`], which turns a core module into a component of it.
//!
//! Must not know of projects, recipes or languages: those are the caller's.

mod bindgen;
mod component;
mod error;
mod module;
mod world;

pub use bindgen::bindgen_c;
pub use component::{Wasi, componentize};
pub use error::Error;
pub use world::World;
