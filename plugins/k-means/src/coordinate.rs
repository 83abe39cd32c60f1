//! Coordinates as whole numbers of millionths.

/// Digits behind the point.
const DECIMALS: usize = 6;
/// Millionths in one.
const UNIT: u64 = 1_000_000;
/// Largest coordinate, without its sign, in millionths: the squares of differences in millions of dimensions
/// do not add up to what passes 128 bits, nor do sums of as many points as there can be.
const MAX: i64 = 1_000_000_000_000_000;

/// Replaces what is in `into` by the numbers in these columns; false where one is none.
pub fn parse_all<'a>(columns: impl Iterator<Item = &'a [u8]>, into: &mut Vec<i64>) -> bool {
    into.clear();
    for column in columns {
        let Some(coordinate) = parse(column) else { return false };
        into.push(coordinate);
    }
    true
}

fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let (whole, part) = (parts.next()?, parts.next().unwrap_or_default());
    if (whole.is_empty() && part.is_empty()) || part.len() > DECIMALS {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', DECIMALS - part.len());
    let number = whole.iter().chain(part).chain(zeros).try_fold(0_i64, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into()).filter(|number| *number <= MAX)
    })?;
    Some(if negative { -number } else { number })
}

/// The numbers with tabs between them, without zeros at their ends.
pub fn show_all(coordinates: &[i64]) -> String {
    let shown: Vec<String> = coordinates.iter().map(|coordinate| show(*coordinate)).collect();
    shown.join("\t")
}

fn show(coordinate: i64) -> String {
    let sign = if coordinate < 0 { "-" } else { "" };
    let (whole, part) = (coordinate.unsigned_abs() / UNIT, coordinate.unsigned_abs() % UNIT);
    let shown = format!("{sign}{whole}.{part:06}");
    shown.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_read_and_shown() {
        for (text, number, shown) in [
            ("0", 0, "0"),
            ("-0.0", 0, "0"),
            ("10", 10_000_000, "10"),
            ("-1.25", -1_250_000, "-1.25"),
            (".000001", 1, "0.000001"),
            ("1000000000", MAX, "1000000000"),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(number), "{text}");
            assert_eq!(show(number), shown);
        }
        for text in ["", "-", ".", "1.0000001", "x", "1e3", "1000000000.1", "+1", "1.2.3", "--1"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
