//! Sends records to where they belong: values that begin with `!` to the output `errors`, keys that begin with `z` to
//! the output `lengths`, with the length of the value, all others to the main one. The mapper cuts lines
//! behind their first word, and routes by itself in a job without reducers.

use guest_sdk::prelude::*;

const ERRORS: Port<Text, Text> = Port::new("errors");
const LENGTHS: Port<Text, u64> = Port::new("lengths");

/// Where records go.
pub struct Route {
    errors: PortEmitter<Text, Text>,
    lengths: PortEmitter<Text, u64>,
}

impl Route {
    fn open(task: &Task) -> Result<Self> {
        Ok(Self { errors: task.output(&ERRORS)?, lengths: task.output(&LENGTHS)? })
    }

    fn record(&mut self, key: &[u8], value: &[u8], out: &mut Emitter<Text, Text>) {
        match (key, value) {
            (_, [b'!', ..]) => self.errors.emit(key, value),
            ([b'z', ..], _) => self.lengths.emit(key, value.len() as u64),
            _ => out.emit(key, value),
        }
    }
}

/// Cuts lines.
pub struct Cut(Option<Route>);

impl Mapper for Cut {
    type Input = Lines;
    type Output = Emitter<Text, Text>;

    const PARAMS: &'static [Param] =
        &[Param::text("stray", "open the outputs where there are none").default("no")];
    const OUTPUTS: &'static [&'static dyn AnyPort] = &[&ERRORS, &LENGTHS];

    fn setup(task: &Task) -> Result<Self> {
        let routes = task.partitions() == 0 || task.param::<String>("stray")? == "yes";
        Ok(Self(routes.then(|| Route::open(task)).transpose()?))
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        let line = line.as_bytes();
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (key, value) = (&line[..end], line.get(end + 1..).unwrap_or_default());
        match &mut self.0 {
            Some(route) => route.record(key, value, out),
            None => out.emit(key, value),
        }
        Ok(())
    }
}

impl Reducer for Route {
    type Key = Text;
    type Value = Text;
    type Output = Emitter<Text, Text>;

    const OUTPUTS: &'static [&'static dyn AnyPort] = &[&ERRORS, &LENGTHS];

    fn setup(task: &Task) -> Result<Self> {
        Self::open(task)
    }

    fn reduce(&mut self, key: Str<'_>, values: &mut Values<'_, Text>, out: &mut Self::Output) -> Result {
        while let Some(value) = values.next_view() {
            self.record(key.as_bytes(), value.as_bytes(), out);
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "route",
    mapper: Cut,
    reducer: Route,
}
