//! Joins users and their orders: lines `user TAB id TAB name` and `order TAB id TAB item` become
//! `id TAB name TAB item`.

use guest_sdk::prelude::*;

/// Emits what a line says under its id.
pub struct ById;

impl Mapper for ById {
    type Input = Lines;
    type Output = Emitter<Text, (Text, Text)>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(ById)
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
        match fields[..] {
            [kind @ (b"user" | b"order"), id, what] => out.emit(id, (kind, what)),
            _ => return reject("not a user and not an order"),
        }
        Ok(())
    }
}

/// Brings the users and the orders of an id together.
pub struct Join;

impl Reducer for Join {
    type Key = Text;
    type Value = (Text, Text);
    type Output = Emitter<Text, (Text, Text)>;

    fn setup(_: &Task) -> Result<Self> {
        Ok(Join)
    }

    fn reduce(&mut self, id: Str<'_>, values: &mut Values<'_, (Text, Text)>, out: &mut Self::Output) -> Result {
        let (users, orders): (Vec<_>, Vec<_>) = values.partition(|(kind, _)| *kind == "user");
        if users.is_empty() {
            count("orders without a user", i64::try_from(orders.len()).unwrap_or(i64::MAX));
        }
        for (_, name) in &users {
            for (_, item) in &orders {
                out.emit(&id, (name, item));
            }
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "{{name}}",
    mapper: ById,
    reducer: Join,
}

#[test]
fn orders_meet_their_users() {
    let text = "order\t7\tbook\nuser\t7\tAda\norder\t9\tchair\n";
    let run = guest_sdk::testing::Test::new().job::<ById, Join>(text).unwrap();
    assert_eq!(run.text(), "7\tAda\tbook\n");
    assert_eq!(run.counters["orders without a user"], 1);
}
