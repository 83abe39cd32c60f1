//! Sizes, times and shares as people write them in options and settings, and back again in the same words, so
//! that a sentence about an option can be typed as it stands.

use std::time::Duration;

/// Units of sizes, the greatest first: letter and power of two.
const SIZE_UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];
/// Units of times, the greatest first, with their length in milliseconds.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a number of bytes: `4096`, `64K`, `64M`, `1.5G`, also with `iB` or `B` behind.
///
/// # Errors
/// A sentence that names the text, where it is no size or is 0.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let usage = || format!("{text:?} is no size: use a number of bytes or one with K, M, G or T, as in 64M");
    let trimmed = text.trim();
    let bare = trimmed.strip_suffix("iB").or_else(|| trimmed.strip_suffix('B')).unwrap_or(trimmed);
    let of_unit = |(letter, shift): (char, u32)| {
        Some((bare.strip_suffix([letter, letter.to_ascii_lowercase()])?, shift))
    };
    let (number, shift) = SIZE_UNITS.into_iter().find_map(of_unit).unwrap_or((bare, 0));
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
///
/// # Errors
/// See [`parse_size`].
pub fn parse_reserve(text: &str) -> Result<u64, String> {
    if text.trim() == "0" { Ok(0) } else { parse_size(text) }
}

/// Parses a share, `1%` or `0.25%`, to parts of a million.
///
/// # Errors
/// A sentence that names the text, where it is no share of at most 100%, or has more than 4 decimals.
pub fn parse_percent(text: &str) -> Result<u32, String> {
    let usage = || format!("{text:?} is no share: use one such as 1% or 0.25%, of at most 4 decimals");
    let number = text.trim().strip_suffix('%').ok_or_else(usage)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 4 {
        return Err(usage());
    }
    let whole: u32 = whole.parse().map_err(|_| usage())?;
    let fraction: u32 = format!("{fraction:0<4}").parse().map_err(|_| usage())?;
    let share = whole.checked_mul(10_000).and_then(|share| share.checked_add(fraction));
    share.filter(|share| *share <= 1_000_000).ok_or_else(usage)
}

/// A share in parts of a million, as [`parse_percent`] takes it.
pub fn percent(per_million: u32) -> String {
    let text = format!("{}.{:04}", per_million / 10_000, per_million % 10_000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Parses a time: `30s`, `500ms`, `10m`, `2h`; a bare number is in seconds.
///
/// # Errors
/// A sentence that names the text, where it is no time or is 0.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let usage = || format!("{text:?} is no time: use one such as 500ms, 30s, 10m or 2h");
    // Milliseconds end like seconds, so they are looked for first.
    let (number, millis) = TIME_UNITS
        .into_iter()
        .rev()
        .find_map(|(suffix, millis)| text.strip_suffix(suffix).map(|number| (number, millis)))
        .unwrap_or((text, 1_000));
    let number: u64 = number.parse().map_err(|_| usage())?;
    match number.checked_mul(millis) {
        Some(0) | None => Err(usage()),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

/// A number of bytes in the greatest unit that it is a multiple of, as [`parse_reserve`] takes it.
pub fn size_text(bytes: u64) -> String {
    let whole = |(_, shift): &(char, u32)| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match SIZE_UNITS.into_iter().find(whole) {
        Some((letter, shift)) => format!("{}{letter}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// A time in the greatest unit that it is a multiple of, as [`parse_time`] takes it; in whole
/// milliseconds, rounded up.
pub fn time_text(time: Duration) -> String {
    let millis = u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let whole = |(_, unit): &(&str, u64)| millis > 0 && millis.is_multiple_of(*unit);
    match TIME_UNITS.into_iter().find(whole) {
        Some((suffix, unit)) => format!("{}{suffix}", millis / unit),
        None => "0s".to_owned(),
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
        assert_eq!(parse_reserve("0"), Ok(0));
    }

    #[test]
    fn shares_parse() {
        for (text, share) in
            [("0%", 0), ("1%", 10_000), ("0.25%", 2_500), ("12.3456%", 123_456), ("100%", 1_000_000)]
        {
            assert_eq!((parse_percent(text), percent(share).as_str()), (Ok(share), text));
        }
        for bad in ["", "%", "1", "-1%", "100.1%", "1.23456%", ".5%", "1.%", "99999999999%", "1e1%"] {
            assert!(parse_percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_parse() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("10m", 600_000), ("2h", 7_200_000)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "0s", "-1s", "ms", "1.5s", "1d"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        for (bytes, text) in [(0, "0"), (1, "1"), (1023, "1023"), (1024, "1K"), (3 << 29, "1536M")] {
            assert_eq!((size_text(bytes).as_str(), parse_reserve(text)), (text, Ok(bytes)));
        }
        for (millis, text) in
            [(1, "1ms"), (1_000, "1s"), (90_000, "90s"), (600_000, "10m"), (86_400_000, "24h")]
        {
            let time = Duration::from_millis(millis);
            assert_eq!((time_text(time).as_str(), parse_time(text)), (text, Ok(time)));
        }
        assert_eq!(time_text(Duration::ZERO), "0s");
    }
}
