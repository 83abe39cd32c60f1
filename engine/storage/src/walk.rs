//! Walks folders for input files, as whole trees and by glob. Decides which names count: those that
//! begin with `.` or `_` do not (as in Hadoop, so that an output can be the next input), unless a
//! pattern names them. Of a folder that is an output of ours only the main output counts: its folders are
//! those of named outputs, read where somebody names them. Must not open files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use crate::input::{InputError, kind, unreadable};
use crate::manifest::MANIFEST_NAME;
use crate::output::SUCCESS_NAME;

/// Most files and folders that one pattern walks: symbolic links can make a small tree endless
/// without a cycle.
const ENTRIES_MAX: u64 = 10_000_000;

/// Files below `root`, sorted by the bytes of their paths.
pub(crate) fn folder(root: &Path) -> Result<Vec<PathBuf>, InputError> {
    let mut walk = Walk { glob: None, inside: Some(0), matched: true, files: Vec::new() };
    walk.run(root)?;
    Ok(walk.sorted())
}

/// True if `pattern` has a character that means something in a glob.
pub(crate) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// Files that `pattern` matches, and those below the folders that it matches, sorted by the bytes of
/// their paths.
pub(crate) fn glob(pattern: &str) -> Result<Vec<PathBuf>, InputError> {
    let bad = |reason: String| InputError::BadPattern { pattern: pattern.to_owned(), reason };
    let meta = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
    let (base, rest) = pattern.split_at(pattern[..meta].rfind('/').map_or(0, |slash| slash + 1));
    let glob = Glob::parse(rest).map_err(|error| bad(error.kind().to_string()))?;
    let mut walk = Walk { glob: Some(glob), inside: None, matched: false, files: Vec::new() };
    let root = Path::new(if base.is_empty() { "." } else { base });
    if root.is_dir() {
        walk.run(root)?;
    }
    if !walk.matched {
        return Err(InputError::NoMatch { pattern: pattern.to_owned() });
    }
    let files = walk.sorted();
    if !base.is_empty() {
        return Ok(files);
    }
    Ok(files.iter().map(|path| path.strip_prefix(".").unwrap_or(path).to_owned()).collect())
}

/// What is left out of folders and globs.
pub(crate) struct Excluded(GlobSet);

impl Excluded {
    /// Each pattern matches the end of a path, at the boundary of a name.
    pub fn parse(patterns: &[String]) -> Result<Self, InputError> {
        let mut globs = GlobSetBuilder::new();
        for pattern in patterns {
            let bad = |error: globset::Error| InputError::BadPattern {
                pattern: pattern.clone(),
                reason: error.kind().to_string(),
            };
            let anywhere = format!("**/{}", pattern.trim_start_matches('/'));
            globs.add(GlobBuilder::new(&anywhere).literal_separator(true).build().map_err(bad)?);
        }
        let bad = |error: globset::Error| InputError::BadPattern {
            pattern: patterns.join(" "),
            reason: error.kind().to_string(),
        };
        globs.build().map(Self).map_err(bad)
    }

    pub fn matches(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }
}

/// A glob below its longest literal folder.
struct Glob {
    components: Vec<Component>,
    /// Components ahead of the first that may span several names (`**`, or a `/` within braces).
    fixed: usize,
    whole: GlobMatcher,
}

struct Component {
    matcher: GlobMatcher,
    /// Spells a leading `.` or `_`, thus means hidden names.
    names_hidden: bool,
}

/// What a glob says of a path.
#[derive(PartialEq)]
enum Verdict {
    /// Nothing below it can match.
    Skip,
    /// It does not match, something below it may.
    Descend,
    /// It matches.
    Take,
}

impl Glob {
    fn parse(pattern: &str) -> Result<Self, globset::Error> {
        let names: Vec<&str> =
            split_components(pattern).filter(|name| !name.is_empty() && *name != ".").collect();
        let spans = |name: &&str| *name == "**" || name.contains('/');
        let fixed = names.iter().position(spans).unwrap_or(names.len());
        let components = names.iter().map(|name| Component::parse(name)).collect::<Result<_, _>>()?;
        Ok(Self { components, fixed, whole: matcher(&names.join("/"))? })
    }

    /// Judges `path`, relative to the root, at `depth` (1 is a direct child).
    fn judge(&self, path: &Path, name: &OsStr, depth: usize) -> Verdict {
        if depth <= self.fixed && !self.components[depth - 1].matcher.is_match(name) {
            return Verdict::Skip;
        }
        if self.fixed == self.components.len() {
            return if depth < self.fixed { Verdict::Descend } else { Verdict::Take };
        }
        if self.whole.is_match(path) { Verdict::Take } else { Verdict::Descend }
    }

    /// True if a component means hidden names and matches this one.
    fn names_hidden(&self, name: &OsStr) -> bool {
        self.components.iter().any(|component| component.names_hidden && component.matcher.is_match(name))
    }
}

impl Component {
    fn parse(name: &str) -> Result<Self, globset::Error> {
        let starts = |i: usize| i == 0 || matches!(name.as_bytes()[i - 1], b'{' | b',');
        let names_hidden = name.bytes().enumerate().any(|(i, byte)| matches!(byte, b'.' | b'_') && starts(i));
        Ok(Self { matcher: matcher(name)?, names_hidden })
    }
}

/// Whether a folder is a whole output of this engine: others leave the one file, too, but not both.
fn is_own_output(folder: &Path) -> bool {
    [SUCCESS_NAME, MANIFEST_NAME].iter().all(|name| folder.join(name).is_file())
}

fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
}

/// Splits at every `/` that is not within braces.
fn split_components(pattern: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    pattern.split(move |c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == '/' && depth <= 0
    })
}

/// A walk under way.
struct Walk {
    /// None takes everything.
    glob: Option<Glob>,
    /// Depth of the folder all of whose files are taken, while the walk is in one.
    inside: Option<usize>,
    matched: bool,
    files: Vec<PathBuf>,
}

impl Walk {
    fn run(&mut self, root: &Path) -> Result<(), InputError> {
        let mut steps = WalkDir::new(root).min_depth(1).follow_links(true).into_iter();
        let mut entries = 0u64;
        while let Some(step) = steps.next() {
            entries += 1;
            if entries > ENTRIES_MAX {
                return Err(InputError::TooMany { path: root.to_owned(), max: ENTRIES_MAX });
            }
            match step {
                Ok(entry) => {
                    if !self.visit(root, &entry)? && entry.file_type().is_dir() {
                        steps.skip_current_dir();
                    }
                }
                Err(error) => self.judge_error(root, &error)?,
            }
        }
        Ok(())
    }

    /// Takes what counts; answers whether to walk on below it.
    fn visit(&mut self, root: &Path, entry: &DirEntry) -> Result<bool, InputError> {
        self.leave(entry.depth());
        match self.judge(root, entry.path(), entry.depth()) {
            Verdict::Skip => return Ok(false),
            Verdict::Descend => return Ok(true),
            Verdict::Take => {}
        }
        let file_type = entry.file_type();
        if file_type.is_dir() && self.inside.is_some() && entry.path().parent().is_some_and(is_own_output) {
            return Ok(false);
        }
        self.matched = true;
        if file_type.is_dir() {
            self.inside.get_or_insert(entry.depth());
        } else if file_type.is_file() {
            self.files.push(entry.path().to_owned());
        } else {
            return Err(InputError::NotRegular { path: entry.path().to_owned(), kind: kind(file_type) });
        }
        Ok(true)
    }

    /// Forgets the folder that is taken whole once the walk is at `depth` outside of it.
    fn leave(&mut self, depth: usize) {
        if self.inside.is_some_and(|folder| depth <= folder && folder > 0) {
            self.inside = None;
        }
    }

    fn judge(&self, root: &Path, path: &Path, depth: usize) -> Verdict {
        let name = path.file_name().unwrap_or_default();
        let hidden = matches!(name.as_bytes().first(), Some(b'.' | b'_'));
        match &self.glob {
            Some(glob) if self.inside.is_none() => {
                if hidden && !glob.names_hidden(name) {
                    return Verdict::Skip;
                }
                glob.judge(path.strip_prefix(root).unwrap_or(path), name, depth)
            }
            _ if hidden => Verdict::Skip,
            _ => Verdict::Take,
        }
    }

    /// An error counts only where what it hides would.
    fn judge_error(&mut self, root: &Path, error: &walkdir::Error) -> Result<(), InputError> {
        let path = error.path().unwrap_or(root);
        let depth = path.strip_prefix(root).map_or(0, |below| below.components().count());
        self.leave(depth);
        let absent = error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let verdict = if depth == 0 { Verdict::Take } else { self.judge(root, path, depth) };
        if verdict == Verdict::Skip || (verdict == Verdict::Descend && absent) {
            return Ok(());
        }
        if let Some(ancestor) = error.loop_ancestor() {
            return Err(InputError::LinkCycle { path: path.to_owned(), ancestor: ancestor.to_owned() });
        }
        match error.io_error() {
            Some(_) if absent => Err(InputError::Missing { path: path.to_owned() }),
            Some(error) => Err(unreadable(path, error)),
            None => Err(InputError::Unreadable { path: path.to_owned(), reason: error.to_string() }),
        }
    }

    fn sorted(self) -> Vec<PathBuf> {
        let mut files = self.files;
        files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        files
    }
}
