//! `mflow_fuzz::lhe` under libFuzzer.
#![no_main]
#![allow(missing_docs, reason = "the macro writes functions without any")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mflow_fuzz::lhe(bytes));
