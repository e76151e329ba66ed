//! Any bytes to `tests::machine::fuzz::trace`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::trace(bytes));
