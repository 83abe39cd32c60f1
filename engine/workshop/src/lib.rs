//! Makes and builds plugins in many languages: project templates, the SDKs' files, and the recipes by which
//! each language's own tools make a component.
//!
//! Everything of a language is data (`guest-sdk/<language>`: `recipe.toml`, `sdk/`, `templates/`) and lies in
//! the binary, so that a project is made and built without this repository at hand. Must not know a
//! language by its name, must not run plugins, and must not fetch anything: what is missing is named, with a
//! sentence on how to install it.
//!
//! In reading order: [`language`] (what there is), [`recipe`] (how it is built), [`project`] (what an author
//! has), [`new`] (how a project begins), [`world`] (the interface that a plugin with these roles has), [`tool`]
//! (programs on this machine), `process` (running them), `place` (names in recipes), `bindgen`, `component`
//! and `module` (steps that need no program), [`mod@build`] (the steps in order), [`error`].

mod bindgen;
pub mod build;
mod component;
pub mod error;
pub mod language;
mod module;
pub mod new;
mod place;
mod process;
pub mod project;
pub mod recipe;
pub mod tool;
pub mod world;

pub use build::{BuildEvent, BuildOptions, Built, build};
pub use error::WorkshopError;
pub use language::Language;
pub use new::{NewProject, create};
pub use project::Project;
