//! A plugin that counts equal lines, and does what the parameter `mode` says where a line begins
//! with `boom`: in its mapper, combiner or reducer.

use std::cell::Cell;

use guest_sdk::prelude::*;

mod marks;

/// Bytes of the record that `huge-record` emits.
const HUGE_BYTES: usize = 2 << 20;

/// What to do, and where.
struct Conduct {
    mode: String,
    here: bool,
    attempt: u32,
    /// Records that it was to act on.
    met: Cell<u32>,
}

impl Conduct {
    const PARAMS: &'static [Param] = &[
        Param::text("mode", "what to do").default("nothing"),
        Param::text("role", "who does it: mapper, combiner, reducer").default("mapper"),
    ];

    fn new(task: &Task, role: &str) -> Result<Self> {
        let mode: String = task.param("mode")?;
        let here = task.param::<String>("role")? == role;
        match mode.as_str() {
            "setup-fatal" if here => Err(Error::fatal("nothing is set up")),
            _ => Ok(Self { mode, here, attempt: task.attempt(), met: Cell::new(0) }),
        }
    }

    #[expect(clippy::panic, reason = "panicking is one of the things it is told to do")]
    fn act(&self, record: &[u8]) -> Result {
        if !self.here || !record.starts_with(b"boom") {
            return Ok(());
        }
        match self.mode.as_str() {
            "panic" => panic!("it cannot go on"),
            "trap" => trap(),
            "marked" => marks::act(record),
            "third" if self.met.replace(self.met.get() + 1) == 2 => trap(),
            "spin" => {
                log(Level::Warn, "spinning");
                spin();
            }
            "allocate" => allocate(),
            "exit" => std::process::exit(3),
            "invalid" => return Err(Error::invalid("this is no line")),
            "fatal" => return Err(Error::fatal("this is no job")),
            "transient" => return Err(Error::transient("not today")),
            "transient-once" if self.attempt == 0 => return Err(Error::transient("not at first")),
            "reject" => return reject("not wanted"),
            _ => {}
        }
        Ok(())
    }
}

fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

fn spin() -> ! {
    let mut turn = 0u64;
    loop {
        turn = std::hint::black_box(turn.wrapping_add(1));
    }
}

fn allocate() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

/// Emits lines.
pub struct Lined {
    conduct: Conduct,
    lines: Counter,
    odd: Counter,
}

impl Mapper for Lined {
    type Input = Lines;
    type Output = Emitter<Text, u64>;

    const PARAMS: &'static [Param] = Conduct::PARAMS;

    fn setup(task: &Task) -> Result<Self> {
        log(Level::Info, format!("maps task {}", task.number()));
        Ok(Self {
            conduct: Conduct::new(task, "mapper")?,
            lines: task.counter("lines"),
            odd: task.counter("odd/boom lines"),
        })
    }

    fn map(&mut self, line: Line<'_>, out: &mut Self::Output) -> Result {
        self.lines.add(1);
        if self.conduct.mode == "count" && line.starts_with(b"boom") {
            self.odd.add(1);
        }
        self.conduct.act(&line)?;
        if self.conduct.mode == "huge-record" && line.starts_with(b"boom") {
            out.emit(vec![b'x'; HUGE_BYTES], 1);
        }
        if self.conduct.mode != "reject" || !line.starts_with(b"boom") || !self.conduct.here {
            out.emit(line, 1);
        }
        Ok(())
    }
}

/// Adds up early.
pub struct Early(Conduct);

impl Combiner for Early {
    type Key = Text;
    type Value = u64;

    const PARAMS: &'static [Param] = Conduct::PARAMS;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self(Conduct::new(task, "combiner")?))
    }

    fn combine(
        &mut self,
        key: Str<'_>,
        values: &mut Values<'_, u64>,
        out: &mut Combined<'_, Text, u64>,
    ) -> Result {
        self.0.act(&key)?;
        out.emit(values.sum::<u64>());
        Ok(())
    }
}

/// Adds up.
pub struct Late {
    conduct: Conduct,
    groups: Counter,
}

impl Reducer for Late {
    type Key = Text;
    type Value = u64;
    type Output = Emitter<Text, u64>;

    const PARAMS: &'static [Param] = Conduct::PARAMS;

    fn setup(task: &Task) -> Result<Self> {
        Ok(Self { conduct: Conduct::new(task, "reducer")?, groups: task.counter("groups") })
    }

    fn reduce(&mut self, key: Str<'_>, values: &mut Values<'_, u64>, out: &mut Self::Output) -> Result {
        self.groups.add(1);
        self.conduct.act(&key)?;
        if self.conduct.mode != "reject" || !key.starts_with(b"boom") || !self.conduct.here {
            out.emit(key, values.sum::<u64>());
        }
        Ok(())
    }
}

guest_sdk::export! {
    name: "unruly",
    mapper: Lined,
    combiner: Early,
    reducer: Late,
}
