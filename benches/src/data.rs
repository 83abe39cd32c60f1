//! Inputs, made once and kept in `benches/data`: text, the same text in many small files, records.
//! The same size always gives the same bytes.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

/// Package of Debian that the text is from.
const PACKAGE: &str = "linux-source-6.1";
/// Bytes of a record, with its newline.
pub const RECORD_BYTES: usize = 100;
/// Bytes of a record that are its key.
pub const KEY_BYTES: usize = 10;
/// Small files in a folder.
const FOLDER_FILES: usize = 100;
/// Seed of the records' keys.
const SEED: u64 = 0x6d72_2d65_6e67_696e;

/// Where text is from.
#[derive(Debug, Clone)]
pub enum Text {
    /// The C files of the Linux kernel, out of this package.
    Linux {
        /// The package's file.
        package: PathBuf,
        /// Its version.
        version: String,
    },
    /// The Rust files of the crates that cargo has unpacked on this machine.
    Crates,
}

/// The inputs.
#[derive(Debug)]
pub struct Data {
    folder: PathBuf,
    text: Text,
}

impl Text {
    /// The kernel's source where it is at hand or apt can download it.
    pub fn linux_or_crates(folder: &Path) -> Self {
        match linux(folder) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("mr-bench: no {PACKAGE} ({error:#}): the text is from the unpacked crates");
                Text::Crates
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Text::Linux { .. } => "linux",
            Text::Crates => "crates",
        }
    }
}

impl Data {
    /// The inputs in this folder.
    pub fn new(folder: PathBuf, text: Text) -> Self {
        Self { folder, text }
    }

    /// Where inputs are kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the text is from.
    pub fn origin(&self) -> String {
        match &self.text {
            Text::Linux { version, .. } => format!("*.c and *.h of Debian's {PACKAGE} {version}"),
            Text::Crates => "*.rs of the crates in cargo's registry, repeated as needed".into(),
        }
    }

    /// A file of whole lines of text, of `bytes` bytes up to the last line's end.
    pub fn text(&self, bytes: u64) -> Result<PathBuf> {
        self.made(&format!("{}-{bytes}.txt", self.text.name()), |path| {
            let mut sink = Limited { file: BufWriter::new(File::create(path)?), left: bytes };
            while sink.left > 0 {
                let before = sink.left;
                match &self.text {
                    Text::Linux { package, .. } => copy_linux(package, &mut sink)?,
                    Text::Crates => copy_crates(&mut sink)?,
                }
                if sink.left == before {
                    bail!("there is no text");
                }
            }
            let file = sink.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            cut_at_newline(&file, path)
        })
    }

    /// A folder of `files` files that hold the text of [`Data::text`] of `bytes` bytes.
    pub fn small_files(&self, bytes: u64, files: usize) -> Result<PathBuf> {
        let text = self.text(bytes)?;
        self.made(&format!("{}-{bytes}-in-{files}", self.text.name()), |folder| {
            let text = fs::read(text)?;
            let mut start = 0;
            for file in 0..files {
                let goal = text.len() / files * (file + 1);
                let newline = memchr::memchr(b'\n', &text[goal.max(start)..]);
                let end = match newline {
                    Some(at) if file + 1 < files => goal.max(start) + at + 1,
                    _ => text.len(),
                };
                let folder = folder.join(format!("{:03}", file / FOLDER_FILES));
                fs::create_dir_all(&folder)?;
                fs::write(folder.join(format!("{file:05}.txt")), &text[start..end])?;
                start = end;
            }
            Ok(())
        })
    }

    /// A file of `bytes / 100` records of 100 bytes: a key of 10 random printable characters, the
    /// record's number, a filler and a newline. No key is there twice, as far as is known.
    pub fn records(&self, bytes: u64) -> Result<PathBuf> {
        self.made(&format!("records-{bytes}.txt"), |path| {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            let mut state = SEED;
            for number in 0..bytes / RECORD_BYTES as u64 {
                let key: [u8; KEY_BYTES] = std::array::from_fn(|_| printable(&mut state));
                file.write_all(&key)?;
                writeln!(file, "{number:032}{:A<57}", "")?;
            }
            Ok(file.flush()?)
        })
    }

    /// Makes a file or folder under a temporary name, unless it is there.
    fn made(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.exists() {
            eprintln!("mr-bench: making {}", path.display());
            let unfinished = self.folder.join(format!("{name}.{}.unfinished", std::process::id()));
            make(&unfinished).with_context(|| format!("cannot make {}", path.display()))?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(path)
    }
}

/// Takes so many bytes and no more.
struct Limited {
    file: BufWriter<File>,
    left: u64,
}

impl Limited {
    fn copy(&mut self, from: impl Read) -> Result<()> {
        self.left -= std::io::copy(&mut from.take(self.left), &mut self.file)?;
        Ok(())
    }
}

/// A printable character other than the space, from the next number of SplitMix64.
fn printable(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    b'!' + u8::try_from(mixed % 94).unwrap_or_default()
}

/// Finds the package in the folder, or downloads it there.
fn linux(folder: &Path) -> Result<Text> {
    let package = match find_package(folder)? {
        Some(package) => package,
        None => {
            eprintln!("mr-bench: downloading {PACKAGE}");
            let status =
                Command::new("apt-get").args(["download", "-q", PACKAGE]).current_dir(folder).status();
            if !status.context("apt-get does not start")?.success() {
                bail!("apt-get cannot download it");
            }
            find_package(folder)?.context("apt-get left no file")?
        }
    };
    let version = Command::new("dpkg-deb").arg("-f").arg(&package).arg("Version").output()?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    Ok(Text::Linux { package, version })
}

fn find_package(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text.starts_with(PACKAGE) && text.ends_with(".deb") {
            return Ok(Some(folder.join(name)));
        }
    }
    Ok(None)
}

fn copy_linux(package: &Path, sink: &mut Limited) -> Result<()> {
    let script = format!(
        "dpkg-deb --fsys-tarfile \"$1\" | tar -xO ./usr/src/{PACKAGE}.tar.xz \
         | tar -xJO --wildcards '*.c' '*.h' 2>/dev/null"
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(package).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().context("no pipe to the archive")?;
    // With enough text the pipe closes early, and the archivers end.
    sink.copy(stdout)?;
    child.wait()?;
    Ok(())
}

fn copy_crates(sink: &mut Limited) -> Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    for entry in WalkDir::new(sources).sort_by_file_name() {
        let entry = entry?;
        if sink.left == 0 {
            return Ok(());
        }
        if entry.path().extension().is_some_and(|extension| extension == "rs") && entry.file_type().is_file()
        {
            sink.copy(File::open(entry.path())?)?;
        }
    }
    Ok(())
}

/// Cuts off a last line that lacks its end.
fn cut_at_newline(file: &File, path: &Path) -> Result<()> {
    use std::os::unix::fs::FileExt;
    /// Bytes at the end that are looked at.
    const TAIL_BYTES: u64 = 1 << 20;
    let bytes = file.metadata()?.len();
    let start = bytes.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(bytes - start)?];
    File::open(path)?.read_exact_at(&mut tail, start)?;
    let newline = memchr::memrchr(b'\n', &tail).context("the text has no lines")?;
    Ok(file.set_len(start + newline as u64 + 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(folder: &Path) -> Data {
        Data::new(folder.to_owned(), Text::Crates)
    }

    #[test]
    fn records_are_lines_with_a_key_and_the_same_every_time() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let records = fs::read(data(a.path()).records(10_050).unwrap()).unwrap();
        assert_eq!(records.len(), 10_000);
        assert!(records.chunks(100).all(|record| record[..KEY_BYTES].iter().all(u8::is_ascii_graphic)));
        assert!(records.split(|byte| *byte == b'\n').take(100).all(|line| line.len() == 99));
        assert_eq!(fs::read(data(b.path()).records(10_050).unwrap()).unwrap(), records);
    }

    #[test]
    fn small_files_hold_the_text_in_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let data = data(folder.path());
        let text = fs::read(data.text(200_000).unwrap()).unwrap();
        assert!(text.len() <= 200_000 && text.ends_with(b"\n"));
        let files = WalkDir::new(data.small_files(200_000, 150).unwrap()).sort_by_file_name();
        let files = files.into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        let parts: Vec<_> = files.map(|entry| fs::read(entry.path()).unwrap()).collect();
        assert_eq!(parts.len(), 150);
        assert!(parts.iter().all(|part| part.is_empty() || part.ends_with(b"\n")));
        assert!(parts.concat() == text);
    }
}
