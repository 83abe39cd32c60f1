//! Cells of a type: written as text, and cut behind their first elements. Must not know names of types.

use super::{BadCell, DataType};

/// What a byte is flipped with in the cell of a `desc`; a `desc` inside of another flips back.
const FLIPPED: u8 = 0xff;

impl DataType {
    /// Appends the cell as text: numbers in decimal, text and bytes as they are, tuple elements
    /// separated by tabs, a unit as nothing.
    ///
    /// # Errors
    /// The cell is malformed; what was appended until then stays.
    pub fn render(&self, cell: &[u8], out: &mut Vec<u8>) -> Result<(), BadCell> {
        match self {
            DataType::Bytes | DataType::Text => {
                out.extend_from_slice(cell);
                Ok(())
            }
            _ => match self.render_front(cell, 0, out) {
                Some([]) => Ok(()),
                _ => Err(BadCell { datatype: self.to_string(), bytes: cell.len() }),
            },
        }
    }

    /// Length in bytes of the first `elements` elements of a tuple's cell, which are a cell of
    /// [`DataType::first`]; none where they are malformed or not as many, or the type is no tuple. Looks
    /// at nothing behind them.
    pub fn prefix(&self, cell: &[u8], elements: usize) -> Option<usize> {
        let DataType::Tuple(types) = self else { return None };
        let first = types.get(..elements)?;
        let rest = first.iter().try_fold(cell, |rest, element| element.skip_front(rest, 0))?;
        Some(cell.len() - rest.len())
    }

    /// Type of the first `elements` elements of a tuple; none where it has fewer, or the type is none.
    pub fn first(&self, elements: usize) -> Option<DataType> {
        match self {
            DataType::Tuple(types) => Some(DataType::Tuple(types.get(..elements)?.to_vec())),
            _ => None,
        }
    }

    /// Renders the element at the front of `cell`, whose bytes are flipped with `mask`; answers what is
    /// left, none if it is malformed.
    fn render_front<'a>(&self, cell: &'a [u8], mask: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
        match self {
            DataType::Bytes | DataType::Text => unescape_front(cell, mask, out),
            DataType::U64 => {
                let (word, rest) = word_front(cell, mask)?;
                render_u64(word, out);
                Some(rest)
            }
            DataType::S64 => {
                let (word, rest) = word_front(cell, mask)?;
                let value = (word ^ (1 << 63)).cast_signed();
                if value < 0 {
                    out.push(b'-');
                }
                render_u64(value.unsigned_abs(), out);
                Some(rest)
            }
            DataType::F64 => {
                let (word, rest) = word_front(cell, mask)?;
                out.extend_from_slice(decode_f64(word).to_string().as_bytes());
                Some(rest)
            }
            DataType::Bool => {
                let (value, rest) = bool_front(cell, mask)?;
                out.extend_from_slice(if value { b"true" } else { b"false" });
                Some(rest)
            }
            DataType::Unit => Some(cell),
            DataType::Tuple(elements) => {
                let mut rest = cell;
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        out.push(b'\t');
                    }
                    rest = element.render_front(rest, mask, out)?;
                }
                Some(rest)
            }
            DataType::Desc(inner) => inner.render_front(cell, mask ^ FLIPPED, out),
        }
    }

    /// What is behind the element at the front of `cell`; none if it is malformed.
    fn skip_front<'a>(&self, cell: &'a [u8], mask: u8) -> Option<&'a [u8]> {
        match self {
            DataType::Bytes | DataType::Text => skip_escaped(cell, mask),
            DataType::U64 | DataType::S64 | DataType::F64 => cell.get(size_of::<u64>()..),
            DataType::Bool => bool_front(cell, mask).map(|(_, rest)| rest),
            DataType::Unit => Some(cell),
            DataType::Tuple(elements) => {
                elements.iter().try_fold(cell, |rest, element| element.skip_front(rest, mask))
            }
            DataType::Desc(inner) => inner.skip_front(cell, mask ^ FLIPPED),
        }
    }
}

fn word_front(cell: &[u8], mask: u8) -> Option<(u64, &[u8])> {
    let (word, rest) = cell.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*word) ^ u64::from_ne_bytes([mask; 8]), rest))
}

fn bool_front(cell: &[u8], mask: u8) -> Option<(bool, &[u8])> {
    let (byte, rest) = cell.split_first()?;
    match byte ^ mask {
        0 => Some((false, rest)),
        1 => Some((true, rest)),
        _ => None,
    }
}

fn decode_f64(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
}

fn render_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10).to_le_bytes()[0];
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// What stands before the next zero, whether the zero is one of the text, and what is behind it and its
/// companion.
fn piece_front(cell: &[u8], mask: u8) -> Option<(&[u8], bool, &[u8])> {
    let zero = cell.iter().position(|byte| *byte == mask)?;
    let (companion, rest) = cell[zero + 1..].split_first()?;
    match companion ^ mask {
        0xff => Some((&cell[..zero], true, rest)),
        0 => Some((&cell[..zero], false, rest)),
        _ => None,
    }
}

fn unescape_front<'a>(cell: &'a [u8], mask: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut left = cell;
    loop {
        let (piece, goes_on, rest) = piece_front(left, mask)?;
        out.extend(piece.iter().map(|byte| byte ^ mask));
        if !goes_on {
            return Some(rest);
        }
        out.push(0);
        left = rest;
    }
}

fn skip_escaped(cell: &[u8], mask: u8) -> Option<&[u8]> {
    let mut left = cell;
    loop {
        let (_, goes_on, rest) = piece_front(left, mask)?;
        if !goes_on {
            return Some(rest);
        }
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(datatype: &str, cell: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        datatype.parse::<DataType>().unwrap().render(cell, &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn cells_render_as_text() {
        assert_eq!(rendered("u64", &[0; 8]).unwrap(), "0");
        assert_eq!(rendered("u64", &[255; 8]).unwrap(), u64::MAX.to_string());
        assert_eq!(rendered("s64", &[0; 8]).unwrap(), i64::MIN.to_string());
        assert_eq!(rendered("f64", &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0]).unwrap(), "1.5");
        assert_eq!(rendered("f64", &[0x40, 0x07, 255, 255, 255, 255, 255, 255]).unwrap(), "-1.5");
        assert_eq!(rendered("tuple<text,u64>", b"a\0\xffb\0\0\0\0\0\0\0\0\0\x07").unwrap(), "a\0b\t7");
        assert_eq!(rendered("unit", b"").unwrap(), "");
        assert_eq!(rendered("bool", b"\x01").unwrap(), "true");
        assert_eq!(rendered("desc<text>", b"\x9e\xff\xff").unwrap(), "a");
        assert_eq!(rendered("desc<desc<u64>>", &7u64.to_be_bytes()).unwrap(), "7");
        assert_eq!(rendered("tuple<desc<bool>,text>", b"\xfea\0\0").unwrap(), "true\ta");
    }

    #[test]
    fn malformed_cells_are_refused() {
        for (datatype, cell) in [
            ("u64", b"1234567".as_slice()),
            ("u64", b"123456789"),
            ("unit", b"x"),
            ("bool", b"\x02"),
            ("tuple<text>", b"a"),
            ("desc<text>", b"a\0\0"),
            ("desc<bool>", b"\x01"),
        ] {
            assert_eq!(rendered(datatype, cell), None, "{datatype}");
        }
    }

    #[test]
    fn a_prefix_ends_behind_its_elements() {
        let datatype: DataType = "tuple<text,desc<text>,bool,u64>".parse().unwrap();
        let cell = b"a\0\xffb\0\0\x9e\xff\xff\x01rest";
        let ends: Vec<_> = (0..=5).map(|elements| datatype.prefix(cell, elements)).collect();
        assert_eq!(ends, [Some(0), Some(6), Some(9), Some(10), None, None]);
        assert_eq!(datatype.prefix(b"a\0\x01", 1), None, "no terminator");
        assert_eq!(datatype.prefix(b"a\0\0\x9e\xff\xff\x02", 3), None, "no bool");
        assert_eq!(DataType::U64.prefix(&[0; 8], 1), None, "no tuple");
        assert_eq!(datatype.first(2).unwrap().to_string(), "tuple<text,desc<text>>");
        assert_eq!(datatype.first(5), None);
    }
}
