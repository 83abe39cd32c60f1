//! Groups by a prefix of the key, in the native double.

use guest_sdk::prelude::*;
use guest_sdk::testing::Test;

/// Emits `NAME NUMBER`, ordered by name and then by falling numbers.
struct Numbers;

impl Mapper for Numbers {
    type Input = Lines;
    type Output = Emitter<(Text, Desc<u64>), u64>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Numbers)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let fields: Vec<_> = line.words().collect();
        let number: u64 = std::str::from_utf8(&fields[1])?.parse()?;
        out.emit((fields[0], Desc(number)), number);
        Ok(())
    }
}

/// Joins the numbers of a name.
struct Joined;

impl Reducer for Joined {
    type Key = (Text,);
    type Value = u64;
    type Output = Emitter<Text, Text>;

    const GROUP_PREFIX: u32 = 1;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Joined)
    }

    fn reduce(
        &mut self,
        (name,): (Str<'_>,),
        numbers: &mut Values<'_, u64>,
        out: &mut Self::Output,
    ) -> Result {
        let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
        out.emit(name, numbers.join(","));
        Ok(())
    }
}

guest_sdk::export! {
    name: "joined",
    mapper: Numbers,
    reducer: Joined,
}

#[test]
fn a_prefix_of_the_key_makes_a_group() {
    let run = Test::new().job::<Numbers, Joined>("b 1\na 2\na 10\nb 3\na 1\n").unwrap();
    assert_eq!(run.text(), "a\t10,2,1\nb\t3,1\n");
    assert!(description().attributes.contains(&("reduce.group".into(), "1".into())));
}
