//! Calls that may fail but not panic.
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whatever it gives: that it does is the test.
#[track_caller]
pub(crate) fn survives<T>(what: &str, call: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(given) => given,
        Err(_) => panic!("{what}: panicked"),
    }
}
