//! Any bytes to `tests::fuzz::web`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::web(bytes));
