//! Cuts what each user did into sessions: a session ends where nothing is heard of the user for longer than
//! `gap`.
//!
//! Source: D. Miner and A. Shook, *MapReduce Design Patterns*, chapter 2 (grouping) with the secondary sort of
//! J. Lin and C. Dyer, *Data-Intensive Text Processing with MapReduce*, 3.4.
//!
//! Keys are sorted by user and time, and grouped by the user alone: the engine sorts, so a reducer holds
//! nothing but the session in hand, however much a user did.
//!
//! | | |
//! |---|---|
//! | input | lines `USER TAB TIME TAB ...`; the time is a whole number, of seconds say |
//! | map | key `tuple<text,s64>`: user and time; value `s64`: the time, as groups have the user alone |
//! | reduce | key `tuple<text,s64>`: user and first time; value `tuple<s64,u64>`: last time and number of lines |
//! | `gap` | longest silence within a session, in the unit of the times; 1800 where it is not set |
//!
//! A line without a time is rejected.
//!
//! ```sh
//! mr-engine submit sessions.wasm -i access.tsv -p gap=900 -o sessions
//! ```

use guest_sdk::prelude::*;

/// Emits every line as user and time.
pub struct Events;

impl Mapper for Events {
    type Input = Lines;
    type Output = Emitter<(Text, i64), i64>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Self)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let mut columns = line.as_bytes().split(|byte| *byte == b'\t');
        let (user, time) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        let Some(time) = std::str::from_utf8(time).ok().and_then(|time| time.parse::<i64>().ok()) else {
            return reject("there is no time: use USER TAB TIME");
        };
        out.emit((user, time), time);
        Ok(())
    }
}

/// Finds the sessions of a user.
pub struct Cut {
    gap: u64,
    sessions: Counter,
}

/// From its first to its last time, with the number of lines.
struct Session {
    first: i64,
    last: i64,
    lines: u64,
}

impl Reducer for Cut {
    type Key = (Text,);
    type Value = i64;
    type Output = Emitter<(Text, i64), (i64, u64)>;

    const GROUP_PREFIX: u32 = 1;
    const PARAMS: &'static [Param] =
        &[Param::u64("gap", "longest silence within a session, in the unit of the times").default("1800")];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { gap: task.param("gap")?, sessions: task.counter("sessions") })
    }

    fn reduce(&mut self, (user,): (Str<'_>,), times: &mut Values<'_, i64>, out: &mut Self::Output) -> Result {
        let mut emit = |Session { first, last, lines }| {
            self.sessions.add(1);
            out.emit((&user, first), (last, lines));
        };
        let mut session: Option<Session> = None;
        for time in times {
            match &mut session {
                Some(session) if time.abs_diff(session.last) <= self.gap => {
                    session.last = time;
                    session.lines += 1;
                }
                session => {
                    let ended = session.replace(Session { first: time, last: time, lines: 1 });
                    ended.into_iter().for_each(&mut emit);
                }
            }
        }
        session.into_iter().for_each(emit);
        Ok(())
    }
}

guest_sdk::export! {
    name: "sessions",
    mapper: Events,
    reducer: Cut,
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::Test;

    use super::*;

    #[test]
    fn silence_ends_a_session() {
        let text = "b\t100\nb\t130\tx\na\t7\nb\t161\nb\t90\nb\t131\n";
        let run = Test::new().param("gap", "30").job::<Events, Cut>(text).unwrap();
        assert_eq!(run.text(), "a\t7\t7\t1\nb\t90\t161\t5\n");
        let run = Test::new().param("gap", "29").job::<Events, Cut>(text).unwrap();
        assert_eq!(run.text(), "a\t7\t7\t1\nb\t90\t100\t2\nb\t130\t131\t2\nb\t161\t161\t1\n");
        assert_eq!(run.counters["sessions"], 4);
    }

    #[test]
    fn the_whole_range_of_times_is_taken() {
        let text = format!("a\t{}\na\t{}\n", i64::MIN, i64::MAX);
        let run = Test::new().job::<Events, Cut>(&text).unwrap();
        assert_eq!(run.text(), format!("a\t{0}\t{0}\t1\na\t{1}\t{1}\t1\n", i64::MIN, i64::MAX));
        let run = Test::new().map::<Events>("a\na\tx\n\n").unwrap();
        assert_eq!(run.rejects.len(), 3);
    }
}
