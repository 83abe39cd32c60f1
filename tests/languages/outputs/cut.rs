//! Cuts lines behind their first word, and sends records to where the plugin `route` does.

use guest_sdk::prelude::*;

const ERRORS: Port<Text, Text> = Port::new("errors");
const LENGTHS: Port<Text, u64> = Port::new("lengths");

struct Cut {
    errors: PortEmitter<Text, Text>,
    lengths: PortEmitter<Text, u64>,
}

impl Mapper for Cut {
    type Input = Lines;
    type Output = Emitter<Text, Text>;

    const OUTPUTS: &'static [&'static dyn AnyPort] = &[&ERRORS, &LENGTHS];

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { errors: task.output(&ERRORS)?, lengths: task.output(&LENGTHS)? })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let line = line.as_bytes();
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (key, value) = (&line[..end], line.get(end + 1..).unwrap_or_default());
        match (key, value) {
            (_, [b'!', ..]) => self.errors.emit(key, value),
            ([b'z', ..], _) => self.lengths.emit(key, value.len() as u64),
            _ => out.emit(key, value),
        }
        Ok(())
    }
}

guest_sdk::export! { name: "cut", mapper: Cut }
