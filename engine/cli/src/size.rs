//! Sizes and times as people read them. How they are typed is in [`mr_model::quantity`].

pub use mr_model::quantity::{parse_percent, parse_reserve, parse_size, parse_time as parse_millis};

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
