#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mr_fuzz::formats::delimited(data));
