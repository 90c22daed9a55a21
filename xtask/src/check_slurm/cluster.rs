//! A Slurm of one node on this machine, for as long as a check takes.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::{files, shell};

/// The daemons, which end with it.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Short, as the path of a socket is in it.
    folder: PathBuf,
    daemons: Vec<Child>,
    /// Raised by Ctrl-C.
    interrupted: Arc<AtomicBool>,
}

impl Cluster {
    /// Starts the daemons and waits until the node is ready.
    pub(super) fn start() -> Result<Self> {
        let [munged, slurmctld, slurmd] = ["munged", "slurmctld", "slurmd"].map(find);
        let (munged, slurmctld, slurmd) = (munged?, slurmctld?, slurmd?);
        let folder = std::env::temp_dir().join(format!("mflow-slurm-{}", std::process::id()));
        files::remove_folder(&folder)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&interrupted)).context("listening for signals")?;
        }
        let mut cluster = Self { folder: folder.clone(), daemons: Vec::new(), interrupted };
        for part in ["state", "spool"] {
            fs::create_dir_all(folder.join(part)).context("making folders for the daemons")?;
        }
        files::write(&cluster.configuration(), configuration(&folder)?.as_bytes())?;

        let key = folder.join("munge.key");
        // It protects nothing: the daemons listen to this machine only, and for a minute.
        files::write(&key, &[7; 1024])?;
        shell::read(Command::new("chmod").args(["go=", "--"]).args([&folder, &key]))?;
        let of = |name: &str| folder.join(format!("munge.{name}"));
        let mut munge = Command::new(munged);
        munge.args(["--foreground", "--force"]);
        for (option, name) in [
            ("--key-file", "key"),
            ("--socket", "socket"),
            ("--pid-file", "pid"),
            ("--log-file", "log"),
            ("--seed-file", "seed"),
        ] {
            munge.arg(option).arg(of(name));
        }
        cluster.spawn("munged", &mut munge)?;
        cluster.wait("munged", || Ok(of("socket").exists()))?;
        for (name, daemon) in [("slurmctld", slurmctld), ("slurmd", slurmd)] {
            let mut command = Command::new(daemon);
            command.arg("-D").arg("-f").arg(cluster.configuration());
            cluster.spawn(name, &mut command)?;
        }
        cluster.wait("the node", || {
            let state = cluster.command("sinfo").args(["--noheader", "--format=%t"]).output();
            Ok(state.is_ok_and(|output| output.stdout.starts_with(b"idle")))
        })?;
        Ok(cluster)
    }

    /// A command of Slurm, or one that calls such, for this cluster.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.configuration());
        command
    }

    /// Waits until something is so.
    pub(super) fn wait(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
        let waited = poll(what, || {
            ensure!(!self.interrupted.load(Ordering::Relaxed), "interrupted");
            is_so()
        });
        waited.inspect_err(|_| println!("{}", self.logs()))
    }

    /// What the daemons said last.
    fn logs(&self) -> String {
        let tails = ["munged", "slurmctld", "slurmd"].map(|name| {
            let text = files::read(&self.log(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("{name}: {}", lines[lines.len().saturating_sub(15)..].join("\n"))
        });
        tails.join("\n")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    fn log(&self, daemon: &str) -> PathBuf {
        self.folder.join(format!("{daemon}.out"))
    }

    fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = fs::File::create(self.log(name)).context("making a log")?;
        command.stdout(log.try_clone().context("sharing a log")?).stderr(log);
        // Ctrl-C is for us: we end the tasks, and then the daemons.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        self.daemons.push(command.spawn().with_context(|| format!("starting {name}"))?);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The processes of tasks are not children of slurmd: they are ended by it first.
        let _ = self.command("scancel").arg("--me").status();
        let _ = poll("the queue", || {
            let queue = self.command("squeue").arg("--noheader").output();
            Ok(queue.is_ok_and(|output| output.stdout.is_empty()))
        });
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = files::remove_folder(&self.folder);
    }
}

/// Waits, for 5 minutes, until something is so.
fn poll(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < Duration::from_mins(5), "waited 5 minutes for {what}");
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A daemon, which may be where users do not look for programs.
fn find(name: &str) -> Result<PathBuf> {
    let mut folders = std::env::var_os("PATH").unwrap_or_default();
    folders.push(OsString::from(":/usr/sbin:/usr/local/sbin"));
    match std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|p| p.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "check-slurm needs munged, slurmctld and slurmd, and found no {name} in {}; on Debian and Ubuntu: \
             apt-get install slurm-wlm munge",
            folders.display()
        ),
    }
}

/// The file `slurm.conf`: one node, whose tasks make place for those of the partition `urgent`.
fn configuration(folder: &Path) -> Result<String> {
    let told = |program: &str, argument: &str| shell::read(Command::new(program).arg(argument));
    let (user, host) = (told("id", "-un")?, told("uname", "-n")?);
    let (user, host) = (user.trim(), host.trim().split('.').next().unwrap_or_default());
    // Held at the same time, so that they differ.
    let free = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
    let mut ports = Vec::new();
    for listener in &free {
        let listener = listener.as_ref().ok().context("finding a free port")?;
        ports.push(listener.local_addr().context("finding a free port")?.port());
    }
    let folder = folder.display();
    Ok(format!(
        "ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={}
SlurmdPort={}
AuthType=auth/munge
# Before credentials have expired, no task is started again.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=bf_interval=1,sched_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=usual Nodes={host} PriorityTier=1
PartitionName=urgent Nodes={host} Default=YES PriorityTier=2 PreemptMode=OFF
",
        ports[0], ports[1]
    ))
}
