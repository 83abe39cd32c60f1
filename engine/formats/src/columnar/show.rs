//! Dates, times and decimals as text. Appends, and allocates nothing for a value but for decimals of more
//! than 128 bits.

use std::io::Write;

use arrow_schema::TimeUnit;

/// Days from the first of March of the year 0 to the first of January of 1970.
const EPOCH_DAYS: i64 = 719_468;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

/// Appends a day, counted from 1970 on, as `2026-01-31`.
pub(crate) fn date(days: i64, out: &mut Vec<u8>) {
    // Years begin in March here, so that the leap day is the last one.
    let days = days.saturating_add(EPOCH_DAYS);
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA_DAYS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let _ = if year < 0 { write!(out, "{year:05}-") } else { write!(out, "{year:04}-") };
    let _ = write!(out, "{month:02}-{day:02}");
}

/// Appends a time of day as `12:30:00.250`, with the digits of its unit.
pub(crate) fn time(ticks: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (per_second, digits) = resolution(unit);
    let (seconds, fraction) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
    if digits > 0 {
        let _ = write!(out, ".{fraction:0digits$}");
    }
}

/// Appends an instant, counted from 1970 on, as `2026-01-31T12:30:00.250`, with a `Z` where it is one of UTC.
pub(crate) fn timestamp(ticks: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) {
    let day = 86_400 * resolution(unit).0;
    date(ticks.div_euclid(day), out);
    out.push(b'T');
    time(ticks.rem_euclid(day), unit, out);
    if utc {
        out.push(b'Z');
    }
}

/// Ticks in a second, and digits behind its point.
fn resolution(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// Appends a decimal number: `digits` (with its sign) with the point `scale` digits from the right.
pub(crate) fn decimal(digits: &str, scale: i8, out: &mut Vec<u8>) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    out.extend_from_slice(sign.as_bytes());
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits.as_bytes());
        let zeros = if digits == "0" { 0 } else { places };
        out.resize(out.len() + zeros, b'0');
        return;
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    out.push(b'.');
    out.resize(out.len() + places.saturating_sub(fraction.len()), b'0');
    out.extend_from_slice(fraction.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(show: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        show(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_are_dates() {
        for (days, shown) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_484, "2026-01-31"),
            (-719_528, "0000-01-01"),
            (-719_529, "-0001-12-31"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(text(|out| date(days, out)), shown);
        }
        // Whatever a file holds is shown.
        for days in [i64::MIN, i64::MAX] {
            assert!(text(|out| date(days, out)).len() > 10);
        }
    }

    #[test]
    fn instants_have_the_digits_of_their_unit() {
        let shown = |ticks, unit, utc| text(|out| timestamp(ticks, unit, utc, out));
        assert_eq!(shown(0, TimeUnit::Second, true), "1970-01-01T00:00:00Z");
        assert_eq!(shown(-1, TimeUnit::Millisecond, false), "1969-12-31T23:59:59.999");
        assert_eq!(shown(1_000_000_000_000_001, TimeUnit::Microsecond, false), "2001-09-09T01:46:40.000001");
        assert_eq!(shown(i64::MIN, TimeUnit::Nanosecond, false), "1677-09-21T00:12:43.145224192");
        assert_eq!(text(|out| time(45_000_250, TimeUnit::Millisecond, out)), "12:30:00.250");
    }

    #[test]
    fn decimals_have_their_point() {
        for (digits, scale, shown) in [
            ("12345", 2, "123.45"),
            ("-5", 2, "-0.05"),
            ("0", 3, "0.000"),
            ("12", 0, "12"),
            ("-12", -3, "-12000"),
            ("0", -3, "0"),
        ] {
            assert_eq!(text(|out| decimal(digits, scale, out)), shown);
        }
    }
}
