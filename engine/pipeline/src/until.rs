//! When a loop ends: a counter compared with a number.

use std::fmt;
use std::str::FromStr;

use mr_model::Counters;

/// `COUNTER OP NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    counter: String,
    comparison: Comparison,
    number: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

impl Comparison {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Less, "<"),
        (Self::AtMost, "<="),
        (Self::Equal, "=="),
        (Self::Unequal, "!="),
        (Self::AtLeast, ">="),
        (Self::More, ">"),
    ];
}

impl Until {
    /// Whether these counters are as asked for. One that nobody counted is 0.
    pub fn holds(&self, counters: &Counters) -> bool {
        let value = counters.iter().find(|(name, _)| *name == self.counter).map_or(0, |(_, sum)| sum);
        match self.comparison {
            Comparison::Less => value < self.number,
            Comparison::AtMost => value <= self.number,
            Comparison::Equal => value == self.number,
            Comparison::Unequal => value != self.number,
            Comparison::AtLeast => value >= self.number,
            Comparison::More => value > self.number,
        }
    }
}

impl FromStr for Until {
    type Err = String;

    /// The name of the counter may hold spaces: number and comparison are the last two words.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{text:?} is no condition: use COUNTER OP NUMBER, OP one of < <= == != >= >");
        let (rest, number) = text.trim().rsplit_once(' ').ok_or_else(usage)?;
        let (counter, comparison) = rest.trim_end().rsplit_once(' ').ok_or_else(usage)?;
        let known = Comparison::ALL.iter().find(|(_, sign)| *sign == comparison);
        let (comparison, _) = known.ok_or_else(usage)?;
        let number = number.replace('_', "").parse().map_err(|_| usage())?;
        let counter = counter.trim().to_owned();
        if counter.is_empty() { Err(usage()) } else { Ok(Self { counter, comparison: *comparison, number }) }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Comparison::ALL.iter().find(|(known, _)| *known == self.comparison);
        write!(f, "{} {} {}", self.counter, sign.map_or("", |(_, sign)| sign), self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare() {
        let mut counters = Counters::default();
        counters.add("moved far", 7).unwrap();
        for (text, holds) in [
            ("moved far < 8", true),
            ("moved far < 7", false),
            ("moved far <= 7", true),
            ("moved far == 7", true),
            ("moved far != 7", false),
            ("moved far >= 1_000", false),
            ("moved far > 6", true),
            ("nobody == 0", true),
            ("nobody > -1", true),
        ] {
            let until: Until = text.parse().unwrap();
            assert_eq!(until.holds(&counters), holds, "{text}");
            assert_eq!(until.to_string().parse(), Ok(until));
        }
        for bad in ["", "x", "x <", "x < y", "< 3", "x = 3", "x<3", "x < 3.5"] {
            assert!(bad.parse::<Until>().is_err(), "{bad}");
        }
    }
}
