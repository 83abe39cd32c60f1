//! Components that no compiler makes: what they want is in their structure, before any of their code runs.
//! Each exports an empty mapper, so that it is taken for a plugin until its structure is looked at.

use std::fmt::Write;

use crate::support::bomb::{leb, section};

/// What makes a component look like a plugin.
const EMPTY_MAPPER: &str = r#"(instance $empty) (export "mr:engine/mapper@0.1.0" (instance $empty))"#;
/// Most tables that one core module may have.
const TABLES_OF_MODULE: usize = 100;
/// Bytes of a function's body: close to the most that a core module may have.
const BODY_BYTES: usize = 7_000_000;

/// A component of these definitions.
fn component(definitions: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {definitions} {EMPTY_MAPPER})")).unwrap()
}

/// A component with one instance of a core module of these fields.
fn core(fields: &str) -> Vec<u8> {
    component(&format!("(core module $m {fields}) (core instance (instantiate $m))"))
}

/// A component of no role.
pub fn nothing() -> Vec<u8> {
    wat::parse_str("(component)").unwrap()
}

/// A core module.
pub fn core_module() -> Vec<u8> {
    wat::parse_str("(module (func (export \"run\")))").unwrap()
}

/// Has so much memory from the start, in pages of 64 KiB.
pub fn memory(pages: usize) -> Vec<u8> {
    core(&format!("(memory {pages})"))
}

/// Has so many memories of one page each.
pub fn memories(count: usize) -> Vec<u8> {
    component(&format!("(core module $m (memory 1)) {}", "(core instance (instantiate $m))".repeat(count)))
}

/// Has one table of so many elements.
pub fn table(elements: usize) -> Vec<u8> {
    core(&format!("(table {elements} funcref)"))
}

/// Has so many tables.
pub fn tables(count: usize) -> Vec<u8> {
    let module = format!("(core module $m {})", "(table 1 funcref)".repeat(TABLES_OF_MODULE));
    component(&(module + &"(core instance (instantiate $m))".repeat(count / TABLES_OF_MODULE)))
}

/// Has so many instances of a core module.
pub fn instances(count: usize) -> Vec<u8> {
    component(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(count)))
}

/// Components in components, so many deep.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut inner = nothing();
    for _ in 0..depth {
        let mut outer = nothing();
        section(4, &inner, &mut outer);
        inner = outer;
    }
    inner.extend_from_slice(&component("")[8..]);
    inner
}

/// Lists of lists, so many deep.
pub fn nested_types(depth: usize) -> Vec<u8> {
    let mut types = "(type $t0 (list u8))".to_owned();
    for level in 1..=depth {
        let _ = write!(types, "(type $t{level} (list $t{}))", level - 1);
    }
    component(&types)
}

/// A type that doubles with each level: 2 to the power of `levels` numbers.
pub fn doubled_types(levels: usize) -> Vec<u8> {
    let mut types = "(type $t0 (tuple u64 u64))".to_owned();
    for level in 1..=levels {
        let _ = write!(types, "(type $t{level} (tuple $t{0} $t{0}))", level - 1);
    }
    let _ = write!(
        types,
        r#"(import "mr:engine/output@0.1.0" (instance (export "emit" (func (param "x" $t{levels})))))"#
    );
    component(&types)
}

/// Runs these instructions while it starts.
pub fn starting(instructions: &str) -> Vec<u8> {
    core(&format!("(memory 1) (func $start {instructions}) (start $start)"))
}

/// Calls the engine while it starts.
pub fn starting_with_a_call() -> Vec<u8> {
    component(
        r#"(import "mr:engine/output@0.1.0" (instance $output
                (export "reject" (func (param "row" u32) (param "reason" string)))))
           (core module $memory (memory (export "memory") 1))
           (core instance $memory (instantiate $memory))
           (core func $reject (canon lower (func $output "reject") (memory (core memory $memory "memory"))))
           (core module $m (import "host" "reject" (func $reject (param i32 i32 i32)))
                (func $start (call $reject (i32.const 0) (i32.const 0) (i32.const 4)))
                (start $start))
           (core instance (instantiate $m (with "host" (instance (export "reject" (func $reject))))))"#,
    )
}

/// A component with functions of so many bytes each, as large and as slow to compile as functions can be.
pub fn slow_to_compile(functions: usize) -> Vec<u8> {
    let mut module = wat::parse_str("(module)").unwrap();
    // One type, of a function from a number to a number.
    section(1, &[1, 0x60, 1, 0x7e, 1, 0x7e], &mut module);
    section(3, &[vec![u8::try_from(functions).unwrap()], vec![0; functions]].concat(), &mut module);
    let mut code = vec![u8::try_from(functions).unwrap()];
    for _ in 0..functions {
        let body = slow_body();
        leb(body.len(), &mut code);
        code.extend(body);
    }
    section(10, &code, &mut module);
    // The module comes after everything else.
    let mut component = component("");
    section(1, &module, &mut component);
    component
}

/// A function with as many blocks as its bytes can hold, and a hundred values that live through all of them.
fn slow_body() -> Vec<u8> {
    const LOCALS: u8 = 100;
    // Locals of 64 bits.
    let mut body = vec![1, LOCALS, 0x7e];
    let mut local = 0;
    while body.len() < BODY_BYTES {
        let (one, other) = (local % LOCALS, (local + 37) % LOCALS);
        // `if (one == 0) { one = one * other + 1 }`: every local is joined after every block.
        body.extend_from_slice(&[0x20, one, 0x50, 0x04, 0x40, 0x20, one, 0x20, other, 0x7e]);
        body.extend_from_slice(&[0x42, 1, 0x7c, 0x21, one, 0x0b]);
        local = (local + 1) % LOCALS;
    }
    body.extend_from_slice(&[0x20, 0, 0x0b]);
    body
}
