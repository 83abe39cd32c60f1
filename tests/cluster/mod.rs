//! Clusters of real processes, and all that befalls them: whatever dies, stops, is cut off or lies, a job
//! yields the very files that it yields without a cluster, or fails with the right words; and when it
//! has ended nothing of it is left anywhere.
//!
//! In reading order: [`workers`] (that die, stop, come late and leave), [`coordinator`] (that dies), [`links`]
//! (that are bad or cut), [`disks`], [`jobs`] (that fail, and are cancelled), [`sides`]
//! (that travel), [`strangers`] (who must not get
//! in, or break the protocol), [`floods`] (of them), [`client`] (the command line), [`up`] (a cluster in one
//! command), [`wall`] (what is between plugins and workers).
//!
//! What takes long is ignored here and run by `make chaos`.

mod client;
mod coordinator;
mod disks;
mod floods;
mod jobs;
mod links;
mod sides;
mod strangers;
mod up;
mod wall;
mod workers;
