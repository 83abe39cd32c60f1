//! The built-in steps by hand: `bindgen WIT WORLD DIR`, or `componentize CORE WIT WORLD OUT`.

use std::path::Path;
use std::process::ExitCode;

use mr_componentize::{Error, Wasi, World, bindgen_c, componentize};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["bindgen", wit, world, dir] => {
            World::read(Path::new(wit), world).and_then(|world| bindgen_c(&world, Path::new(dir)))
        }
        ["componentize", core, wit, world, out] => run(core, wit, world, out),
        _ => {
            eprintln!("usage: componentize bindgen WIT WORLD DIR | componentize CORE WIT WORLD OUT");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(core: &str, wit: &str, world: &str, out: &str) -> Result<(), Error> {
    let world = World::read(Path::new(wit), world)?;
    componentize(Path::new(core), &world, Wasi::Adapted, Path::new(out))
}
