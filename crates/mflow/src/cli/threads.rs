//! Threads: our own pool for rows, none for the tensor library.
//!
//! The tensor library reads its number of threads from the environment. On matrices as small as
//! ours its threads only cost, so the program starts itself anew with an environment of one thread;
//! to set it from within a process with threads would be unsound.
use super::options::Threads;
use anyhow::Result;
use mflow::train::Pool;
use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitCode};

const RAYON: &str = "RAYON_NUM_THREADS";
const CANDLE: &str = "CANDLE_NUM_THREADS";
/// Set once the program has started itself anew, to what `RAYON` was before.
const GUARD: &str = "_MFLOW_THREADS";

/// Start the program anew, in the same process where the system can. `None`: go on in this one.
pub(crate) fn single_threaded_tensors() -> Option<ExitCode> {
    if env::var_os(GUARD).is_some() {
        return None;
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("mflow"));
    let mut command = Command::new(env::current_exe().ok()?);
    command.args(arguments).env(GUARD, env::var_os(RAYON).unwrap_or_default()).env(RAYON, "1");
    if env::var_os(CANDLE).is_none() {
        command.env(CANDLE, "1");
    }
    replace(command, &name)
}

/// Only a failure returns: the program is slower then, but the results are the same.
#[cfg(unix)]
fn replace(mut command: Command, name: &OsString) -> Option<ExitCode> {
    use std::os::unix::process::CommandExt;
    let _not_executed = command.arg0(name).exec();
    None
}

#[cfg(not(unix))]
fn replace(mut command: Command, _name: &OsString) -> Option<ExitCode> {
    let code = command.status().ok()?.code().and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(1)))
}

/// The pool for rows.
pub(super) fn pool(options: Threads) -> Result<Pool> {
    let wished = || env::var(GUARD).or_else(|_| env::var(RAYON)).ok()?.parse().ok();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.map(usize::from).or_else(wished).filter(|&threads| threads > 0);
    Ok(Pool::new(threads.unwrap_or_else(cores))?)
}
