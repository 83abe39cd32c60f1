//! Where jobs may read and write: folders that an operator opens to whoever may submit. Inputs and outputs
//! are opened with the rights of the coordinator's and workers' user, which reach further than those of
//! most submitters; and so are objects on stores, with the credentials of these processes.
//!
//! A path counts as what it says and as what it leads to: a link in an open folder opens nothing else. Must
//! not open or change what it judges; who can change links between the verdict and the opening can still
//! get past it, so that folders that submitters write to should not hold links of others. An address on a store or a
//! web server counts as it is written: an open address opens itself and what lies below it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use mr_model::is_address;

use crate::refusal::PathRefusal;

/// Folders and addresses that are open; none where everything is.
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
    if let Some(address) = address(path) {
        let opens = |folder: &PathBuf| self::address(folder).is_some_and(|open| is_below(address, open));
        return if folders.iter().any(opens) { Ok(()) } else { refused(None) };
    }
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

/// The address that a path is, if it is one.
pub(crate) fn address(path: &Path) -> Option<&str> {
    path.to_str().filter(|_| is_address(path))
}

/// Whether an address can be read in one way only: whoever opens it must not come to another place.
pub(crate) fn is_plain(address: &str) -> bool {
    let is_web = !address.starts_with("s3://");
    let path = if is_web { address.split(['?', '#']).next().unwrap_or_default() } else { address };
    let odd = |text: &str| {
        text.contains(char::is_control)
            || (is_web && (text.contains('\\') || text.to_ascii_lowercase().contains("%2e")))
    };
    !odd(address) && !path.split('/').any(|part| part == "." || part == "..")
}

/// Whether `address` is `open` or lies below it.
fn is_below(address: &str, open: &str) -> bool {
    let rest = address.strip_prefix(open.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && is_plain(address)
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

    #[test]
    fn an_address_opens_itself_and_what_lies_below_it() {
        let folders = ["s3://data/open", "https://host/pub/", "/srv"].map(PathBuf::from);
        let opens = |path: &str| check(Some(&folders), Path::new(path), "output", "p.toml").is_ok();
        for good in
            ["s3://data/open", "s3://data/open/", "s3://data/open/a/part-*", "https://host/pub/x?v=..&w=1"]
        {
            assert!(opens(good), "{good}");
        }
        for bad in [
            "s3://data",
            "s3://data/opened",
            "s3://data/open/../closed",
            "s3://other/open",
            "S3://data/open",
            "s3:/data/open",
            "https://host/public",
            "https://host/pub/../closed",
            "https://host/pub/%2E%2e/closed",
            "https://host/pub/..\\closed",
            "https://host/pub/.\t./closed",
            "https://me@host/pub/x",
            "http://host/pub/x",
            "data/open",
        ] {
            assert!(!opens(bad), "{bad}");
        }
        let told = check(Some(&folders[..1]), Path::new("s3://else/x"), "output", "p.toml").unwrap_err();
        assert_eq!(
            told.to_string(),
            "the output s3://else/x is not open to jobs, and the policy p.toml opens s3://data/open only"
        );
        assert!(check(None, Path::new("s3://else/x"), "output", "p.toml").is_ok());
    }
}
