//! Conditions on columns: how they are typed and what they mean.

use std::cmp::Ordering;

use guest_sdk::prelude::*;

use crate::column_number;

/// What a column has to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The column, from 0.
    pub column: usize,
    operator: Operator,
    value: Vec<u8>,
    /// The value, if it is a number.
    number: Option<Number>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
    Contains,
}

impl Operator {
    /// As they are typed; one that begins as another comes first.
    const ALL: [(&'static str, Self); 7] = [
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("=", Self::Equal),
        ("<", Self::Below),
        (">", Self::Above),
        ("~", Self::Contains),
    ];
}

/// Conditions with ` and ` between them.
pub fn conditions(text: &str) -> Result<Vec<Condition>> {
    text.split(" and ").map(condition).collect()
}

fn condition(text: &str) -> Result<Condition> {
    let usage = || Error::fatal(format!("{text:?} is no condition: use COLUMN OP VALUE, as in 3>=1000"));
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (column, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let known = Operator::ALL.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
    let (operator, value) = known.ok_or_else(usage)?;
    let value = value.trim();
    let number = number(value.as_bytes());
    Ok(Condition { column: column_number(column)?, operator, value: value.into(), number })
}

/// A number, and what it is exactly where it is a whole one: an f64 has no room for all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    whole: Option<i128>,
    float: f64,
}

impl Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.whole, other.whole) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.float.total_cmp(&other.float),
        }
    }
}

/// The number that a cell is, written with digits, a sign, a point, an exponent; there is but one zero.
fn number(cell: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let float: f64 = text.parse().ok()?;
    Some(Number { whole: text.parse().ok(), float: float + 0.0 })
}

impl Condition {
    /// Whether the column's cell is as it has to be.
    pub fn holds(&self, cell: &[u8]) -> bool {
        let order = match self.number {
            Some(value) => number(cell).map_or(Ordering::Less, |number| number.cmp(&value)),
            None => cell.cmp(&self.value),
        };
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::Below => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Above => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Contains => {
                self.value.is_empty() || cell.windows(self.value.len()).any(|window| window == self.value)
            }
        }
    }
}
