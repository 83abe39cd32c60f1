//! The network alone: map output as workers fetch it from each other, against a bare QUIC stream in the
//! same run. The measuring program is an example of `mr-net`, which has both ends in one process.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::report::{Section, Spread, Target};
use crate::setup::Setup;

/// Least part of a bare stream's rate that a segment has.
const BARE_LEAST: f64 = 0.8;
/// Rounds in each process, whose medians it tells.
const ROUNDS: &str = "3";

/// What the measuring program calls the contestants.
const BARE: &str = "bare quinn, our settings";
const BARE_DEFAULTS: &str = "bare quinn, its defaults";
const SEGMENT: &str = "segment";
const NO_OFFLOAD: &str = "segment, no offload";

/// Measures.
pub fn run(setup: &Setup) -> Result<Section> {
    let program = setup.example("mr-net", "segment_rate")?;
    let mib = setup.sizes.transfer_mib.to_string();
    let mut rounds = Vec::new();
    for _ in 0..setup.runs {
        let output = Command::new(&program).args([&mib, ROUNDS]).output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        rounds.push(parse(&String::from_utf8(output.stdout)?).context("segment_rate said nonsense")?);
    }
    let names: Vec<String> = rounds.iter().take(1).flatten().map(|(_, name)| name.clone()).collect();
    let rates = |name: &str| -> Vec<f64> {
        rounds.iter().flatten().filter(|(_, found)| found == name).map(|(rate, _)| *rate).collect()
    };
    let over = |a: &str, b: &str| -> Spread { rates(a).iter().zip(rates(b)).map(|(a, b)| a / b).collect() };
    let mut section = Section::new(format!("cluster: segments of {mib} MiB over QUIC on loopback"));
    for name in &names {
        section.number(name.clone(), rates(name).into_iter().collect(), "MiB/s", Target::None);
    }
    section.ratio("segment over bare quinn, same settings", over(SEGMENT, BARE), Target::AtLeast(BARE_LEAST));
    section.ratio("segment over bare quinn, its defaults", over(SEGMENT, BARE_DEFAULTS), Target::None);
    section.ratio("segmentation offload (on) over none", over(SEGMENT, NO_OFFLOAD), Target::None);
    Ok(section)
}

/// Lines of a rate and a name.
fn parse(text: &str) -> Option<Vec<(f64, String)>> {
    text.lines()
        .map(|line| {
            let (rate, name) = line.trim().split_once(" MiB/s ")?;
            Some((rate.trim().parse().ok()?, name.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let text = "    812 MiB/s  segment\n  1,1 MiB/s  x\n";
        assert_eq!(parse(text.lines().next().unwrap()), Some(vec![(812.0, "segment".to_owned())]));
        assert_eq!(parse(text), None);
    }
}
