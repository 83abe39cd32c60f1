//! Components that take long to compile: a plugin with code in it that nobody calls.

use std::fs;
use std::path::Path;

/// Bytes of the body of a function: as large as engines take them.
const BODY_BYTES: usize = 64 << 10;

/// A copy of the plugin `from` with so many MiB more of code.
pub fn write(from: &Path, to: &Path, mebibytes: usize) {
    let mut component = fs::read(from).unwrap();
    let functions = mebibytes * (1 << 20) / BODY_BYTES;
    let module = module(functions);
    component.push(1);
    leb(module.len(), &mut component);
    component.extend(module);
    fs::write(to, component).unwrap();
}

/// A core module of functions from a number to a number, each a long product.
fn module(functions: usize) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type: (i64) -> i64.
    section(1, &[1, 0x60, 1, 0x7e, 1, 0x7e], &mut module);
    let mut types = Vec::new();
    leb(functions, &mut types);
    types.resize(types.len() + functions, 0);
    section(3, &types, &mut module);
    let mut code = Vec::new();
    leb(functions, &mut code);
    for number in 0..functions {
        let body = body(number);
        leb(body.len(), &mut code);
        code.extend(body);
    }
    section(10, &code, &mut module);
    module
}

/// No locals; the argument; then times and plus, again and again; the end.
fn body(number: usize) -> Vec<u8> {
    let mut body = vec![0, 0x20, 0];
    let mut turn = number;
    while body.len() < BODY_BYTES {
        turn = turn.wrapping_mul(31).wrapping_add(7);
        let byte = u8::try_from(turn % 64).unwrap();
        // The argument once more, times a constant, exclusive or with what is there.
        body.extend([0x20, 0, 0x42, byte, 0x7e, 0x85]);
    }
    body.push(0x0b);
    body
}

/// Appends a section.
pub fn section(id: u8, content: &[u8], module: &mut Vec<u8>) {
    module.push(id);
    leb(content.len(), module);
    module.extend_from_slice(content);
}

/// Appends a number as WebAssembly writes it.
pub fn leb(mut number: usize, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
