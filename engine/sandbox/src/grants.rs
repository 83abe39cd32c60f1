//! What plugins may import and what each import gives them: the list by which components are checked
//! when they are loaded, and which the documents are made from. Must not say more than [`crate::host`]
//! and [`crate::wasi`] do.

use crate::host::VERSION;

/// Beginning of the versions of WASI that are linked.
const WASI_VERSION: &str = "0.2.";

/// An interface that plugins may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Its name without the version, for example `wasi:cli/stdout`.
    pub interface: &'static str,
    /// What a plugin gets from it.
    pub gives: &'static str,
}

const fn grant(interface: &'static str, gives: &'static str) -> Grant {
    Grant { interface, gives }
}

/// Every interface that plugins may import. Whatever is not in here is refused when a plugin is loaded.
pub const GRANTS: &[Grant] = &[
    grant("mr:engine/types", "records and errors as types; no function"),
    grant("mr:engine/output", "emits records, rejects input records; checked batch by batch"),
    grant("mr:engine/group-values", "the rest of a long group, for reducers"),
    grant("mr:engine/config", "the job's parameters"),
    grant("mr:engine/counters", "adds to named sums"),
    grant("mr:engine/logging", "log lines; cut, counted, passed on at a limited rate"),
    grant("mr:engine/side-input", "reads the files that the job names with `--side`, and no others"),
    grant("wasi:cli/environment", "nothing: no variables, no arguments, no folder"),
    grant("wasi:cli/exit", "ends the instance, which fails its task"),
    grant("wasi:cli/stdin", "nothing: it is at its end"),
    grant("wasi:cli/stdout", "log lines"),
    grant("wasi:cli/stderr", "log lines"),
    grant("wasi:cli/terminal-input", "types only"),
    grant("wasi:cli/terminal-output", "types only"),
    grant("wasi:cli/terminal-stdin", "nothing: there is no terminal"),
    grant("wasi:cli/terminal-stdout", "nothing: there is no terminal"),
    grant("wasi:cli/terminal-stderr", "nothing: there is no terminal"),
    grant(
        "wasi:clocks/monotonic-clock",
        "a virtual clock: a microsecond for each look, and sleeping moves it at once",
    ),
    grant(
        "wasi:clocks/wall-clock",
        "the virtual clock, from the year 2000; from the time of submission where the job is granted it",
    ),
    grant("wasi:filesystem/types", "nothing: there is no file to have a handle of"),
    grant("wasi:filesystem/preopens", "nothing: no folder is open"),
    grant("wasi:io/error", "types and texts of errors"),
    grant("wasi:io/poll", "waits for the virtual clock and for streams that are always ready"),
    grant("wasi:io/streams", "standard output and error; reads nothing"),
    grant("wasi:random/random", "numbers that follow from the task's seed"),
    grant("wasi:random/insecure", "numbers that follow from the task's seed"),
    grant("wasi:random/insecure-seed", "numbers that follow from the task's seed"),
    grant("wasi:sockets/network", "types of errors"),
    grant("wasi:sockets/instance-network", "a network that denies everything"),
    grant("wasi:sockets/tcp", "nothing: no socket can be made or bound"),
    grant("wasi:sockets/tcp-create-socket", "denied"),
    grant("wasi:sockets/udp", "nothing: no socket can be made or bound"),
    grant("wasi:sockets/udp-create-socket", "denied"),
    grant("wasi:sockets/ip-name-lookup", "denied"),
];

/// The grant that serves an import, for example `wasi:cli/stdout@0.2.3`; none where no plugin is given
/// that.
pub fn granted(import: &str) -> Option<&'static Grant> {
    let (interface, version) = import.split_once('@')?;
    let speaks =
        if interface.starts_with("wasi:") { version.starts_with(WASI_VERSION) } else { version == VERSION };
    GRANTS.iter().find(|grant| speaks && grant.interface == interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_granted_and_in_these_versions() {
        let name = |import| granted(import).map(|grant| grant.interface);
        assert_eq!(name("wasi:cli/stdout@0.2.9"), Some("wasi:cli/stdout"));
        assert_eq!(name("mr:engine/output@0.1.0"), Some("mr:engine/output"));
        for refused in [
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout",
            "wasi:http/types@0.2.0",
            "mr:engine/output@0.2.0",
            "",
        ] {
            assert_eq!(name(refused), None, "{refused}");
        }
    }
}
