//! `docs/results/gpu.md`, made of the committed records of a run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::cases::{Case, Cases};
use super::record::{self, Ceilings, Phase, Record, Speed, Start, Whole};
use super::speed::{CPU, least, rate};
use super::whole::{RUNS, Run};
use crate::bench::turns::{self, MFLOW, PEERS, Target, Timed};
use crate::provenance::Provenance;
use crate::reproduce::{self, Experiment, Outcome};
use crate::table::Table;
use crate::{files, number};

/// Where records are kept, one file for each run; the last by name is shown.
const RECORDS: &str = "docs/results/runs/gpu";
const PAGE: &str = "docs/results/gpu.md";
/// The folder of the page.
const RESULTS: &str = "docs/results";

/// What stands in the place of a number that nobody has measured, and of one that a run has not.
const NOT_YET: &str = "not yet run";
const NOT_TIMED: &str = "not timed";

/// Options of `cargo xtask device page`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The records of a run, gpu.jsonl: they are taken into docs/results, and the figures beside them
    file: Option<PathBuf>,
}

/// Takes new records, if there are any, and writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(file) = &options.file {
        take(file)?;
    }
    files::write(Path::new(PAGE), page()?.as_bytes())?;
    println!("saved in {PAGE}");
    Ok(())
}

/// The page, if it is not what its records give now.
pub(crate) fn outdated() -> Result<Option<PathBuf>> {
    let path = PathBuf::from(PAGE);
    let current = files::read(&path).is_ok_and(|text| page().is_ok_and(|page| page == text));
    Ok((!current).then_some(path))
}

fn page() -> Result<String> {
    let records = newest()?.map(|path| record::read(&path)).transpose()?;
    render(records.as_deref(), &Cases::read()?)
}

/// Copies records and figures to where they are kept.
fn take(file: &Path) -> Result<()> {
    let records = record::read(file)?;
    let Start { date, commit, .. } = start(&records)
        .with_context(|| format!("{}: expected a record of the start", file.display()))?;
    let copy = |from: &Path, to: &Path| {
        let bytes = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
        files::write(to, &bytes)
    };
    copy(file, &Path::new(RECORDS).join(format!("{date}-{commit}.jsonl")))?;
    for run in RUNS {
        let (figure, to) = (file.with_file_name(run.kept_figure()), picture(&run));
        let to = Path::new(RESULTS).join(to);
        if figure.is_file() {
            copy(&figure, &to)?;
        } else if to.is_file() {
            // That of an earlier run would stand beside the numbers of this one.
            fs::remove_file(&to).with_context(|| format!("removing {}", to.display()))?;
        }
    }
    Ok(())
}

/// Where the picture of a run is kept, from the page.
fn picture(run: &Run) -> String {
    format!("figures/gpu-{}", run.kept_figure())
}

fn newest() -> Result<Option<PathBuf>> {
    let Ok(entries) = fs::read_dir(RECORDS) else { return Ok(None) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("listing {RECORDS}"))?.path();
        files.extend(path.extension().is_some_and(|e| e == "jsonl").then_some(path));
    }
    Ok(files.into_iter().max())
}

fn start(records: &[Record]) -> Option<&Start> {
    records.iter().find_map(|record| match record {
        Record::Start(start) => Some(start),
        _ => None,
    })
}

/// The page of these records, or of none.
pub(super) fn render(records: Option<&[Record]>, cases: &Cases) -> Result<String> {
    let speeds: Vec<&Speed> = records.unwrap_or_default().iter().filter_map(speed).collect();
    let mut page = format!("# On a GPU\n\n{}\n", intro(records)?);
    page += "\nWhat was aimed at: a ratio is the time of the other over ours, a speed is in points per second.\n\n";
    let lacking = if records.is_some() { NOT_TIMED } else { NOT_YET };
    page += &targets(cases, &speeds, lacking).markdown();
    if let Some(records) = records {
        for part in [
            ceilings(records),
            speed_tables(records, &speeds),
            tests(records),
            whole_runs(records)?,
            not_run(records),
        ] {
            page += &part;
        }
    }
    page += HOW;
    Ok(page)
}

/// How to run it.
const HOW: &str = "
## How to run it

Where Rust and 4 GB of disk are, without a GPU:

```sh
cargo xtask device pack # 13 to 25 minutes at first; target/device, 17 MB
```

Copy the repository, with `target/device`, to a machine with an NVIDIA GPU of compute capability 9.0 or newer, a driver
for CUDA 13, and Python with PyTorch for CUDA 13 (its libraries are used, nothing is installed) and JAX. There, in the
repository:

```sh
sh xtask/devices/run.sh OUT # 9 minutes; OUT gets gpu.jsonl, figures, logs
```

Then take the records: `cargo xtask device page OUT/gpu.jsonl`. What is timed, and the targets, are in
[cases.toml](../../xtask/devices/cases.toml).
";

fn speed(record: &Record) -> Option<&Speed> {
    match record {
        Record::Speed(speed) => Some(speed),
        _ => None,
    }
}

fn intro(records: Option<&[Record]>) -> Result<String> {
    let Some(records) = records else {
        return Ok("Not yet run: there are no records of a run on a GPU.".to_owned());
    };
    let Some(Start { commit, dirty, date, machine, command, device, .. }) = start(records) else {
        bail!("expected a record of the start, found none");
    };
    let gpus = records.iter().find_map(|record| match record {
        Record::Machine(machine) if !machine.gpus.is_empty() => Some(machine.gpus.join("; ")),
        _ => None,
    });
    let gpus = gpus.unwrap_or("no GPU".to_owned());
    let commit = Provenance::commit_text(commit, *dirty);
    Ok(format!(
        "Written by `cargo xtask device page` from the records of `{command}` on {date}, commit {commit}: device `{device}`, \
         {gpus}; {machine}."
    ))
}

/// What was aimed at beside what was measured.
fn targets(cases: &Cases, speeds: &[&Speed], lacking: &str) -> Table {
    let mut table = Table::new(["target", "batch", "against", "at least", "measured", "reached"]);
    for Case { name, targets, speeds: least, .. } in &cases.case {
        let timed = |batch: usize| -> Option<&Timed> {
            let mut timed = speeds.iter().map(|speed| &speed.timed);
            timed.find(|timed| timed.name == *name && timed.batch == batch)
        };
        let mut row = |batch: usize, against: &str, goal: f64, measured: Option<f64>| {
            let (measured, reached) = match measured {
                Some(measured) => {
                    (number::short(measured), if measured >= goal { "yes" } else { "NO" })
                }
                None => (lacking.to_owned(), "-"),
            };
            let cells =
                [name.as_str(), &batch.to_string(), against, &number::short(goal), &measured];
            table.push(cells.into_iter().chain([reached]));
        };
        for Target { batch, against, ratio } in targets {
            let measured = timed(*batch).and_then(|timed| timed.ratio(against));
            let against = if against == CPU { "our CPU, 2 threads" } else { against };
            row(*batch, against, *ratio, measured);
        }
        for goal in least {
            let seconds = timed(goal.batch).and_then(|timed| timed.median(MFLOW));
            let measured = seconds.map(|seconds| goal.batch as f64 / seconds);
            row(goal.batch, "points per second", goal.points_per_second, measured);
        }
    }
    table
}

fn measured_ceilings(records: &[Record]) -> Option<&Ceilings> {
    records.iter().find_map(|record| match record {
        Record::Ceilings(ceilings) => Some(ceilings),
        _ => None,
    })
}

fn ceilings(records: &[Record]) -> String {
    let Some(Ceilings { size, flops, bytes }) = measured_ceilings(records) else {
        return "\nIts ceilings were not measured.\n".to_owned();
    };
    format!(
        "\nMeasured through the same tensor library: {} TFLOP/s in products of f32 matrices of {size} rows and columns, {} GB/s \
         in copies (reads and writes).\n",
        number::short(flops / 1e12),
        number::short(bytes / 1e9)
    )
}

fn speed_tables(records: &[Record], speeds: &[&Speed]) -> String {
    if speeds.is_empty() {
        return String::new();
    }
    let rates = measured_ceilings(records).map(|ceilings| (ceilings.flops, ceilings.bytes));
    let mut head: Vec<String> = ["case", "batch", "ms", "points/s"].map(str::to_owned).to_vec();
    head.extend(PEERS.iter().chain(&[CPU]).map(|other| format!("{other} / ours")));
    head.extend(["least ms".to_owned(), "share".to_owned()]);
    let mut table = Table::new(head);
    for Speed { timed, flops, bytes, .. } in speeds {
        let ours = timed.median(MFLOW);
        let least = rates.and_then(|rates| least((*flops, *bytes), rates));
        let short = |value: Option<f64>| value.map_or("-".to_owned(), number::short);
        let mut row = vec![timed.name.clone(), timed.batch.to_string()];
        row.extend([short(ours.map(|seconds| seconds * 1e3)), rate(timed.batch, ours)]);
        row.extend(PEERS.iter().chain(&[CPU]).map(|other| short(timed.ratio(other))));
        row.push(short(least.map(|seconds| seconds * 1e3)));
        row.push(short(least.zip(ours).map(|(least, ours)| least / ours)));
        table.push(row);
    }
    let mut versions = String::new();
    for record in records {
        if let Record::Versions(found) = record {
            let _ = write!(versions, "; {}", found.versions);
        }
    }
    let all: Vec<Timed> = speeds.iter().map(|speed| speed.timed.clone()).collect();
    format!(
        "
## Speeds

All take turns on the device, in f32; `{CPU}` is two threads of ours on the CPU of that machine. Ratios are medians of
those of neighbouring turns; above 1, ours is faster. *Least* is the longer of two times: that of the case's matrix
products (three times as many in a step) and that of the bytes of its inputs, results and parameters, at the measured
ceilings; *share* is how much of ours it is. Versions: {}.

{}
{}",
        versions.trim_start_matches("; "),
        table.markdown(),
        turns::notes(&all)
    )
}

fn tests(records: &[Record]) -> String {
    let mut table = Table::new(["tests", "passed", "failed", "no verdict", "ignored", "s"]);
    let mut sums: BTreeMap<&str, ([usize; 4], f64)> = BTreeMap::new();
    let mut failures = String::new();
    for record in records {
        match record {
            Record::Tests(tests) => {
                let counts =
                    [tests.passed, tests.failed.len(), tests.unfinished.len(), tests.ignored];
                let (sum, seconds) = sums.entry(&tests.binary).or_default();
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                *seconds += tests.seconds;
            }
            Record::Again(again) => {
                let verdict = match again.passed {
                    true => "passes alone",
                    false => "fails alone too",
                };
                let lines = again.output.lines().filter(|line| !line.trim().is_empty());
                // Where it panicked, and with which words.
                let said: String = lines.take(2).map(|line| format!(": {line}")).collect();
                let (name, said) = (&again.name, said.replace('`', "'"));
                let _ = writeln!(failures, "- `{name}` of {} {verdict}{said}", again.binary);
            }
            _ => {}
        }
    }
    if sums.is_empty() {
        return String::new();
    }
    for (binary, (counts, seconds)) in sums {
        let counts = counts.map(|count| count.to_string());
        let [passed, failed, open, ignored] = counts;
        table.push([binary, &passed, &failed, &open, &ignored, &number::seconds(seconds)]);
    }
    let again = match failures.is_empty() {
        true => String::new(),
        false => format!("\nRun again, each in a process of its own:\n\n{failures}"),
    };
    format!(
        "
## Tests

The tests of three crates with `MFLOW_TEST_DEVICE`, in processes of up to 20 tests; seconds are summed over processes.

{}{again}",
        table.markdown()
    )
}

fn whole_runs(records: &[Record]) -> Result<String> {
    let mut sections = String::new();
    for run in RUNS {
        let found = records.iter().find_map(|record| match record {
            Record::Whole(whole) if whole.experiment == run.experiment => Some(whole),
            _ => None,
        });
        if let Some(whole) = found {
            sections += &whole_run(&run, whole)?;
        }
    }
    Ok(sections)
}

/// What became of a run of the program, how fast it trained and what it learnt.
fn whole_run(run: &Run, whole: &Whole) -> Result<String> {
    let Run { heading, title, caption, .. } = run;
    let mut section = format!(
        "\n## {heading}\n\n{title}; by the program, data, evaluation and figures included: {} after {} s.\n",
        whole.status,
        number::seconds(whole.seconds)
    );
    if !whole.phases.is_empty() {
        let _ = write!(section, "\n{}{TRAINING}", training(&whole.phases).markdown());
    }
    if !whole.outcome.metrics.is_empty() {
        let _ = write!(section, "\n{}", outcomes(run, whole)?.markdown());
    }
    let picture = picture(run);
    if Path::new(RESULTS).join(&picture).is_file() {
        let _ = writeln!(section, "\n![{caption}]({picture})");
    }
    Ok(section)
}

const TRAINING: &str = "
Times are with validation, and without the first epoch of a phase that has several; losses are means over an epoch.
";

fn training(phases: &[Phase]) -> Table {
    let head =
        ["phase", "epochs", "updates each", "ms per update", "loss of the first", "of the last"];
    let mut table = Table::new(head);
    for phase in phases {
        let again = match phase.attempt {
            0 => String::new(),
            earlier => format!(", attempt {}", earlier + 1),
        };
        table.push([
            format!("{}{again}", phase.name),
            phase.epochs.to_string(),
            phase.updates_per_epoch.to_string(),
            number::short(phase.seconds_per_update * 1e3),
            number::short(phase.first_loss),
            number::short(phase.last_loss),
        ]);
    }
    table
}

/// What was measured, beside what the same model came to on the CPU.
fn outcomes(run: &Run, whole: &Whole) -> Result<Table> {
    let Run { experiment: name, model, beside, .. } = run;
    let Whole { preset, outcome, .. } = whole;
    let experiment = Experiment::load(name)?;
    let metrics = experiment.metric.iter().filter(|metric| !metric.detail);
    let shown: Vec<_> = metrics.filter(|metric| outcome.value(&metric.key).is_some()).collect();
    let mut head = vec!["run".to_owned()];
    head.extend(shown.iter().map(|metric| metric.title.clone()));
    head.extend(["train s", "total s"].map(str::to_owned));
    let mut table = Table::new(head);
    let mut row = |title: String, outcomes: &[&Outcome]| {
        let median = |of: &dyn Fn(&Outcome) -> Option<f64>| {
            number::median(outcomes.iter().filter_map(|outcome| of(outcome)))
        };
        let mut cells = vec![title];
        cells.extend(shown.iter().map(|metric| {
            let value = median(&|outcome| outcome.value(&metric.key));
            value.map_or("-".to_owned(), |value| metric.text(value))
        }));
        cells.extend(["train", "total"].map(|key| {
            let value = median(&|outcome| outcome.seconds.get(key).copied());
            value.map_or("-".to_owned(), number::seconds)
        }));
        table.push(cells);
    };
    row(format!("this device, preset {preset}"), &[outcome]);
    for on_cpu in [preset.as_str()].iter().chain(*beside) {
        let kept = reproduce::kept(name, on_cpu, model)?;
        if !kept.is_empty() {
            let title = format!("CPU, 2 cores, preset {on_cpu}, median of {}", kept.len());
            row(title, &kept.iter().collect::<Vec<_>>());
        }
    }
    Ok(table)
}

fn not_run(records: &[Record]) -> String {
    let line = |record: &Record| match record {
        Record::NotRun { what, why } => {
            let why: Vec<&str> = why.split_whitespace().collect();
            Some(format!("- {what}: {}\n", why.join(" ")))
        }
        _ => None,
    };
    let lines: String = records.iter().filter_map(line).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n## What was not run\n\n{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Again, Failure, Machine, Tests};
    use super::*;
    use crate::shell;

    fn cases() -> Cases {
        shell::enter_repository().unwrap();
        Cases::read().unwrap()
    }

    #[test]
    fn without_records_the_page_says_so() {
        let page = render(None, &cases()).unwrap();
        assert!(page.contains("Not yet run: there are no records"), "{page}");
        let targets = targets(&cases(), &[], NOT_YET).markdown();
        let (rows, open) = (targets.lines().count() - 2, targets.matches(NOT_YET).count());
        assert!(rows > 5 && rows == open, "{targets}");
        assert!(page.contains("cargo xtask device pack"), "{page}");
    }

    #[test]
    fn with_records_it_has_all_parts() {
        let cases = cases();
        let (name, batch) = (cases.case[0].name.clone(), cases.case[0].batches[0]);
        let rounds = [(MFLOW, vec![1e-3; 3]), ("flowjax", vec![4e-3; 3]), (CPU, vec![20e-3; 3])];
        let rounds = rounds.map(|(name, rounds)| (name.to_owned(), rounds)).into();
        let mut timed = Timed { name, batch, rounds, notes: BTreeMap::new() };
        timed.lacks("zuko", "not compiled in time");
        let start = Start {
            commit: "abc".to_owned(),
            dirty: false,
            date: "2026-12-01".to_owned(),
            machine: "a CPU, 16 cores".to_owned(),
            command: "cargo xtask device run".to_owned(),
            device: "cuda".to_owned(),
            preset: "full".to_owned(),
            minutes: 9.0,
        };
        let machine =
            Machine { gpus: vec!["H".to_owned()], smi: String::new(), info: String::new() };
        let failed = vec![Failure { name: "laws::a".to_owned(), output: "differs".to_owned() }];
        let tests = Tests { binary: "b it".to_owned(), passed: 7, failed, ..Tests::default() };
        let again = Again {
            binary: "b it".to_owned(),
            name: "laws::a".to_owned(),
            passed: false,
            output: "\nvalues differ\nby much".to_owned(),
        };
        let mut outcome = Outcome::default();
        let error = serde_json::from_str(r#"{"value": 0.0031}"#).unwrap();
        outcome.metrics.insert("reconstruction_error".to_owned(), error);
        let phase = Phase {
            name: "density".to_owned(),
            attempt: 1,
            epochs: 4,
            updates_per_epoch: 18,
            seconds_per_update: 0.125,
            first_loss: 950.0,
            last_loss: -31.0,
        };
        let [surface, images] = RUNS.map(|run| Whole {
            experiment: run.experiment.to_owned(),
            model: run.model.to_owned(),
            preset: "device".to_owned(),
            status: "done".to_owned(),
            seconds: 80.0,
            phases: Vec::new(),
            outcome: Outcome::default(),
        });
        let surface = Whole { outcome, ..surface };
        let status = "killed: out of time".to_owned();
        let images = Whole { status, phases: vec![phase], ..images };
        let records = [
            Record::Start(start),
            Record::Machine(machine),
            Record::Ceilings(Ceilings { size: 4096, flops: 5e13, bytes: 4e12 }),
            Record::Tests(tests),
            Record::Again(again),
            Record::Speed(Speed {
                timed,
                flops: Some(1e10),
                bytes: Some(1e6),
                opening: BTreeMap::new(),
            }),
            Record::Whole(surface),
            Record::Whole(images),
            Record::NotRun { what: "sampling".to_owned(), why: "out of\ntime".to_owned() },
        ];
        let page = render(Some(&records), &cases).unwrap();
        for part in [
            "device `cuda`, H; a CPU, 16 cores.",
            "50 TFLOP/s",
            "`laws::a` of b it fails alone too: values differ: by much",
            "- sampling: out of time",
            "done after 80 s",
            "killed: out of time after 80 s",
            "-31 |\n\nTimes are with validation",
            "| density, attempt 2 |      4 |           18 |           125 |               950 |         -31 |",
            "0.0031",
            "- zuko: not timed: not compiled in time (NLL step, d = 3, batch 10000)",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
        let line = |part: &str| page.lines().find(|line| line.contains(part)).unwrap().to_owned();
        assert!(line(" flowjax |").contains("4.0 |     yes"), "{}", line(" flowjax |"));
        assert!(line("our CPU, 2 threads |").contains(" NO "), "20 is less than 30: {page}");
        // 1e10 over 5e13 is 0.2 ms of the 1 ms.
        assert!(line("1.0 |    1.0e7").trim_end_matches(" |").ends_with("0.20"), "{page}");
    }

    #[test]
    fn records_without_a_start_are_an_error() {
        let error = render(Some(&[]), &cases()).unwrap_err().to_string();
        assert!(error.contains("expected a record of the start"), "{error}");
    }
}
