//! Any bytes to `tests::machine::fuzz::web`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::web(bytes));
