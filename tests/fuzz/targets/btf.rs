//! Any bytes to `tests::fuzz::btf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::btf(bytes));
