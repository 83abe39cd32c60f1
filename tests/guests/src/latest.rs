//! Secondary sort: marks of a name, the newest first. Lines are a name, a time and a mark, apart by tabs; a mapper
//! makes name and time the key, and the reducer is given the marks of a name in the order of their times.

use guest_sdk::prelude::*;

/// Reads lines.
pub struct Marks;

impl Mapper for Marks {
    type Input = Lines;
    type Output = Emitter<(Text, Desc<u64>), Text>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Marks)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let mut fields = line.as_bytes().split(|byte| *byte == b'\t');
        let (Some(name), Some(time), Some(mark)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Error::invalid("a line has not three fields"));
        };
        let time: u64 = std::str::from_utf8(time)?.parse()?;
        out.emit((name, Desc(time)), mark);
        Ok(())
    }
}

/// Joins the marks of a name.
pub struct Latest;

impl Reducer for Latest {
    type Key = (Text,);
    type Value = Text;
    type Output = Emitter<Text, Text>;

    const GROUP_PREFIX: u32 = 1;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Latest)
    }

    fn reduce(
        &mut self,
        (name,): (Str<'_>,),
        marks: &mut Values<'_, Text>,
        out: &mut Self::Output,
    ) -> Result {
        let mut joined = Vec::new();
        while let Some(mark) = marks.next_view() {
            joined.extend_from_slice(&mark);
            joined.push(b',');
        }
        out.emit(name, joined);
        Ok(())
    }
}

guest_sdk::export! {
    name: "latest",
    mapper: Marks,
    reducer: Latest,
}
