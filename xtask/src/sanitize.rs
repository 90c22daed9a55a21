//! `cargo xtask sanitize`: the unsafe code under tools that see what tests do not.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::shell::{self, Lock};

/// Options of `cargo xtask sanitize`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only this tool; again for more
    #[arg(long = "tool", value_enum)]
    tools: Vec<Tool>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Tool {
    /// Miri, an interpreter that knows what pointers may reach: the products, on paths without vector instructions
    Miri,
    /// The address sanitizer: the tests of mflow-bijectors, with the vector instructions of this processor
    Address,
}

/// Runs the tools, the quicker one first.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |tool: &Tool| options.tools.is_empty() || options.tools.contains(tool);
    for tool in Tool::value_variants().iter().filter(|tool| wanted(tool)) {
        match tool {
            Tool::Miri => miri()?,
            Tool::Address => address()?,
        }
    }
    Ok(())
}

/// The tests of products, which are a target of their own for this.
fn miri() -> Result<()> {
    let version = shell::read(nightly().args(["cargo", "miri", "--version"])).context(
        "there is no Miri; `rustup toolchain install nightly --component miri,rust-src` installs it",
    )?;
    println!("{}", version.trim());
    let mut miri = nightly();
    miri.args(["cargo", "miri", "test", "-p", "mflow-bijectors", "--test", "products"]);
    shell::run(miri.args(["--target-dir", "target/miri"]))
}

/// `rustup run nightly`, without what cargo tells xtask of the toolchain that runs it.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command.args(["run", "nightly"]);
    command
}

/// Without doctests, which take a process each.
fn address() -> Result<()> {
    let about = shell::read(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it compiles for")?;
    ensure!(host.contains("linux"), "the address sanitizer is used on Linux, found {host}");
    let tests = format!("test --profile ci -p mflow-bijectors --lib --tests --target {host}");
    let mut tests = shell::cargo(&tests, Lock::Locked);
    tests.args(["--target-dir", "target/sanitize"]);
    // A sanitizer is no stable option of the compiler; what it links to comes with every toolchain. With a target, build
    // scripts are left as they are.
    tests.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    // The tests of compiled kernels load libraries of their own.
    tests.env("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1");
    shell::run(&mut tests)
}
