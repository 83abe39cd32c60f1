//! The hostile gate: plugins that are buggy, greedy or hostile fail their own task, in one sentence that names
//! what is at fault, and harm nothing else.
//!
//! In reading order: [`attacks`] (the table: what is done, where, and what comes of it), [`guest`] (the plugin
//! that does it), [`alone`] (every attack in every place, without a cluster), [`forged`] and [`files`] (components
//! that no compiler makes), [`sight`] (what a plugin sees, and what people see of it), [`worker`] (the attacks on a
//! real worker, which lives on), [`rerun`] (plugins whose second run differs), [`neighbours`] (jobs beside a
//! hostile one).

mod alone;
mod attacks;
mod files;
mod forged;
mod guest;
mod neighbours;
mod rerun;
mod sight;
mod worker;
