//! Which files patterns name: folders, globs, hidden names, links, order, and each refusal.

#![expect(
    clippy::unwrap_used,
    reason = "what a test prepares has to work, also in functions that tests share"
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mr_storage::list_inputs;

/// A tree with a file for each name; `->` makes a symbolic link.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let (name, target) = name.split_once("->").unwrap_or((name, ""));
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if target.is_empty() {
            fs::write(&path, name).unwrap();
        } else {
            symlink(target, &path).unwrap();
        }
    }
    dir
}

/// Lists patterns below the tree; answers paths without the tree's own, or the sentence.
fn list(dir: &Path, patterns: &[&str]) -> Result<Vec<String>, String> {
    let root = format!("{}/", dir.display());
    let patterns: Vec<String> = patterns.iter().map(|pattern| format!("{root}{pattern}")).collect();
    let shown = |text: String| text.replace(&root, "");
    match list_inputs(&patterns, &[], None) {
        Ok(files) => Ok(files.into_iter().map(|file| shown(file.path.display().to_string())).collect()),
        Err(error) => Err(shown(error.to_string())),
    }
}

#[track_caller]
fn check(dir: &Path, patterns: &[&str], expected: &[&str]) {
    assert_eq!(list(dir, patterns).unwrap(), expected, "{patterns:?}");
}

#[track_caller]
fn check_refused(dir: &Path, pattern: &str, expected: &str) {
    assert_eq!(list(dir, &[pattern]).unwrap_err(), expected);
}

#[test]
fn folders_are_listed_in_path_order_without_hidden_names() {
    let dir = tree(&[
        "in/b",
        "in/a.txt",
        "in/a/z",
        "in/_SUCCESS",
        "in/.git/x",
        "in/_logs/y",
        "in/c/_d/e",
        "in/c/f",
    ]);
    let all = ["in/a.txt", "in/a/z", "in/b", "in/c/f"];
    check(dir.path(), &["in"], &all);
    check(dir.path(), &["in/_logs", "in/.git/x"], &["in/_logs/y", "in/.git/x"]);
    fs::create_dir(dir.path().join("empty")).unwrap();
    check(dir.path(), &["empty"], &[]);
    let file = &list_inputs(&[dir.path().join("in/a.txt").display().to_string()], &[], None).unwrap()[0];
    assert_eq!(file.bytes, "in/a.txt".len() as u64);
}

#[test]
fn named_outputs_are_no_part_of_the_main_one() {
    let own = ["_SUCCESS", "_manifest.json", "errors/part-r-00000", "part-r-00000"];
    let names: Vec<_> = own.iter().map(|name| format!("d/out/{name}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.extend(["d/other/_SUCCESS", "d/other/year=2020/part-0"]);
    let dir = tree(&names);
    check(dir.path(), &["d/out"], &["d/out/part-r-00000"]);
    check(dir.path(), &["d/out/errors"], &["d/out/errors/part-r-00000"]);
    let all = ["d/other/year=2020/part-0", "d/out/part-r-00000"];
    check(dir.path(), &["d"], &all);
    check(dir.path(), &["d/*"], &all);
    check(dir.path(), &["d/out/*/part*"], &["d/out/errors/part-r-00000"]);
}

#[test]
fn globs_match_names_and_take_folders_whole() {
    let dir = tree(&[
        "d/2024-01/x.txt",
        "d/2024-02/sub/y.txt",
        "d/2024-02/.z.txt",
        "d/2023-01/x.txt",
        "d/_tmp/x.txt",
        "d/x.txt",
        "d/x.csv",
        "d/.x.txt",
        "d/[1].txt",
        "d/1.txt",
    ]);
    check(dir.path(), &["d/*.txt"], &["d/1.txt", "d/[1].txt", "d/x.txt"]);
    check(dir.path(), &["d/?.{txt,csv}"], &["d/1.txt", "d/x.csv", "d/x.txt"]);
    check(dir.path(), &["d/2024-*"], &["d/2024-01/x.txt", "d/2024-02/sub/y.txt"]);
    check(dir.path(), &["d/2024-*/"], &["d/2024-01/x.txt", "d/2024-02/sub/y.txt"]);
    check(dir.path(), &["d/*/x.txt"], &["d/2023-01/x.txt", "d/2024-01/x.txt"]);
    check(dir.path(), &["d/{_tmp,2023-01}/x*"], &["d/2023-01/x.txt", "d/_tmp/x.txt"]);
    check(dir.path(), &["{d/2023-01,d/2024-01}/*.txt"], &["d/2023-01/x.txt", "d/2024-01/x.txt"]);
    check(dir.path(), &["d/.x*"], &["d/.x.txt"]);
    check(dir.path(), &["d/**/y.txt"], &["d/2024-02/sub/y.txt"]);
    check(dir.path(), &["d/**/.z*"], &["d/2024-02/.z.txt"]);
    check(dir.path(), &["d/2024*/**"], &["d/2024-01/x.txt", "d/2024-02/sub/y.txt"]);
    check(dir.path(), &["d/[1].txt"], &["d/[1].txt"]);
    check(dir.path(), &["d/[0-9].txt"], &["d/1.txt"]);
    check(dir.path(), &["d/[12].txt", "d/*.csv"], &["d/1.txt", "d/x.csv"]);
}

#[test]
fn a_file_counts_once_and_hard_links_are_files() {
    let dir = tree(&["a", "b", "sub/c", "link->a", "again->sub"]);
    fs::hard_link(dir.path().join("b"), dir.path().join("hard")).unwrap();
    check(dir.path(), &["b", "", "a"], &["b", "a", "again/c", "hard"]);
    check(dir.path(), &["link", "a"], &["link"]);
    check(dir.path(), &["./a", "sub/../a", "*"], &["./a", "again/c", "b", "hard"]);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_name() {
    let dir = tree(&[
        "a",
        "d/e",
        "loop/back->../loop",
        "dangling/link->nowhere",
        "dangling/file",
        "hidden/.back->../hidden",
        "hidden/f",
    ]);
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    check_refused(dir.path(), "nope", "input nope does not exist");
    check_refused(
        dir.path(),
        "*.txt",
        r#"input "*.txt" matches no file (names that begin with '.' or '_' have to be named)"#,
    );
    check_refused(
        dir.path(),
        "nope/*",
        r#"input "nope/*" matches no file (names that begin with '.' or '_' have to be named)"#,
    );
    check_refused(
        dir.path(),
        "d/[",
        r#"input "d/[" is no valid pattern: unclosed character class; missing ']'"#,
    );
    check_refused(
        dir.path(),
        "pipe",
        "input pipe is a named pipe; only regular files and folders of them can be read",
    );
    check_refused(
        dir.path(),
        "p*",
        "input pipe is a named pipe; only regular files and folders of them can be read",
    );
    check_refused(dir.path(), "a/b", "input a/b cannot be read: Not a directory (os error 20)");
    check_refused(
        dir.path(),
        "loop",
        "input loop/back leads back to loop: a cycle of symbolic links; remove the link",
    );
    check_refused(
        dir.path(),
        "l*",
        "input loop/back leads back to loop: a cycle of symbolic links; remove the link",
    );
    check_refused(dir.path(), "dangling", "input dangling/link does not exist");
    check(dir.path(), &["dangling/f*"], &["dangling/file"]);
    check(dir.path(), &["hidden"], &["hidden/f"]);
    assert!(
        list_inputs(&["-".to_owned()], &[], None)
            .unwrap_err()
            .to_string()
            .starts_with("input '-' is not supported")
    );
    let device = list_inputs(&["/dev/null".to_owned()], &[], None).unwrap_err().to_string();
    assert_eq!(device, "input /dev/null is a device; only regular files and folders of them can be read");
}

#[test]
fn permissions_are_found_out_before_the_job_runs() {
    if rustix::process::geteuid().is_root() {
        // Nothing is unreadable for the superuser.
        return;
    }
    let dir = tree(&["in/a", "in/b"]);
    fs::set_permissions(dir.path().join("in/b"), fs::Permissions::from_mode(0o000)).unwrap();
    check_refused(dir.path(), "in", "input in/b cannot be read: Permission denied (os error 13)");
    check(dir.path(), &["in/a*"], &["in/a"]);
}
