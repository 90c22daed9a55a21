//! `cargo xtask device run`: all that is to be known of a device, in so many minutes.
//!
//! What is worth most comes first, every record is in its file as soon as it is there, and whatever hangs is ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::cases::{Cases, Preset};
use super::programs::Programs;
use super::record::{Book, FILE, Record, Start};
use super::speed::Speeds;
use super::{machine, suite, whole};
use crate::provenance::Provenance;
use crate::shell::Lock;
use crate::{files, number};

/// What a run takes at most, unless it is told otherwise.
const MINUTES: f64 = 9.0;

/// Ends of the parts in seconds from the start, of a run of [`MINUTES`]; longer and shorter ones in proportion.
const MACHINE: f64 = 25.0;
const TESTS: f64 = 175.0;
/// Until then the peers may compile what has a target.
const OPENED: f64 = 240.0;
const SPEEDS: f64 = 420.0;
const SURFACE: f64 = 480.0;
const IMAGES: f64 = 535.0;

/// Options of `cargo xtask device run`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The device
    #[arg(long, value_enum, default_value_t = Device::Cuda)]
    pub(super) device: Device,
    /// How much is run
    #[arg(long, value_enum, default_value_t = Preset::Full)]
    pub(super) preset: Preset,
    /// Where records, figures and logs go
    #[arg(long, default_value = "target/device-run")]
    pub(super) out: PathBuf,
    /// After so many minutes all has ended
    #[arg(long, default_value_t = MINUTES)]
    pub(super) minutes: f64,
    /// A folder of unpacked programs; without it cargo builds them, for the CPU
    #[arg(long)]
    pub(super) programs: Option<PathBuf>,
    /// The Python of the peers, those that it finds; the others are not timed
    #[arg(long, default_value = "python3")]
    pub(super) python: PathBuf,
}

impl Options {
    /// What was typed, where a script put in the folders.
    fn script(&self) -> String {
        let Self { device, preset, minutes, .. } = self;
        let mut line = "sh xtask/devices/run.sh OUT".to_owned();
        if *device != Device::Cuda {
            line = format!("{line} --device {}", device.name());
        }
        if *preset != Preset::Full {
            line = format!("{line} --preset {}", preset.name());
        }
        if minutes.total_cmp(&MINUTES).is_ne() {
            line = format!("{line} --minutes {minutes}");
        }
        line
    }
}

/// Where it runs.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(super) enum Device {
    /// The first NVIDIA GPU
    Cuda,
    /// A dry run without one
    Cpu,
}

impl Device {
    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Cpu => "cpu",
        }
    }
}

/// Ends of the parts of a run.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Instant,
    scale: f64,
}

impl Clock {
    fn start(minutes: f64) -> Result<Self> {
        ensure!(
            (0.1..=600.0).contains(&minutes),
            "--minutes: expected 0.1 to 600, found {minutes}"
        );
        Ok(Self { start: Instant::now(), scale: minutes / MINUTES })
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds * self.scale)
    }
}

/// Does what the options ask for.
pub(crate) fn run(options: &Options) -> Result<()> {
    by(options, Lock::Free)
}

/// With cargo in CI or at a desk.
pub(super) fn by(options: &Options, lock: Lock) -> Result<()> {
    let Options { device, preset, out, minutes, .. } = options;
    let provenance = match &options.programs {
        Some(folder) => Provenance::packed(folder)?,
        None => Provenance::here()?,
    };
    let programs = match &options.programs {
        Some(folder) => Programs::packed(folder)?,
        None => {
            ensure!(
                *device == Device::Cpu,
                "--device cuda needs programs that were built for it: see `cargo xtask device pack`"
            );
            Programs::built(*preset, lock)?
        }
    };
    let clock = Clock::start(*minutes)?;
    let device = device.name();
    let mut book = Book::create(out)?;
    let Provenance { commit, dirty, date, machine: host, mut command } = provenance;
    if options.programs.is_some() {
        command = options.script();
    }
    book.write(&Record::Start(Start {
        commit,
        dirty,
        date,
        machine: host,
        command,
        device: device.to_owned(),
        preset: preset.name().to_owned(),
        minutes: *minutes,
    }))?;

    part("machine", &mut book, |book| {
        machine::run(&programs, device, *preset, clock.at(MACHINE), book)
    })?;
    let log = out.join("workers.log");
    let log = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    let cases = Cases::read()?.plan(*preset)?;
    let python = &options.python;
    let speeds = Speeds { programs: &programs, device, python, preset: *preset, cases, log: &log };
    let opening = speeds.begin();
    part("tests", &mut book, |book| suite::run(&programs, device, *preset, clock.at(TESTS), book))?;
    part("speeds", &mut book, |book| {
        speeds.run(opening, (clock.at(OPENED), clock.at(SPEEDS)), book)
    })?;
    let folders = (out.as_path(), Path::new("target/device-work"));
    for (run, end) in whole::RUNS.iter().zip([SURFACE, IMAGES]) {
        part(run.part, &mut book, |book| {
            run.run(&programs, device, *preset, folders, clock.at(end), book)
        })?;
    }
    println!(
        "records in {} after {} s",
        out.join(FILE).display(),
        number::seconds(clock.start.elapsed().as_secs_f64())
    );
    Ok(())
}

/// A part, which may fail: the others go on. An error is one of the records themselves.
fn part(name: &str, book: &mut Book, work: impl FnOnce(&mut Book) -> Result<()>) -> Result<()> {
    println!("\n=== {name} ===");
    let start = Instant::now();
    if let Err(error) = work(book) {
        book.not_run(name, &format!("{error:#}"))?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("=== {name}: {} s ===", number::seconds(seconds));
    book.write(&Record::Stage { name: name.to_owned(), seconds })
}

/// Writes a page, or whatever else, below the folder of a run.
pub(super) fn write(out: &Path, name: &str, text: &str) -> Result<()> {
    files::write(&out.join(name), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_in_their_order_and_before_the_run_does() {
        let ends = [MACHINE, TESTS, OPENED, SPEEDS, SURFACE, IMAGES, 60.0 * MINUTES];
        assert!(ends.is_sorted(), "{ends:?}");
        let clock = Clock::start(4.5).unwrap();
        assert_eq!(clock.at(SURFACE) - clock.start, Duration::from_secs_f64(SURFACE / 2.0));
        let error = Clock::start(0.0).unwrap_err().to_string();
        assert!(error.contains("--minutes") && error.contains("found 0"), "{error}");
    }

    #[test]
    fn the_script_is_named_with_what_is_unusual() {
        let mut options = Options {
            device: Device::Cuda,
            preset: Preset::Full,
            out: PathBuf::from("/a/b"),
            minutes: MINUTES,
            programs: Some(PathBuf::from("/tmp/c")),
            python: PathBuf::from("python3"),
        };
        assert_eq!(options.script(), "sh xtask/devices/run.sh OUT");
        (options.device, options.minutes) = (Device::Cpu, 2.5);
        assert_eq!(options.script(), "sh xtask/devices/run.sh OUT --device cpu --minutes 2.5");
    }

    #[test]
    fn a_part_that_fails_is_a_record() {
        let folder = std::env::temp_dir().join(format!("mflow-run-{}", std::process::id()));
        let mut book = Book::create(&folder).unwrap();
        part("speeds", &mut book, |_| anyhow::bail!("no device")).unwrap();
        let records = super::super::record::read(&folder.join(FILE)).unwrap();
        assert!(
            matches!(&records[..], [Record::NotRun { what, why }, Record::Stage { .. }]
                if what == "speeds" && why == "no device"),
            "{records:?}"
        );
        files::remove_folder(&folder).unwrap();
    }
}
