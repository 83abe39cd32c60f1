//! Counts the first words of lines, and takes its time: so many turns of a loop for each record of its
//! mapper and for each group of its reducer, so that a test finds a job where it wants it.

use guest_sdk::prelude::*;

/// Most groups' keys that a reducer logs.
const LOGGED_MAX: u64 = 3;

/// Goes round `turns` times, each of which waits for the one before.
fn work(turns: u64) {
    let mut state = std::hint::black_box(turns);
    for turn in 0..turns {
        state = (state ^ turn).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(5);
    }
    std::hint::black_box(state);
}

/// Emits the first word of each line with a 1.
pub struct Slow {
    turns: u64,
    lines: Counter,
}

impl Mapper for Slow {
    type Input = Lines;
    type Output = Emitter<Text, u64>;

    const PARAMS: &'static [Param] = &[
        Param::u64("map-turns", "turns of the mapper's loop for each line").default("0"),
        Param::u64("reduce-turns", "turns of the reducer's loop for each group").default("0"),
    ];

    fn setup(task: &Task) -> Result<Self> {
        log(Level::Info, format!("toils at map task {}", task.number()));
        Ok(Self { turns: task.param("map-turns")?, lines: task.counter("lines") })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        work(self.turns);
        self.lines.add(1);
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        out.emit(&line[..end], 1);
        Ok(())
    }
}

/// Adds up early.
pub type Early = Folding<Text, u64, Sum>;

/// Adds up, slowly.
pub struct Late {
    turns: u64,
    groups: u64,
    counter: Counter,
}

impl Reducer for Late {
    type Key = Text;
    type Value = u64;
    type Output = Emitter<Text, u64>;

    const PARAMS: &'static [Param] = Slow::PARAMS;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { turns: task.param("reduce-turns")?, groups: 0, counter: task.counter("groups") })
    }

    fn reduce(&mut self, key: Str<'_>, values: &mut Values<'_, u64>, out: &mut Self::Output) -> Result {
        work(self.turns);
        self.counter.add(1);
        self.groups += 1;
        if self.groups <= LOGGED_MAX {
            log(Level::Info, format!("group {key:?}"));
        }
        out.emit(key, values.sum::<u64>());
        Ok(())
    }
}

guest_sdk::export! {
    name: "toil",
    mapper: Slow,
    combiner: Early,
    reducer: Late,
}
