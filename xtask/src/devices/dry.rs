//! CI's dry run of `cargo xtask device run`: little of each part, on the CPU.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::cases::{Cases, Preset};
use super::page;
use super::record::{self, FILE, Record};
use super::run::{self, Device, Options};
use super::whole::{RUNS, Run};
use crate::bench::turns::MFLOW;
use crate::files;
use crate::shell::Lock;

const OUT: &str = "target/device-dry";

/// Runs it, and checks that every part left its records and that the page can be made of them.
pub(crate) fn run() -> Result<()> {
    let out = Path::new(OUT);
    files::remove_folder(out)?;
    let options = Options {
        device: Device::Cpu,
        preset: Preset::Toy,
        out: PathBuf::from(OUT),
        minutes: 5.0,
        programs: None,
        python: PathBuf::from("python3"),
    };
    run::by(&options, Lock::Locked)?;

    let records = record::read(&out.join(FILE))?;
    let lacking = lacking(&records);
    ensure!(lacking.is_empty(), "the dry run left no {}", lacking.join(", no "));
    let page = page::render(Some(&records), &Cases::read()?)?;
    run::write(out, "gpu.md", &page)
}

/// The records that a run should leave and did not.
fn lacking(records: &[Record]) -> Vec<String> {
    let any = |is: &dyn Fn(&Record) -> bool| records.iter().any(is);
    let passed = |record: &Record| {
        matches!(record, Record::Tests(tests)
            if tests.passed > 0 && tests.failed.is_empty() && tests.unfinished.is_empty())
    };
    let all = [
        ("start", any(&|record| matches!(record, Record::Start(_)))),
        ("machine", any(&|record| matches!(record, Record::Machine(_)))),
        ("ceilings", any(&|record| matches!(record, Record::Ceilings(c) if c.flops > 0.0))),
        ("tests that all passed", any(&passed)),
        (
            "speed with its least time",
            any(&|record| {
                matches!(record, Record::Speed(speed)
                if speed.timed.median(MFLOW).is_some() && speed.flops.is_some())
            }),
        ),
    ];
    let lacking = all.into_iter().filter(|(_, is_there)| !is_there);
    let mut lacking: Vec<String> = lacking.map(|(name, _)| name.to_owned()).collect();
    for Run { part, experiment, .. } in RUNS {
        let done = |record: &Record| {
            matches!(record, Record::Whole(whole) if whole.experiment == experiment
                && whole.status == "done"
                && !whole.outcome.metrics.is_empty()
                && whole.phases.iter().map(|phase| &*phase.name).eq(["manifold", "density"]))
        };
        if !any(&done) {
            lacking.push(format!("run of {part} that is done, both phases told"));
        }
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let stage = Record::Stage { name: "speeds".to_owned(), seconds: 1.0 };
        assert_eq!(lacking(&[stage]).len(), 7);
    }
}
