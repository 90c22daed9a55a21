//! A process whose memory is watched.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::shell;

/// How often the process is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the program to its end. Seconds, and the most memory that it had, in MiB.
pub(super) fn run(program: &Path, arguments: &str, folder: &Path) -> Result<(f64, f64)> {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(folder).stdout(Stdio::null());
    let line = shell::line(&command);
    println!("$ {line}");
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("starting `{line}`"))?;
    let mut most = None;
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for the program")? {
            break status;
        }
        most = peak(child.id()).or(most);
        std::thread::sleep(PAUSE);
    };
    let seconds = start.elapsed().as_secs_f64();
    ensure!(status.success(), "`{line}` ended with {status}");
    let most = most.with_context(|| format!("the system does not tell the memory of `{line}`"))?;
    Ok((seconds, most))
}

/// The most memory that a process has had so far, in MiB, where the system tells.
fn peak(process: u32) -> Option<f64> {
    peak_in(&std::fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn peak_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read() {
        assert_eq!(peak_in("Name:\tmflow\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2.));
        assert_eq!(peak_in("Name:\tmflow\n"), None);
        assert!(peak(std::process::id()).is_some_and(|mebibytes| mebibytes > 0.5));
    }
}
