//! Any bytes to `tests::machine::fuzz::networks`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::networks(bytes));
