//! `cargo xtask test`: nextest where it is installed, and the documentation tests.

use anyhow::Result;

use crate::shell::{self, Lock};

/// Runs all tests.
pub(crate) fn run(lock: Lock) -> Result<()> {
    if shell::read(&mut shell::cargo("nextest --version", Lock::Free)).is_ok() {
        println!("*** tests by cargo-nextest ***");
        shell::run(&mut shell::cargo("nextest run --workspace --cargo-profile ci", lock))?;
    } else {
        println!(
            "*** cargo-nextest is not installed: tests by cargo test, without time limits ***"
        );
        let tests = "test --workspace --profile ci --lib --bins --tests";
        shell::run(&mut shell::cargo(tests, lock))?;
    }
    println!("*** documentation tests by cargo test (nextest cannot run them) ***");
    shell::run(&mut shell::cargo("test --workspace --profile ci --doc", lock))
}
