//! Who compiles plugins for this program: processes of its own, within what was typed.

use std::sync::Arc;

use mr_executor::{Apart, CompileLimits, Program};
use mr_sandbox::Compiler;

use crate::args::CompileArgs;
use crate::executor;

/// This program as a process that runs plugins.
pub fn program() -> Program {
    Program::this(executor::NAME)
}

/// What was typed about the cost of compiling.
pub fn limits(args: &CompileArgs) -> CompileLimits {
    CompileLimits { memory_bytes: args.compile_memory, time: args.compile_time }
}

/// A compiler in processes apart.
pub fn apart(args: &CompileArgs) -> Compiler {
    let apart: Arc<Apart> = Apart::new(program(), limits(args));
    Compiler::Apart(apart)
}
