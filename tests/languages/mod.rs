//! Plugins in other languages than Rust, from nothing: toolchains are installed into `target/toolchains`
//! by the project's own scripts, `mr-engine new` makes a project of each template, `mr-engine test` builds
//! and tests it, and its components run here and on clusters against naive references.
//!
//! In reading order: [`project`] (a project of a language, and what all of them must do), [`vectors`] (the
//! encodings that all share), then a module for each language, then [`mixed`] jobs. What takes minutes to
//! install or to build first is part of `make test-languages` only.

mod assemblyscript;
mod c;
mod cpp;
mod go;
mod mixed;
mod project;
mod vectors;
mod zig;
