//! Conditions on counters: what ends a loop, and what fails a job. Also the names of the sums that the engine
//! keeps itself, beside the plugins' counters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::counter::{Counters, ENGINE_GROUP};

/// Most conditions of one job: all are judged at its end, and more than a person would write are a mistake.
pub const CONDITIONS_MAX: usize = 64;

/// Sums of the engine's own that a job's conditions may name, over the attempts that count.
pub const ENGINE_COUNTERS: [&str; 9] = [
    "mr/input-records",
    "mr/input-bytes",
    "mr/map-output-records",
    "mr/map-output-bytes",
    "mr/shuffle-records",
    "mr/reduce-groups",
    "mr/output-records",
    "mr/output-bytes",
    "mr/rejects",
];

/// `COUNTER OP NUMBER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    counter: String,
    comparison: Comparison,
    number: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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

impl Condition {
    /// Name of the counter that it is about.
    pub fn counter(&self) -> &str {
        &self.counter
    }

    /// Whether these counters are as asked for. One that nobody counted is 0.
    pub fn holds(&self, counters: &Counters) -> bool {
        self.holds_for(counters.value(&self.counter))
    }

    /// Whether this value of the counter is as asked for.
    pub fn holds_for(&self, value: i64) -> bool {
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

impl FromStr for Condition {
    type Err = String;

    /// The name of the counter may hold spaces: number and comparison are the last two words.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            format!(
                "{text:?} is no condition: use COUNTER OP NUMBER with blanks between them, OP one of < <= == != >= >"
            )
        };
        let (rest, number) = text.trim().rsplit_once(' ').ok_or_else(usage)?;
        let (counter, comparison) = rest.trim_end().rsplit_once(' ').ok_or_else(usage)?;
        let known = Comparison::ALL.iter().find(|(_, sign)| *sign == comparison);
        let (comparison, _) = known.ok_or_else(usage)?;
        let number = number.replace('_', "").parse().map_err(|_| usage())?;
        let counter = counter.trim().to_owned();
        if counter.is_empty() { Err(usage()) } else { Ok(Self { counter, comparison: *comparison, number }) }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Comparison::ALL.iter().find(|(known, _)| *known == self.comparison);
        write!(f, "{} {} {}", self.counter, sign.map_or("", |(_, sign)| sign), self.number)
    }
}

/// A condition of a job, as it is typed.
///
/// # Errors
/// It is none, or names a counter in the engine's group that the engine does not keep.
pub fn parse_job_condition(text: &str) -> Result<Condition, String> {
    let condition: Condition = text.parse()?;
    let counter = condition.counter();
    if counter.starts_with(ENGINE_GROUP) && !ENGINE_COUNTERS.contains(&counter) {
        return Err(format!("the engine keeps no {counter}; it keeps {}", ENGINE_COUNTERS.join(", ")));
    }
    Ok(condition)
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
            let condition: Condition = text.parse().unwrap();
            assert_eq!(condition.holds(&counters), holds, "{text}");
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
        for bad in ["", "x", "x <", "x < y", "< 3", "x = 3", "x<3", "x < 3.5"] {
            assert!(bad.parse::<Condition>().is_err(), "{bad}");
        }
    }

    #[test]
    fn conditions_of_jobs_name_what_there_is() {
        for text in ["mr/rejects > 3", "mine/rejects > 3", "rejects > 3"] {
            assert_eq!(parse_job_condition(text).unwrap().to_string(), text);
        }
        let refused = parse_job_condition("mr/reject > 3").unwrap_err();
        assert!(
            refused.starts_with("the engine keeps no mr/reject; it keeps mr/input-records, "),
            "{refused}"
        );
    }
}
