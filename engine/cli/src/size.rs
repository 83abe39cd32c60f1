//! Sizes and times as people write them.

use std::time::Duration;

/// Parses a number of bytes: `4096`, `64K`, `64M`, `1.5G`, also with `iB` or `B` behind.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let usage = || format!("{text:?} is no size: use a number of bytes or one with K, M, G or T, as in 64M");
    let trimmed = text.trim();
    let bare = trimmed.strip_suffix("iB").or_else(|| trimmed.strip_suffix('B')).unwrap_or(trimmed);
    let unit = |suffix: &[char], shift: u32| bare.strip_suffix(suffix).map(|number| (number, shift));
    let (number, shift) = unit(&['K', 'k'], 10)
        .or_else(|| unit(&['M', 'm'], 20))
        .or_else(|| unit(&['G', 'g'], 30))
        .or_else(|| unit(&['T', 't'], 40))
        .unwrap_or((bare, 0));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || !digits(whole)
        || !digits(fraction)
        || fraction.len() > 6
        || (shift == 0 && number.contains('.'))
    {
        return Err(usage());
    }
    let scale = 10u64.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let whole: u64 = whole.parse().map_err(|_| usage())?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| usage())? };
    let bytes =
        whole.checked_mul(1 << shift).and_then(|bytes| bytes.checked_add((fraction << shift) / scale));
    match bytes {
        Some(0) | None => Err(usage()),
        Some(bytes) => Ok(bytes),
    }
}

/// Parses a number of bytes that may be 0.
pub fn parse_reserve(text: &str) -> Result<u64, String> {
    if text.trim() == "0" { Ok(0) } else { parse_size(text) }
}

/// Parses a time: `30s`, `500ms`, `10m`, `2h`; a bare number is in seconds.
pub fn parse_millis(text: &str) -> Result<Duration, String> {
    let usage = || format!("{text:?} is no time: use one such as 500ms, 30s, 10m or 2h");
    let (number, millis) = [("ms", 1u64), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .find_map(|(suffix, millis)| text.strip_suffix(suffix).map(|number| (number, millis)))
        .unwrap_or((text, 1_000));
    let number: u64 = number.parse().map_err(|_| usage())?;
    match number.checked_mul(millis) {
        Some(0) | None => Err(usage()),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

/// Bytes for people.
pub fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A count for people: thousands apart.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Milliseconds for people.
pub fn seconds(millis: u64) -> String {
    format!("{}.{:02} s", millis / 1000, millis % 1000 / 10)
}

/// How long ago something was, roughly.
pub fn ago(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse() {
        for (text, bytes) in
            [("1", 1), ("64K", 65_536), ("64MiB", 64 << 20), ("1.5G", 3 << 29), ("2t", 2 << 40), ("10B", 10)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "-1", "M", "1.5", "1X", "99999999999T", "1e3", "0x10", "1.M5"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_parse() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("10m", 600_000), ("2h", 7_200_000)]
        {
            assert_eq!(parse_millis(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "0s", "-1s", "ms", "1.5s", "1d"] {
            assert!(parse_millis(bad).is_err(), "{bad}");
        }
    }
}
