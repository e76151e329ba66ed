//! Any bytes to `tests::machine::fuzz::accept`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::machine::fuzz::accept(bytes));
