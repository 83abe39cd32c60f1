//! Where paths of a pipeline lie, by their text alone. Must not look at any file.

use std::path::{Component, Path, PathBuf};

use mr_model::is_address;

/// The folder that paths of a pipeline's file are meant from; empty for the current one.
pub(crate) fn folder_of(file: Option<&Path>) -> &Path {
    file.and_then(Path::parent).unwrap_or(Path::new(""))
}

/// A path of a pipeline's file; an address is where it is.
pub(crate) fn placed(folder: &Path, path: &str) -> PathBuf {
    match is_address(Path::new(path)) {
        true => PathBuf::from(path.trim_end_matches('/')),
        false => folder.join(path),
    }
}

/// A path from the root on, without `.` and `..`, whatever links there are; an address as it is.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.to_owned();
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut lexical = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(lexical.pop()),
            Component::CurDir => {}
            other => lexical.push(other),
        }
    }
    lexical
}

/// The front of a path that is ahead of its first glob, and whether there is one.
pub(crate) fn without_glob(path: &str) -> (&str, bool) {
    let Some(at) = path.find(['*', '?', '[', '{']) else { return (path, false) };
    let front = &path[..at];
    (front.rfind('/').map_or(".", |slash| &front[..=slash]), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_dots() {
        let placed = |path: &str| lexical(&placed(Path::new("/p/q"), path));
        for (path, expected) in [
            ("a", "/p/q/a"),
            ("./a/", "/p/q/a"),
            ("../q/x/../a", "/p/q/a"),
            ("/p/a", "/p/a"),
            ("s3://b/a/", "s3://b/a"),
        ] {
            assert_eq!(placed(path), Path::new(expected), "{path}");
        }
        for (path, front) in [
            ("a/b*", ("a/", true)),
            ("*.csv", (".", true)),
            ("a/b", ("a/b", false)),
            ("/x/{a,b}/c", ("/x/", true)),
        ] {
            assert_eq!(without_glob(path), front, "{path}");
        }
    }
}
