//! Any bytes to `tests::machine::fuzz::recording`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::recording(bytes));
