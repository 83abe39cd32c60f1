//! Putting a finished folder in its place: what may be there already, renames that never replace
//! anything else, and forcing a folder to disk. Knows nothing of jobs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use mr_model::output::check_output_name;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::manifest::MANIFEST_NAME;
use crate::names::{ATTEMPT_PREFIX, parse};
use crate::output::{OutputError, SUCCESS_NAME, unwritable};
use crate::step::step;

/// Refuses what is at `path` unless it is nothing or may be replaced.
pub(crate) fn check_replaceable(path: &Path, overwrite: bool) -> Result<(), OutputError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| unwritable(path, &error))?,
    };
    if !overwrite {
        return Err(OutputError::Exists { path: path.to_owned() });
    }
    if !metadata.is_dir() {
        return Err(OutputError::NotAnOutput { path: path.to_owned() });
    }
    let mut entries = fs::read_dir(path).map_err(|error| unwritable(path, &error))?;
    if is_output(path) || entries.next().is_none() {
        return Ok(());
    }
    Err(OutputError::NotAnOutput { path: path.to_owned() })
}

/// Whether a folder is an output.
pub(crate) fn is_output(path: &Path) -> bool {
    [SUCCESS_NAME, MANIFEST_NAME].iter().any(|name| path.join(name).is_file())
}

/// Renames to a name that must be free.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match step!(
        "rename to a free place",
        rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
    ) {
        Err(error) if is_unsupported(error) => rename_new_unchecked(from, to),
        renamed => Ok(renamed?),
    }
}

/// For file systems that know no flags: what comes between the look and the rename is replaced only if
/// it is an empty folder, else it makes the rename fail.
fn rename_new_unchecked(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Puts the folder `from` at `to`, where another one is. That one is at `from` or `aside` after it.
pub(crate) fn exchange(from: &Path, to: &Path, aside: &Path) -> io::Result<()> {
    match step!("exchange", rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE)) {
        Err(error) if is_unsupported(error) => exchange_by_renames(from, to, aside),
        exchanged => Ok(exchanged?),
    }
}

/// For file systems that cannot exchange; `to` is missing for a moment.
fn exchange_by_renames(from: &Path, to: &Path, aside: &Path) -> io::Result<()> {
    step!("put the old output aside", fs::rename(to, aside))?;
    rename_new(from, to).inspect_err(|_| {
        // If that fails too, dropping the staging folder tries again.
        let _ = rename_new(aside, to);
    })
}

fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Removes what losing attempts have not yet removed themselves.
pub(crate) fn remove_attempts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_of_attempt(&entry) {
            let is_folder = entry.file_type()?.is_dir();
            let remove =
                || if is_folder { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            match step!("remove an attempt's file", remove()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// Removes parts that were put in place and never committed, because another attempt at their task won in the end,
/// with other files. `committed` are names in the output.
pub(crate) fn remove_strays(folder: &Path, committed: &BTreeSet<&str>) -> io::Result<()> {
    remove_strays_in(folder, "", committed)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| check_output_name(name).is_ok()) else { continue };
        if entry.file_type()?.is_dir()
            && remove_strays_in(&entry.path(), &format!("{name}/"), committed)? == 0
        {
            step!("remove an output's folder", fs::remove_dir(entry.path()))?;
        }
    }
    Ok(())
}

/// Removes the strays among the parts of one output; answers how many files it keeps.
fn remove_strays_in(folder: &Path, output: &str, committed: &BTreeSet<&str>) -> io::Result<usize> {
    let mut kept = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{output}{}", entry.file_name().to_string_lossy());
        if parse(&name).is_some() && !committed.contains(name.as_str()) {
            step!("remove a stray part", fs::remove_file(entry.path()))?;
        } else {
            kept += 1;
        }
    }
    Ok(kept)
}

/// Forces all files of a folder, and of those in it, to disk but those of attempts, which come and go.
pub(crate) fn sync_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_of_attempt(&entry) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            sync_files(&entry.path())?;
        } else {
            step!("sync a file", File::open(entry.path())?.sync_data()?);
        }
    }
    sync_folder(folder)
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    step!("sync a folder", File::open(folder)?.sync_all())
}

fn is_of_attempt(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(ATTEMPT_PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the exchange leaves behind without the kernel's help, and when it fails half way.
    #[test]
    fn an_exchange_by_renames_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let make = |name: &str| {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("content"), name).unwrap();
        };
        let content = |name: &str| fs::read_to_string(at(name).join("content")).ok();
        make("new");
        make("old");
        exchange_by_renames(&at("new"), &at("old"), &at("aside")).unwrap();
        assert_eq!((content("old").as_deref(), content("aside").as_deref()), (Some("new"), Some("old")));
        fs::remove_dir_all(at("aside")).unwrap();
        exchange_by_renames(&at("missing"), &at("old"), &at("aside")).unwrap_err();
        assert_eq!((content("old").as_deref(), content("aside")), (Some("new"), None));
        make("next");
        assert_eq!(
            rename_new_unchecked(&at("next"), &at("old")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn parts_that_lost_go_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["errors", "stats", "_rejects"] {
            fs::create_dir(at(folder)).unwrap();
        }
        let names = ["part-r-00000", "part-r-00001", "errors/part-r-00000", "errors/part-r-00001.gz"];
        let others = ["stats/part-r-00000-0000", "_rejects/part-r-00000", "note"];
        names.iter().chain(&others).for_each(|name| fs::write(at(name), "").unwrap());
        remove_strays(dir.path(), &["part-r-00000", "errors/part-r-00001.gz"].into()).unwrap();
        assert_eq!(names.map(|name| at(name).exists()), [true, false, false, true]);
        assert_eq!(others.map(|name| at(name).exists()), [false, true, true]);
        assert!(at("errors").exists() && !at("stats").exists());
    }

    #[test]
    fn what_attempts_left_goes_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("part-r-00000"), "kept").unwrap();
        fs::write(dir.path().join("_attempt-r-00001-0"), "lost").unwrap();
        let folder = dir.path().join("_attempt-r-00002-0.folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("_attempt-r-00002-0"), "lost").unwrap();
        remove_attempts(dir.path()).unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["part-r-00000"]);
    }
}
