//! Any bytes to `tests::machine::fuzz::btf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::btf(bytes));
