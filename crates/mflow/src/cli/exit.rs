//! How the program ends: exit codes, and errors on one line.
use super::output;
use anyhow::{Error, Result};
use mflow::Error as LibraryError;
use std::fmt;
use std::process::ExitCode;

/// How a verb ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// All is done.
    Finished,
    /// A signal stopped it, after a checkpoint.
    Interrupted,
}

/// The command line itself is wrong, whatever the files hold.
#[derive(Debug)]
pub(super) struct Usage(pub(super) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The exit code; an error is printed first.
pub(crate) fn exit_code(result: Result<Done>) -> ExitCode {
    match result {
        Ok(Done::Finished) => ExitCode::SUCCESS,
        Ok(Done::Interrupted) => ExitCode::from(130),
        // Whoever reads the results has seen enough.
        Err(e) if output::is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => ExitCode::from(tell(&e, format_args!(""))),
    }
}

/// Say what went wrong, and where; the exit code.
pub(super) fn tell(error: &Error, place: fmt::Arguments<'_>) -> u8 {
    let usage = of_command(error);
    let code = if usage.is_some() { 2 } else { 1 };
    output::complain(format_args!("error: {place}{}", usage.unwrap_or_else(|| one_line(error))));
    code
}

/// What is wrong with the command line, in its own words, if that is what went wrong.
fn of_command(error: &Error) -> Option<String> {
    match error.downcast_ref::<LibraryError>() {
        Some(LibraryError::Request { field, reason }) => {
            Some(format!("--{}: {reason}", field.replace('_', "-")))
        }
        Some(LibraryError::Setting { file: None, path, message }) => {
            let path = path.as_ref().map_or_else(String::new, |path| format!(" {path}"));
            Some(format!("--set{path}: {message}"))
        }
        _ => error.downcast_ref::<Usage>().map(|_| one_line(error)),
    }
}

/// The error and its causes, `a: b: c`; a cause that its effect quotes already is left out.
fn one_line(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        let cause = cause.trim().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
