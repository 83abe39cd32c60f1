//! Puts the SDKs, templates and recipes of all languages into the binary, as a table of files: each
//! folder of `guest-sdk` with a `recipe.toml` is a language. Must not decide what a file is for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Files that several languages share: the language, the file or folder below the repository's root, and the
/// path that it has among the files of the language.
const SHARED: [(&str, &str, &str); 6] = [
    ("cpp", "guest-sdk/c/sdk", "sdk"),
    ("rust", "guest-sdk/src", "sdk/guest-sdk/src"),
    ("rust", "wit/engine.wit", "sdk/wit/engine.wit"),
    ("rust", "guest-sdk/README.md", "README.md"),
    ("typescript", "guest-sdk/javascript/sdk", "sdk"),
    ("typescript", "guest-sdk/javascript/README.md", "README.md"),
];
/// Folders that tools leave beside what they build.
const LEFT_BY_TOOLS: [&str; 4] = ["__pycache__", "node_modules", "target", "zig-cache"];

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let root = manifest.join("../..").canonicalize()?;
    let sdks = root.join("guest-sdk");
    let mut code = String::new();
    writeln!(code, "pub(crate) static LANGUAGES: &[(&str, Files)] = &[").map_err(io::Error::other)?;
    for dir in sorted(&sdks)?.into_iter().filter(|dir| dir.join("recipe.toml").is_file()) {
        let name = name_of(&dir).to_owned();
        let mut files = Vec::new();
        for part in ["recipe.toml", "README.md", "sdk", "templates"] {
            collect(&dir.join(part), part, &mut files)?;
        }
        for (_, from, to) in SHARED.iter().filter(|(language, ..)| *language == name) {
            collect(&root.join(from), to, &mut files)?;
        }
        table(&mut code, &name, &files).map_err(io::Error::other)?;
    }
    writeln!(code, "];").map_err(io::Error::other)?;
    let mut templates = Vec::new();
    collect(&sdks.join("templates"), "", &mut templates)?;
    writeln!(code, "pub(crate) static TEMPLATES: Files = &[").map_err(io::Error::other)?;
    entries(&mut code, &templates).map_err(io::Error::other)?;
    writeln!(code, "];").map_err(io::Error::other)?;
    println!("cargo::rerun-if-changed={}", sdks.display());
    println!("cargo::rerun-if-changed={}", root.join("wit/engine.wit").display());
    fs::write(PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("files.rs"), code)
}

fn table(code: &mut String, name: &str, files: &[(String, PathBuf)]) -> std::fmt::Result {
    writeln!(code, "({name:?}, &[")?;
    entries(code, files)?;
    writeln!(code, "]),")
}

fn entries(code: &mut String, files: &[(String, PathBuf)]) -> std::fmt::Result {
    files.iter().try_for_each(|(name, path)| {
        writeln!(code, "({name:?}, include_bytes!({:?})),", path.display().to_string())
    })
}

/// All files at or below a path, by the name that they get. What is not there has none.
fn collect(path: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if path.is_file() {
        files.push((name.to_owned(), path.to_owned()));
    } else if path.is_dir() && !LEFT_BY_TOOLS.contains(&name_of(path)) {
        for entry in sorted(path)? {
            let below = name_of(&entry);
            let below = if name.is_empty() { below.to_owned() } else { format!("{name}/{below}") };
            collect(&entry, &below, files)?;
        }
    }
    Ok(())
}

fn sorted(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
