//! Any bytes to `tests::machine::fuzz::yaml`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::yaml(bytes));
