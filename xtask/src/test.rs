//! `cargo xtask test`: nextest where it is installed, and the documentation tests.

use anyhow::Result;

use crate::shell::{self, Lock};

/// Runs all tests.
pub(crate) fn run(lock: Lock) -> Result<()> {
    if shell::read(&mut shell::cargo("nextest --version", Lock::Free)).is_ok() {
        println!("*** tests by cargo-nextest ***");
        run_tests("nextest run --workspace --cargo-profile ci", lock)?;
    } else {
        println!(
            "*** cargo-nextest is not installed: tests by cargo test, without time limits ***"
        );
        run_tests("test --workspace --profile ci --lib --bins --tests", lock)?;
    }
    println!("*** documentation tests by cargo test (nextest cannot run them) ***");
    run_tests("test --workspace --profile ci --doc", lock)
}

/// Runs tests with candle on one thread: asked for more, it counts the cores anew in every product.
fn run_tests(arguments: &str, lock: Lock) -> Result<()> {
    let mut tests = shell::cargo(arguments, lock);
    shell::run(tests.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1"))
}
