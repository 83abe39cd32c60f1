//! Two functions of WASI as the C library declares them, called in ways that the standard library does
//! not lead to.

#[link(wasm_import_module = "wasi:random/random@0.2.0")]
unsafe extern "C" {
    #[link_name = "get-random-bytes"]
    fn get_random_bytes(len: u64, list: *mut [usize; 2]);
}

#[link(wasm_import_module = "wasi:cli/stdout@0.2.0")]
unsafe extern "C" {
    #[link_name = "get-stdout"]
    fn get_stdout() -> i32;
}

/// Asks for `len` random bytes at once.
pub fn random_bytes(len: u64) {
    let mut list = [0; 2];
    // SAFETY: the host fills in address and length of a list.
    unsafe { get_random_bytes(len, &mut list) };
}

/// Makes a handle that is never dropped.
pub fn leak_stdout() {
    // SAFETY: it takes nothing and answers a number.
    unsafe { get_stdout() };
}
