//! Decimal numbers as whole numbers of their smallest unit.

/// The number in units of 10^-`decimals`; none for what is no number, has more digits than that behind the
/// point, or does not fit.
pub fn parse(text: &[u8], decimals: u32) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, part) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[..0]),
    };
    let zeros = usize::try_from(decimals).ok()?.checked_sub(part.len())?;
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let all = whole.iter().chain(part).copied().chain(std::iter::repeat_n(b'0', zeros));
    all.into_iter().try_fold(0_i64, |number, digit| {
        let digit = i64::from(char::from(digit).to_digit(10)?);
        let number = number.checked_mul(10)?;
        if negative { number.checked_sub(digit) } else { number.checked_add(digit) }
    })
}

/// The number as text, with all of its decimals.
pub fn show(number: i128, decimals: u32) -> String {
    let sign = if number < 0 { "-" } else { "" };
    let unit = 10_u128.pow(decimals);
    let (whole, part) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:0width$}", width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_shown() {
        for (text, decimals, number, shown) in [
            ("0", 0, 0, "0"),
            ("-0", 2, 0, "0.00"),
            ("12", 2, 1200, "12.00"),
            ("+12.5", 2, 1250, "12.50"),
            ("-.05", 2, -5, "-0.05"),
            ("7.", 1, 70, "7.0"),
            ("9223372036854775807", 0, i64::MAX, "9223372036854775807"),
            ("-9223372036854775808", 0, i64::MIN, "-9223372036854775808"),
        ] {
            assert_eq!(parse(text.as_bytes(), decimals), Some(number), "{text}");
            assert_eq!(show(number.into(), decimals), shown);
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "1.234", "1e5", "1 ", "--1", "x", "9223372036854775808", "1.2.3"] {
            assert_eq!(parse(text.as_bytes(), 2), None, "{text}");
        }
    }
}
