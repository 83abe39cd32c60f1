//! The files of AWS profiles, as far as they matter here: sections with `name = value` lines. Nested and
//! unknown lines are passed over. Values are secrets until somebody says otherwise.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Largest file that is read, in bytes: people write it by hand.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The settings of one section.
pub(crate) type Section = HashMap<String, String>;

/// Reads section `name` of a file; none if there is no such file or section. `prefixed` files call a
/// section `[profile NAME]`, but for `[default]`.
pub(crate) fn read(path: &Path, name: &str, prefixed: bool) -> Result<Option<Section>, String> {
    let mut text = String::new();
    let file = match fs::File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
    };
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{} is larger than 1 MiB, so it is no file of profiles", path.display()));
    }
    Ok(section(&text, name, prefixed))
}

fn section(text: &str, name: &str, prefixed: bool) -> Option<Section> {
    let mut found: Option<Section> = None;
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(title) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = is_titled(title, name, prefixed);
            if inside {
                found.get_or_insert_default();
            }
        } else if inside
            && !line.starts_with(char::is_whitespace)
            && !trimmed.starts_with(['#', ';'])
            && let (Some(section), Some((key, value))) = (found.as_mut(), trimmed.split_once('='))
        {
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

fn is_titled(title: &str, name: &str, prefixed: bool) -> bool {
    let title = title.trim();
    if !prefixed || name == "default" && title == "default" {
        return title == name;
    }
    let rest = title.strip_prefix("profile").filter(|rest| rest.starts_with(char::is_whitespace));
    rest.is_some_and(|rest| rest.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# of mine\n[default]\nregion = eu-1\n[profile work]\nregion=us-2 \ns3 =\n  region = nested\n; no = no\nrole_arn = a=b\n[ profile  workshop]\nregion = x\n";

    #[test]
    fn sections_are_found_by_either_kind_of_title() {
        let work = section(FILE, "work", true).unwrap();
        assert_eq!((work["region"].as_str(), work["role_arn"].as_str()), ("us-2", "a=b"));
        assert!(!work.contains_key("; no"));
        assert_eq!(section(FILE, "default", true).unwrap()["region"], "eu-1");
        assert_eq!(section(FILE, "default", false).unwrap()["region"], "eu-1");
        assert_eq!(section(FILE, "work", false), None);
        assert_eq!(section(FILE, "works", true), None);
    }
}
