//! The same bits by any number of processes, with one that dies, and with another number that goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{FOLDER, Programs, mpirun};
use crate::files;
use crate::shell;

/// What is trained.
const RUN: &str = include_str!("run.toml");
/// How long a process may take to start and to reach its first checkpoint.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs all checks; what each of them found.
pub(super) fn run(programs: &Programs) -> Result<Vec<String>> {
    let config = Path::new(FOLDER).join("run.toml");
    files::write(&config, RUN.as_bytes())?;
    let check = Check { programs, config };
    let mut found = vec![];
    let mut tell = |line: String| {
        println!("{line}");
        found.push(line);
    };
    let alone = check.folder("alone")?;
    shell::run(&mut check.train(Command::new(&programs.mflow), &alone))?;
    for ranks in [1, 2, 4] {
        let folder = check.folder(&format!("{ranks}-ranks"))?;
        shell::run(check.train(mpirun(ranks, &programs.mflow), &folder).arg("--mpi"))?;
        same(&folder, &alone)?;
        tell(format!("{ranks} ranks: the bits of one process with as many shards"));
    }
    let folder = check.folder("killed")?;
    let complaint = check.interrupted(&folder, "KILL", |rank| rank == 1)?;
    ensure!(
        complaint.contains("rank 1") && complaint.contains("signal 9"),
        "expected mpirun to name rank 1 and signal 9, found: {complaint}"
    );
    shell::run(
        check.train(mpirun(4, &programs.mflow), &folder).args(["--mpi", "--resume", "auto"]),
    )?;
    same(&folder, &alone)?;
    tell("rank 1 of 2 killed (SIGKILL): mpirun names it; 4 ranks go on from the checkpoint, to the same bits".to_owned());
    let folder = check.folder("stopped")?;
    let complaint = check.interrupted(&folder, "TERM", |_| true)?;
    ensure!(
        complaint.contains("the checkpoint is written"),
        "expected a checkpoint, found: {complaint}"
    );
    shell::run(check.train(Command::new(&programs.mflow), &folder).args(["--resume", "auto"]))?;
    same(&folder, &alone)?;
    tell("2 ranks stopped (SIGTERM): they stop at the same update; one process without MPI goes on, to the same bits".to_owned());
    let mut wrong = mpirun(2, &programs.mflow);
    let output = wrong
        .args(["run", "nowhere.toml", "--mpi", "--out"])
        .arg(check.folder("wrong")?)
        .output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "a config that is not there must fail");
    ensure!(
        complaint.matches("nowhere.toml").count() >= 1,
        "expected the file's name, found: {complaint}"
    );
    tell("a mistake ends all ranks, with one message".to_owned());
    Ok(found)
}

struct Check<'a> {
    programs: &'a Programs,
    config: PathBuf,
}

impl Check<'_> {
    /// An empty folder for a run.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = Path::new(FOLDER).join(name);
        files::remove_folder(&folder)?;
        Ok(folder)
    }

    /// The run, by this program.
    fn train(&self, mut program: Command, out: &Path) -> Command {
        program.arg("run").arg(&self.config).args(["--threads", "1", "--out"]).arg(out);
        program
    }

    /// Starts the run with two ranks, and sends a signal to some of them after the first checkpoint: what was said.
    fn interrupted(
        &self,
        folder: &Path,
        signal: &str,
        is_meant: impl Fn(usize) -> bool,
    ) -> Result<String> {
        let mut command = self.train(mpirun(2, &self.programs.mflow), folder);
        command.arg("--mpi").stdout(Stdio::null()).stderr(Stdio::piped());
        println!("$ {}", shell::line(&command));
        let mut job = command.spawn().context("starting mpirun")?;
        if let Err(error) = until(|| Ok(folder.join("checkpoint.safetensors").is_file()), &mut job)
        {
            job.kill().ok();
            return Err(error);
        }
        for (process, rank) in ranks(folder)? {
            if is_meant(rank) {
                shell::run(Command::new("kill").args(["-s", signal, &process.to_string()]))?;
            }
        }
        let output = job.wait_with_output()?;
        ensure!(
            !output.status.success(),
            "the run ended although it was interrupted: make it longer"
        );
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Waits until something is so, as long as the job lives.
fn until(mut is_so: impl FnMut() -> Result<bool>, job: &mut Child) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        if let Some(status) = job.try_wait()? {
            bail!("mpirun ended too early, with {status}");
        }
        ensure!(start.elapsed() < PATIENCE, "nothing came of the run for {PATIENCE:?}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The processes that train in this folder, with their ranks.
fn ranks(folder: &Path) -> Result<Vec<(u32, usize)>> {
    let folder = folder.display().to_string();
    let of_process = |process: u32| -> Option<(u32, usize)> {
        let read = |what: &str| fs::read(format!("/proc/{process}/{what}")).ok();
        let (command, environment) = (read("cmdline")?, read("environ")?);
        let is_ours = command.split(|b| *b == 0).any(|word| word == folder.as_bytes());
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank = environment.split('\0').find_map(|v| v.strip_prefix("OMPI_COMM_WORLD_RANK="))?;
        is_ours.then_some((process, rank.parse().ok()?))
    };
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let processes = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    Ok(processes.filter_map(of_process).collect())
}

/// Refuses runs whose models or learning curves differ in a byte.
fn same(found: &Path, expected: &Path) -> Result<()> {
    for file in ["model.safetensors", "metrics.jsonl"] {
        let read = |folder: &Path| {
            let path = folder.join(file);
            fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        ensure!(
            read(found)? == read(expected)?,
            "{file} in {} differs from that in {}",
            found.display(),
            expected.display()
        );
    }
    Ok(())
}
