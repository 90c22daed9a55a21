//! Starting other programs, always from the repository root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Whether cargo may change `Cargo.lock`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lock {
    /// At a desk: a new dependency may enter the lock file.
    Free,
    /// In CI: a lock file that does not fit is an error.
    Locked,
}

/// Makes the repository root the current directory, so that every path in xtask is relative to it. A packed xtask is
/// told where that is, by the variable that cargo sets too.
pub(crate) fn enter_repository() -> Result<()> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR");
    let own = own.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = own.join("..");
    std::env::set_current_dir(&root).with_context(|| format!("entering {}", root.display()))
}

/// `cargo SUBCOMMAND`, by the cargo that started xtask.
pub(crate) fn cargo(subcommand: &str, lock: Lock) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(subcommand.split(' '));
    if matches!(lock, Lock::Locked) {
        command.arg("--locked");
    }
    command
}

/// Shows the command and runs it to its end; a status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}

/// Runs the command silently and returns its standard output; a status other than 0 is an error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| format!("starting `{line}`"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{line}` ended with {}: {}", output.status, complaint.trim());
    String::from_utf8(output.stdout).with_context(|| format!("the output of `{line}` is not UTF-8"))
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(key, value)| {
        Some(format!("{}={}", key.to_string_lossy(), quoted(value?.to_string_lossy().as_ref())))
    });
    let program = Path::new(command.get_program());
    let program =
        program.file_name().filter(|name| *name == "cargo").unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    set.chain(words.map(|word: &OsStr| quoted(&word.to_string_lossy())))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/usr/lib/cargo");
        command.args(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }
}
