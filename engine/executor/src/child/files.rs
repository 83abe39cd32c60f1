//! The wall between a child and all files, the network and other processes: Landlock. What the kernel
//! does not offer is named, everything that it does offer is in force.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};

use super::rights::Files;

/// What is forbidden at all, as far as the kernel knows of it.
const FORBIDDEN: ABI = ABI::V7;

/// Puts the wall up for this thread and those that it begins. False where the kernel has none; what it
/// lacks is added to `missing`.
pub(super) fn wall(granted: &Files, missing: &mut Vec<String>) -> io::Result<bool> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(FORBIDDEN))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(FORBIDDEN)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(FORBIDDEN)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    let status = allow(ruleset, granted).and_then(RulesetCreated::restrict_self).map_err(failed)?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        missing.push(
            "Landlock, which keeps files from plugins that break out (Linux 5.13, enabled at boot)".into(),
        );
        return Ok(false);
    };
    if effective_abi < ABI::V4 {
        missing.push("Landlock's rules for the network (Linux 6.7)".into());
    }
    if effective_abi < ABI::V6 {
        missing.push("Landlock's scopes for signals and abstract sockets (Linux 6.12)".into());
    }
    Ok(true)
}

fn allow(mut ruleset: RulesetCreated, granted: &Files) -> Result<RulesetCreated, RulesetError> {
    let writing: BitFlags<AccessFs> =
        make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | MakeReg | RemoveFile});
    let reading: BitFlags<AccessFs> = AccessFs::ReadFile.into();
    let read = granted.read.iter().map(|path| (path, reading));
    let write = granted.write.iter().map(|path| (path, writing));
    for (path, access) in read.chain(write) {
        // What is not there now cannot be opened later; whoever wants it says so better.
        if let Ok(place) = PathFd::new(path) {
            ruleset = ruleset.add_rule(PathBeneath::new(place, access))?;
        }
    }
    Ok(ruleset)
}

fn failed(error: RulesetError) -> io::Error {
    io::Error::other(format!("files cannot be kept from this process: {error}"))
}
