//! Numbers as text, as rows and JSON have them. Runs for every number of every row: eight digits are read
//! together, and floats of few digits are divided once.

use std::ops::Range;

/// A byte in every byte of a word.
const ONES: u64 = u64::MAX / 0xff;
/// All bits but the uppermost of every byte of a word.
const LOWER: u64 = ONES * 0x7f;
/// Digits that fit a `u64` whatever they are.
const DIGITS_SAFE: usize = 19;
/// Digits that fit a float to the last bit whatever they are.
const DIGITS_EXACT: usize = 15;
/// Powers of ten that are floats to the last bit.
const TENS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Powers of ten for the digits of a word.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A number: the first `length` bytes of `rest`, which may go on with anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) length: usize,
}

impl<'a> Digits<'a> {
    /// What is written.
    #[inline]
    pub(crate) fn text(self) -> &'a [u8] {
        &self.rest[..self.length]
    }

    /// Digits only.
    #[inline]
    pub(crate) fn unsigned(self) -> Option<u64> {
        match self.length {
            0 => None,
            1..=8 => self.word(),
            9..=16 => {
                let back = self.part(8..self.length);
                Some(self.part(0..8).word()? * POWERS[back.length] + back.word()?)
            }
            _ => parse_long(self.text()),
        }
    }

    /// Digits, maybe behind a minus.
    #[inline]
    pub(crate) fn signed(self) -> Option<i64> {
        match self.minus() {
            Some(digits) => 0_i64.checked_sub_unsigned(digits.unsigned()?),
            None => i64::try_from(self.unsigned()?).ok(),
        }
    }

    /// A decimal number, maybe with an exponent, `inf` or `NaN`, maybe behind a minus.
    #[inline]
    pub(crate) fn float(self) -> Option<f64> {
        match self.minus() {
            Some(digits) => digits.exact().map(|value| -value).or_else(|| parse_float(self.text())),
            None => self.exact().or_else(|| parse_float(self.text())),
        }
    }

    /// What follows a minus.
    #[inline]
    fn minus(self) -> Option<Self> {
        let is_minus = self.length > 0 && self.rest.first() == Some(&b'-');
        is_minus.then(|| self.part(1..self.length))
    }

    #[inline]
    fn part(self, part: Range<usize>) -> Self {
        Self { rest: self.rest.get(part.start..).unwrap_or_default(), length: part.len() }
    }

    /// A number of up to 15 digits without an exponent: its digits and the power of ten that they are divided by are
    /// both floats to the last bit, so that the quotient is the nearest one. None for all others.
    #[inline]
    fn exact(self) -> Option<f64> {
        if self.length > DIGITS_EXACT {
            return None;
        }
        let point = self.point();
        let (whole, back) = (self.part(0..point), self.length - point);
        if !(1..=8).contains(&whole.length) {
            return None;
        }
        match back {
            0 => Some(whole.word()? as f64),
            2..=9 => {
                let behind = self.part(point + 1..self.length);
                let digits = whole.word()? * POWERS[behind.length] + behind.word()?;
                Some(digits as f64 / TENS[behind.length])
            }
            _ => None,
        }
    }

    /// Where the point of a number of up to 15 bytes is; its length if there is none.
    #[inline]
    fn point(self) -> usize {
        let Some(chunk) = self.rest.first_chunk::<16>() else {
            return self.text().iter().position(|byte| *byte == b'.').unwrap_or(self.length);
        };
        let word = u128::from_le_bytes(*chunk) ^ (u128::MAX / 0xff * u128::from(b'.'));
        // Borrows make only bytes behind the first point found wrong.
        let found = word.wrapping_sub(u128::MAX / 0xff) & !word & (u128::MAX / 0xff * 0x80);
        self.length.min((found.trailing_zeros() / 8) as usize)
    }

    /// The value of up to eight digits, at least one.
    #[inline]
    fn word(self) -> Option<u64> {
        let word = match self.rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.text().iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        };
        // The last digit comes to be the uppermost byte, below the first one are zeros.
        let shift = 8 * (8 - self.length);
        let word = (word ^ (ONES * u64::from(b'0'))) << shift;
        let above_nine = ((word & LOWER) + ONES * (0x7f - 9)) | word;
        if above_nine & !LOWER != 0 {
            return None;
        }
        let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
        let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff)
    }
}

/// Digits that may be too many for a `u64`.
fn parse_long(text: &[u8]) -> Option<u64> {
    let (front, back) = text.split_at(text.len().min(DIGITS_SAFE));
    let value = front.iter().try_fold(0_u64, |value, byte| Some(value * 10 + digit(*byte)?))?;
    back.iter().try_fold(value, |value, byte| value.checked_mul(10)?.checked_add(digit(*byte)?))
}

fn digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit <= 9).then_some(u64::from(digit))
}

fn parse_float(text: &[u8]) -> Option<f64> {
    match text {
        b"inf" => return Some(f64::INFINITY),
        b"-inf" => return Some(f64::NEG_INFINITY),
        b"NaN" => return Some(f64::NAN),
        _ => {}
    }
    // What the standard library takes beside numbers as above: a plus ahead, names in any case.
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of digits, of one sign and point, and of what is near to digits.
    fn texts() -> Vec<String> {
        let mut seed = 1_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut text = |_| {
            let mut text: String = (0..=next(21)).map(|_| char::from(b"0123456789"[next(10)])).collect();
            match next(4) {
                0 => {}
                1 => text.insert(next(text.len() + 1), '.'),
                2 => text.insert(0, '-'),
                _ => text.insert(next(text.len() + 1), char::from(b"/:.-e,+ \xff"[next(9)])),
            }
            if next(3) == 0 { format!("-{text}") } else { text }
        };
        (0..300_000).map(&mut text).collect()
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for text in texts() {
            let bytes = text.as_bytes();
            let around = [bytes, b"7777777777777777"].concat();
            for rest in [bytes, &around] {
                let digits = Digits { rest, length: text.len() };
                let plus = text.starts_with('+');
                assert_eq!(digits.unsigned(), text.parse().ok().filter(|_| !plus), "{text}");
                // The minus of nothing is no number, as there.
                assert_eq!(digits.signed(), text.parse().ok().filter(|_| !plus), "{text}");
                let float = text.parse::<f64>().ok().filter(|_| !plus).map(f64::to_bits);
                assert_eq!(digits.float().map(f64::to_bits), float, "{text}");
            }
        }
    }
}
