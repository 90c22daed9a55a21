//! The program, a model to ask, and a service that runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::shell::{self, Lock};
use crate::{files, metadata};

/// Rows of the table that is asked about.
pub(super) const ROWS: usize = 10_000;
/// Columns of it.
pub(super) const COLUMNS: usize = 3;

/// What is run.
pub(super) struct Programs {
    pub(super) mflow: PathBuf,
    pub(super) throughput: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(super) fn built(mut command: Command) -> Result<Self> {
        shell::run(&mut command)?;
        let target = metadata::load(Lock::Free)?.target_directory.join("release");
        Ok(Self { mflow: target.join("mflow"), throughput: target.join("examples/throughput") })
    }
}

/// Fits an M-flow of default size; its training does not matter, as any weights take the same time.
pub(super) fn fit(programs: &Programs, folder: &Path) -> Result<()> {
    files::remove_folder(folder)?;
    let mflow = |arguments: &str| {
        let mut command = Command::new(&programs.mflow);
        command.args(arguments.split(' ')).current_dir(folder);
        shell::run(&mut command)
    };
    std::fs::create_dir_all(folder)?;
    mflow(&format!("data polynomial-surface -n {ROWS} --out data"))?;
    mflow("fit data/x.npy --model m-flow --manifold-dim 2 --start random --epochs 2 --out run")
}

/// A service at work, which ends with it.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
}

impl Service {
    /// Starts one of a verb and its options, at a free port.
    pub(crate) fn start(mflow: &Path, folder: &Path, arguments: &str) -> Result<Self> {
        let mut child = Command::new(mflow)
            .args(arguments.split(' '))
            .args(["--address", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting `mflow {arguments}`"))?;
        let out = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("reading the address")?;
        let address = line.trim().strip_prefix("http://").map(str::to_owned);
        let address = address.with_context(|| format!("expected an address, found {line:?}"))?;
        Ok(Self { child, address })
    }

    /// What a request is answered.
    pub(super) fn send(&self, request: &[u8]) -> Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address).context("connecting")?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        // It may be refused while it is sent.
        stream.write_all(request).ok();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).ok();
        Ok(answer)
    }

    /// The value of a line of /metrics.
    pub(super) fn metric(&self, name: &str) -> Result<f64> {
        let answer =
            self.send(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
        let text = String::from_utf8_lossy(&answer);
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let found = found.with_context(|| format!("/metrics lacks {name}: {text}"))?;
        found.trim().parse().with_context(|| format!("the number {found}"))
    }

    /// Memory of the process, in MiB.
    pub(super) fn memory(&self) -> Result<f64> {
        Ok(self.metric("process_resident_memory_bytes")? / f64::from(1 << 20))
    }

    /// Ends it as a system does, and makes sure that it ends well.
    pub(crate) fn stop(mut self) -> Result<()> {
        shell::run(Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]))?;
        let status = self.child.wait().context("waiting for the service")?;
        ensure!(status.success(), "the service ended with {status}");
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
