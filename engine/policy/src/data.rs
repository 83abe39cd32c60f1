//! Where jobs may read and write: folders that an operator opens to whoever may submit. Inputs and outputs
//! are opened with the rights of the coordinator's and workers' user, which reach further than those of
//! most submitters.
//!
//! A path counts as what it says and as what it leads to: a link in an open folder opens nothing else. Must
//! not open or change what it judges; who can change links between the verdict and the opening can still
//! get past it, so that folders that submitters write to should not hold links of others.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::refusal::PathRefusal;

/// Folders that are open; none where everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    /// Below these inputs may lie.
    pub inputs: Option<Vec<PathBuf>>,
    /// Below these outputs may lie.
    pub outputs: Option<Vec<PathBuf>>,
}

/// Checks that `path` lies below one of `folders`. `what` names it for people, `policy` the policy.
pub(crate) fn check(
    folders: Option<&[PathBuf]>,
    path: &Path,
    what: &'static str,
    policy: &str,
) -> Result<(), PathRefusal> {
    let Some(folders) = folders else { return Ok(()) };
    let refused = |leads_to: Option<PathBuf>| {
        let (path, policy) = (path.to_owned(), policy.to_owned());
        Err(PathRefusal { what, path, leads_to, folders: folders.to_vec(), policy })
    };
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || !folders.iter().any(|folder| path.starts_with(folder)) {
        return refused(None);
    }
    match real(path) {
        Ok(found) => {
            let mut real_folders = folders.iter().filter_map(|folder| real(folder).ok());
            if real_folders.any(|folder| found.starts_with(folder)) { Ok(()) } else { refused(Some(found)) }
        }
        // What cannot be looked at from here cannot be opened from here either.
        Err(_) => Ok(()),
    }
}

/// Where a path leads to: of what does not exist yet, its nearest folder that does.
fn real(path: &Path) -> io::Result<PathBuf> {
    let mut at = path;
    loop {
        match fs::canonicalize(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match at.parent() {
                // A link to what does not exist would be followed by whoever makes it.
                Some(_) if fs::symlink_metadata(at).is_ok() => return Err(error),
                Some(parent) => at = parent,
                None => return Err(error),
            },
            found => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_lies_below_and_leads_below_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (open, closed) = (root.join("open"), root.join("closed"));
        fs::create_dir(&open).unwrap();
        fs::create_dir(&closed).unwrap();
        fs::write(open.join("mine"), "").unwrap();
        fs::write(closed.join("theirs"), "").unwrap();
        symlink(open.join("mine"), open.join("link-in")).unwrap();
        symlink(closed.join("theirs"), open.join("link-out")).unwrap();
        symlink(&closed, open.join("folder-out")).unwrap();
        symlink(&open, root.join("alias")).unwrap();
        let folders = [open.clone(), root.join("alias")];
        let verdict = |path: &Path| check(Some(&folders), path, "input", "p.toml").map_err(|r| r.leads_to);
        for good in ["open/mine", "open/link-in", "alias/mine", "open/not/there/yet"] {
            assert_eq!(verdict(&root.join(good)), Ok(()), "{good}");
        }
        for bad in ["closed/theirs", "open/../closed/theirs", "opened", ""] {
            assert_eq!(verdict(&root.join(bad)), Err(None), "{bad}");
        }
        assert_eq!(verdict(Path::new("open/mine")), Err(None));
        assert_eq!(verdict(&open.join("link-out")), Err(Some(closed.join("theirs"))));
        assert_eq!(verdict(&open.join("folder-out/new")), Err(Some(closed.clone())));
        assert_eq!(check(None, &closed, "input", "p.toml"), Ok(()));
        let told = check(Some(&folders[..1]), &open.join("link-out"), "input", "p.toml").unwrap_err();
        let (at, to) = (open.join("link-out"), closed.join("theirs"));
        let expected = format!(
            "the input {} leads to {}, and the policy p.toml opens {} only",
            at.display(),
            to.display(),
            open.display()
        );
        assert_eq!(told.to_string(), expected);
    }
}
