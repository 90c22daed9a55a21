//! `cargo xtask test`: nextest where it is installed, and the documentation tests.

use std::process::Command;

use anyhow::Result;

use crate::shell::{self, Lock};
use crate::tidy::STACK;

/// Crates whose tests run a second time.
const TWICE: [&str; 2] = ["mflow-bijectors", "mflow-core"];

/// Runs all tests. Those of two crates run a second time, without the kernels of the CPU: so is how much of other devices
/// works.
pub(crate) fn run(lock: Lock) -> Result<()> {
    let (all, again) = if shell::read(&mut shell::cargo("nextest --version", Lock::Free)).is_ok() {
        println!("*** tests by cargo-nextest ***");
        // A choice of packages would be compiled anew, a choice of tests is not.
        let all = "nextest run --cargo-profile ci --workspace";
        let again = TWICE.map(|name| format!("package({name})")).join("+");
        (all, format!("{all} -E {again}"))
    } else {
        println!(
            "*** cargo-nextest is not installed: tests by cargo test, without time limits ***"
        );
        let all = "test --profile ci --lib --bins --tests --workspace";
        let others = ["xtask"].into_iter().chain(STACK).filter(|name| !TWICE.contains(name));
        let others: String = others.map(|name| format!(" --exclude {name}")).collect();
        (all, format!("{all}{others}"))
    };
    shell::run(&mut command(all, lock))?;
    println!("*** tests of two crates without kernels, as on other devices ***");
    shell::run(command(&again, lock).env("MFLOW_TEST_DEVICE", "composed"))?;
    println!("*** documentation tests by cargo test (nextest cannot run them) ***");
    shell::run(&mut command("test --workspace --profile ci --doc", lock))
}

/// Cargo, with candle on one thread: asked for more, it counts the cores anew in every product.
fn command(arguments: &str, lock: Lock) -> Command {
    let mut tests = shell::cargo(arguments, lock);
    tests.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
    tests
}
