//! `mr-engine keygen`, `sign` and `verify`: keys, and signatures that plugins carry in themselves.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mr_policy::key::KeyFileError;
use mr_policy::{KeyError, PublicKey, Signed, SigningKey};
use mr_sandbox::read_component;

use crate::args::policy::{KeygenArgs, SignArgs, VerifyArgs};
use crate::policy::Unusable;

/// Makes a key and prints its public half.
pub fn keygen(args: &KeygenArgs) -> Result<()> {
    let key = SigningKey::create(&args.key).map_err(|error| of_file(&args.key, error))?;
    let public = key.public();
    std::io::stdout().write_all(public.to_pem().as_bytes())?;
    eprintln!(
        "the private key is in {}: keep it to yourself; the public key is what was printed, or in one word {public}",
        args.key.display()
    );
    Ok(())
}

/// Signs a plugin.
pub fn sign(args: &SignArgs) -> Result<()> {
    let key = SigningKey::read(&args.key).map_err(|error| of_file(&args.key, error))?;
    let bytes = read_component(&args.plugin)?;
    let section = mr_policy::sign(&bytes, &key).map_err(|error| unusable(&args.plugin, error))?;
    let target = args.out.as_ref().unwrap_or(&args.plugin);
    let how = match section {
        None if args.out.is_none() => "was signed already by",
        _ => {
            let section = section.as_ref().map_or(&[][..], |section| section);
            write(&args.plugin, target, &[&bytes, section])?;
            "is signed by"
        }
    };
    writeln!(std::io::stdout(), "{} {how} {}", target.display(), key.public())?;
    Ok(())
}

/// Tells who signed a plugin; fails unless somebody did who counts.
pub fn verify(args: &VerifyArgs) -> Result<()> {
    let wanted: Vec<PublicKey> = args.keys.iter().map(|key| public_key(key)).collect::<Result<_, _>>()?;
    let bytes = read_component(&args.plugin)?;
    let signed = Signed::of(&bytes).map_err(|error| unusable(&args.plugin, error))?;
    let counts = |key: &&PublicKey| wanted.is_empty() || wanted.contains(key);
    let verified = signed.signers.iter().any(|key| counts(&key));
    if args.json {
        let signers: Vec<String> = signed.signers.iter().map(PublicKey::to_string).collect();
        let hash = blake3::hash(&bytes).to_hex();
        let value = serde_json::json!({
            "path": args.plugin, "blake3": hash.as_str(), "signers": signers, "verified": verified,
        });
        writeln!(std::io::stdout(), "{value:#}")?;
    } else {
        for key in &signed.signers {
            writeln!(std::io::stdout(), "{} is signed by {key}", args.plugin.display())?;
        }
    }
    if verified {
        return Ok(());
    }
    let reason = match signed.signers.is_empty() {
        true => "is not signed; sign it with `mr-engine sign`",
        false => "is signed, but with none of the keys that --key names",
    };
    Err(unusable(&args.plugin, reason))
}

/// Puts bytes in the place of a file at once, with the mode of the plugin that they come from.
fn write(plugin: &Path, target: &Path, parts: &[&[u8]]) -> Result<()> {
    // What a link points to is replaced, not the link.
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let written = || -> std::io::Result<()> {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.as_file().set_permissions(fs::metadata(plugin)?.permissions())?;
        file.as_file().sync_all()?;
        file.persist(&target)?;
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    written().with_context(|| format!("{} cannot be written", target.display()))
}

/// A key in one word or in a file.
fn public_key(text: &str) -> Result<PublicKey, KeyFileError> {
    let path = PathBuf::from(text);
    let key = if text.starts_with("ed25519:") { text.parse() } else { PublicKey::read(&path) };
    key.map_err(|error| KeyFileError { path, error })
}

fn of_file(path: &Path, error: KeyError) -> KeyFileError {
    KeyFileError { path: path.to_owned(), error }
}

fn unusable(path: &Path, reason: impl ToString) -> anyhow::Error {
    Unusable { path: path.to_owned(), reason: reason.to_string() }.into()
}
