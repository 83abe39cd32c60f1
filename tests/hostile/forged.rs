//! Components that no compiler makes: what they want is in their structure, before any of their code runs.
//! Each exports an empty mapper, so that it is taken for a plugin until its structure is looked at.

use std::fmt::Write;

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
        section(&mut outer, 4, &inner);
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

/// A component of so many bytes, all of it code in a few functions, as slow to compile as there is.
pub fn slow_to_compile(bytes: usize) -> Vec<u8> {
    let bodies = bytes.div_ceil(BODY_BYTES);
    let mut module = wat::parse_str("(module)").unwrap();
    // One type, of a function from a number to a number.
    section(&mut module, 1, &[1, 0x60, 1, 0x7e, 1, 0x7e]);
    section(&mut module, 3, &[&leb(bodies)[..], &vec![0; bodies]].concat());
    let body = slow_body(BODY_BYTES.min(bytes));
    let code = [leb(body.len()), body].concat();
    section(&mut module, 10, &[leb(bodies), code.repeat(bodies)].concat());
    // The module is the first section of the component, the rest follows it.
    let rest = component("");
    let (preamble, rest) = rest.split_at(8);
    let mut component = preamble.to_vec();
    section(&mut component, 1, &module);
    component.extend_from_slice(rest);
    component
}

/// A function with as many blocks and values alive at once as its bytes can hold.
fn slow_body(bytes: usize) -> Vec<u8> {
    const LOCALS: u8 = 100;
    // Locals of 64 bits.
    let mut body = vec![1, LOCALS, 0x7e];
    let mut local = 0;
    while body.len() < bytes {
        let (one, other) = (local % LOCALS, (local + 37) % LOCALS);
        // `if (one == 0) { one = one * other + 1 }`: every local is joined after every block.
        body.extend_from_slice(&[0x20, one, 0x50, 0x04, 0x40, 0x20, one, 0x20, other, 0x7e]);
        body.extend_from_slice(&[0x42, 1, 0x7c, 0x21, one, 0x0b]);
        local = (local + 1) % LOCALS;
    }
    body.extend_from_slice(&[0x20, 0, 0x0b]);
    body
}

/// Appends a section.
fn section(module: &mut Vec<u8>, id: u8, content: &[u8]) {
    module.push(id);
    module.extend_from_slice(&leb(content.len()));
    module.extend_from_slice(content);
}

/// A number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
