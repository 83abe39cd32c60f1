//! Records that say how a plugin is to trap on them: `boom` and a letter.

/// Traps where a record is marked.
#[expect(clippy::panic, reason = "panicking is one of the things a record asks for")]
pub fn act(record: &[u8]) {
    let Some(way) = record.strip_prefix(b"boom ").and_then(|rest| rest.first()) else { return };
    match way {
        b'u' => unreachable_instruction(),
        b'p' => panic!("it cannot go on"),
        b'o' => out_of_bounds(),
        b'd' => drop(std::hint::black_box(1 / std::hint::black_box(0))),
        _ => {}
    }
}

fn unreachable_instruction() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

fn out_of_bounds() {
    let beyond = std::hint::black_box(usize::MAX & !0xff) as *const u64;
    // SAFETY: there is none: the sandbox stops a plugin that reads where its memory is not.
    std::hint::black_box(unsafe { beyond.read_volatile() });
}
