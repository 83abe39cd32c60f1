//! `mr-engine new`, `build` and `test`: an author's way from nothing to a plugin that works. The work is done by
//! `mr-workshop` and the local runner; here it is told to people.

pub mod build;
mod case;
pub mod new;
pub mod test;
