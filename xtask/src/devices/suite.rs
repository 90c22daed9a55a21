//! The tests that compute on the device, in many processes: a device that fails takes along all that follows in its
//! process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::cases::Preset;
use super::child::{Ended, run_until};
use super::programs::{Programs, TestBinary};
use super::record::{Again, Book, Failure, Record, Tests};

/// The modules whose tests say most, in this order.
const FIRST: [&str; 7] =
    ["laws", "gradients", "authors", "models", "training", "learning", "resume"];

/// Tests in one process.
const SIZE: usize = 20;

/// The dry run's tests: those of this name.
const TOY: &str = "laws::of::coupling_affine";

/// Lines that are kept of what a failed test printed.
const LINES: usize = 12;

/// Failed tests that run again, each alone.
const AGAIN: usize = 60;

/// The part of the time that is for them.
const AGAIN_SHARE: f64 = 0.2;

/// Some tests of a binary.
#[derive(Clone, Debug, PartialEq)]
struct Group<'a> {
    binary: &'a TestBinary,
    name: String,
    tests: Vec<String>,
}

/// Runs the tests until then, the most telling ones first.
pub(super) fn run(
    programs: &Programs,
    device: &str,
    preset: Preset,
    until: Instant,
    book: &mut Book,
) -> Result<()> {
    let mut groups = Vec::new();
    for binary in &programs.tests {
        let ended =
            run_until(command(binary, device)?.args(["--list", "--format", "terse"]), until)?;
        ensure!(ended.is_success(), "{}: {}: {}", binary.title(), ended.end(), ended.complaints);
        let wanted = |name: &&str| preset == Preset::Full || name.contains(TOY);
        groups.extend(grouped(binary, listed(&ended.output).filter(wanted)));
    }
    let titles = || programs.tests.iter().map(TestBinary::title).collect::<Vec<_>>().join(", ");
    ensure!(!groups.is_empty(), "no tests: expected some in {}", titles());
    groups.sort_by_key(|group| priority(&group.name));
    let left = until.saturating_duration_since(Instant::now());
    let first = Instant::now() + left.mul_f64(1.0 - AGAIN_SHARE);

    let mut again = Vec::new();
    in_parallel(
        groups,
        |group| match Instant::now() < first {
            true => Some(run_group(group, device, first)),
            false => None,
        },
        |group, tests| {
            let title = format!("tests {} of {}", group.name, group.binary.title());
            let Some(tests) = tests else { return book.not_run(&title, "out of time") };
            let tests = tests?;
            println!(
                "{title}: {} passed, {} failed, {} without a verdict ({})",
                tests.passed,
                tests.failed.len(),
                tests.unfinished.len(),
                tests.end
            );
            let failed = tests.failed.iter().map(|failure| &failure.name).chain(&tests.unfinished);
            again.extend(failed.map(|name| (group.binary, name.clone())));
            book.write(&Record::Tests(tests))
        },
    )?;
    again.truncate(AGAIN);
    in_parallel(
        again,
        |(binary, name)| match Instant::now() < until {
            true => Some(run_alone(binary, name, device, until)),
            false => None,
        },
        |(binary, name), again| match again {
            Some(again) => book.write(&Record::Again(again?)),
            None => book.not_run(&format!("{name} of {} alone", binary.title()), "out of time"),
        },
    )
}

/// Does the work of all items on half of the cores, and takes the results as they come.
fn in_parallel<T: Sync, R: Send>(
    items: Vec<T>,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(&T, R) -> Result<()>,
) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).div_ceil(2);
    let next = Mutex::new(0..items.len());
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, items, work) = (sender.clone(), &next, &items, &work);
            scope.spawn(move || {
                let index = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(i) = index() {
                    if sender.send((i, work(&items[i]))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        results.iter().try_for_each(|(i, result)| take(&items[i], result))
    })
}

/// A test binary, where and as cargo would start it.
pub(super) fn command(binary: &TestBinary, device: &str) -> Result<Command> {
    let path = &binary.path;
    let path = path.canonicalize().with_context(|| format!("reading {}", path.display()))?;
    let folder = binary.folder();
    ensure!(Path::new(&folder).is_dir(), "{}: expected a folder, found none", folder.display());
    let mut command = Command::new(path);
    command.current_dir(folder).env("MFLOW_TEST_DEVICE", device);
    command.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1").env("RUST_BACKTRACE", "0");
    Ok(command)
}

/// The names in a list of tests.
fn listed(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| line.strip_suffix(": test"))
}

/// Tests of one module each, not too many at once.
fn grouped<'a, 'b>(binary: &'a TestBinary, names: impl Iterator<Item = &'b str>) -> Vec<Group<'a>> {
    let mut modules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for name in names {
        let module = name.split("::").next().unwrap_or(name);
        modules.entry(module).or_default().push(name.to_owned());
    }
    let groups = modules.into_iter().flat_map(|(module, tests)| {
        let chunks = tests.chunks(SIZE).map(<[String]>::to_vec).collect::<Vec<_>>();
        chunks.into_iter().map(move |tests| Group { binary, name: module.to_owned(), tests })
    });
    groups.collect()
}

fn priority(module: &str) -> usize {
    FIRST.iter().position(|first| *first == module).unwrap_or(FIRST.len())
}

fn run_group(group: &Group<'_>, device: &str, until: Instant) -> Result<Tests> {
    let mut command = command(group.binary, device)?;
    // One thread: tests share the device of their process.
    command.args(["--test-threads", "1", "--exact"]).args(&group.tests);
    let ended = run_until(&mut command, until)?;
    Ok(verdicts(group, &ended))
}

fn run_alone(binary: &TestBinary, name: &str, device: &str, until: Instant) -> Result<Again> {
    let mut command = command(binary, device)?;
    // A test that hangs is not to take all of the time.
    let until = until.min(Instant::now() + Duration::from_secs(20));
    let ended = run_until(command.args(["--test-threads", "1", "--exact", name]), until)?;
    let passed = ended.is_success() && ended.output.contains("test result: ok. 1 passed");
    let printed = failures(&ended.output).remove(name);
    let said = || format!("{}\n{}", ended.end(), beginning(&ended.complaints));
    let output = if passed { String::new() } else { printed.unwrap_or_else(said) };
    Ok(Again { binary: binary.title(), name: name.to_owned(), passed, output })
}

/// What the output of a test binary says.
fn verdicts(group: &Group<'_>, ended: &Ended) -> Tests {
    let mut tests = Tests {
        binary: group.binary.title(),
        group: group.name.clone(),
        seconds: ended.seconds,
        end: ended.end(),
        ..Tests::default()
    };
    let mut printed = failures(&ended.output);
    let mut open: BTreeSet<&str> = group.tests.iter().map(String::as_str).collect();
    for line in ended.output.lines() {
        let verdict = line.strip_prefix("test ").and_then(|line| line.split_once(" ... "));
        let Some((name, verdict)) = verdict else { continue };
        let name = name.trim_end_matches(" - should panic");
        if !open.contains(name) {
            continue;
        }
        match verdict.split([' ', ',']).next() {
            Some("ok") => tests.passed += 1,
            Some("ignored") => tests.ignored += 1,
            Some("FAILED") => {
                let output = printed.remove(name).unwrap_or_default();
                tests.failed.push(Failure { name: name.to_owned(), output });
            }
            _ => continue,
        }
        open.remove(name);
    }
    tests.unfinished = open.into_iter().map(str::to_owned).collect();
    if !ended.is_success() && tests.failed.is_empty() && ended.status.is_some() {
        // It broke off: what it said last is all that is known.
        tests.end = format!("{}: {}", tests.end, beginning(&ended.complaints));
    }
    tests
}

/// The first lines of what each failed test printed.
fn failures(output: &str) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    let mut of = None;
    for line in output.lines() {
        if let Some(name) = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----"))
        {
            of = Some(name);
        } else if line == "failures:" {
            of = None;
        } else if let Some(name) = of {
            let text = all.entry(name).or_default();
            if text.lines().count() < LINES {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    all
}

fn beginning(text: &str) -> String {
    text.lines().take(LINES).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn binary() -> TestBinary {
        TestBinary { package: "p".to_owned(), target: "it".to_owned(), path: "t".into() }
    }

    const OUTPUT: &str = "
running 4 tests
test laws::a ... ok
test laws::b ... FAILED
test laws::c - should panic ... ok
test laws::d ... ignored, takes long

failures:

---- laws::b stdout ----

thread 'laws::b' panicked at x.rs:1:
the values differ

failures:
    laws::b

test result: FAILED. 2 passed; 1 failed; 1 ignored
";

    fn ended(output: &str, status: Option<i32>) -> Ended {
        let status = status.map(ExitStatus::from_raw);
        let complaints = "CUDA_ERROR_ILLEGAL_ADDRESS".to_owned();
        Ended { status, output: output.to_owned(), complaints, seconds: 1.0 }
    }

    #[test]
    fn verdicts_are_read() {
        let binary = binary();
        let names = ["laws::a", "laws::b", "laws::c", "laws::d", "laws::e"];
        let groups = grouped(&binary, names.into_iter());
        assert_eq!((groups.len(), groups[0].name.as_str()), (1, "laws"));
        let tests = verdicts(&groups[0], &ended(OUTPUT, Some(101 << 8)));
        assert_eq!((tests.passed, tests.ignored), (2, 1));
        assert_eq!(tests.failed[0].name, "laws::b");
        assert!(tests.failed[0].output.contains("the values differ"), "{tests:?}");
        assert_eq!(tests.unfinished, ["laws::e"]);
    }

    #[test]
    fn a_process_that_broke_off_or_hung_leaves_tests_without_a_verdict() {
        let binary = binary();
        let group = &grouped(&binary, ["m::a", "m::b"].into_iter())[0];
        let broke = verdicts(group, &ended("test m::a ... ok\ntest m::b ... ", Some(11)));
        assert_eq!((broke.passed, broke.unfinished.len()), (1, 1));
        assert!(broke.end.contains("ILLEGAL_ADDRESS"), "{broke:?}");
        let hung = verdicts(group, &ended("", None));
        assert_eq!((hung.end.as_str(), hung.unfinished.len()), ("killed: out of time", 2));
    }

    #[test]
    fn tests_are_listed_and_large_modules_are_cut() {
        let text = "laws::a: test\nlaws::b: test\nbench_it: benchmark\n";
        assert_eq!(listed(text).collect::<Vec<_>>(), ["laws::a", "laws::b"]);
        let binary = binary();
        let names: Vec<String> = (0..SIZE + 1).map(|i| format!("m::t{i}")).collect();
        let groups = grouped(&binary, names.iter().map(String::as_str));
        let sizes: Vec<usize> = groups.iter().map(|group| group.tests.len()).collect();
        assert_eq!(sizes, [SIZE, 1]);
        assert!(priority("laws") < priority("models") && priority("models") < priority("else"));
    }

    #[test]
    fn all_items_are_done_and_an_error_is_kept() {
        let mut sum = 0;
        in_parallel(
            (0..100).collect(),
            |i| 2 * i,
            |i, twice| {
                assert_eq!(twice, 2 * i);
                sum += twice;
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(sum, 9900);
        assert!(in_parallel(vec![1], |_| (), |_, ()| anyhow::bail!("full")).is_err());
    }
}
