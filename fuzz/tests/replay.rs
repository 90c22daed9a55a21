//! Every input of the corpus, and thousands of changes of it that a seed gives, within time and memory.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mflow_fuzz::{Random, TARGETS, Target, corpus, mutated};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Changed inputs of a target, at most.
const CHANGES: usize = 20_000;
/// What they may take together.
const TIME: Duration = Duration::from_secs(2);
/// What one input may take, on a machine that has other things to do.
const MOST_TIME: Duration = Duration::from_secs(10);
/// The memory that one input may take, in bytes: what `cargo xtask fuzz` allows is eight times as much.
const MOST_MEMORY: usize = 256 << 20;

/// Targets one after the other where tests share a process, as memory is that of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn fed(target: &Target, what: &str, bytes: &[u8]) {
    let (start, before) = (Instant::now(), MEMORY.current_usage());
    MEMORY.reset_peak_usage();
    let survived = std::panic::catch_unwind(|| (target.run)(bytes));
    let (took, memory) = (start.elapsed(), MEMORY.peak_usage().saturating_sub(before));
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
    assert!(survived.is_ok(), "{}: {what}: {text:?}", target.name);
    assert!(took < MOST_TIME, "{}: {what}: took {took:?}: {text:?}", target.name);
    assert!(memory < MOST_MEMORY, "{}: {what}: took {memory} bytes: {text:?}", target.name);
}

fn replay(name: &str) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let inputs = corpus::of(name).expect("its corpus");
    assert!(!inputs.is_empty(), "{name} has a corpus");
    for (file, bytes) in &inputs {
        fed(target, file, bytes);
    }
    let start = Instant::now();
    let mut random = Random::new(0, name);
    for i in 0..CHANGES {
        let (file, bytes) = &inputs[random.below(inputs.len())];
        let (_, other) = &inputs[random.below(inputs.len())];
        let changed = mutated(bytes, other, &mut random);
        fed(target, &format!("change {i}, of {file}"), &changed);
        if start.elapsed() > TIME {
            break;
        }
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn all_targets_are_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|target| target.name), replayed, "the targets of this test");
        }
    };
}

targets! {
    npy npz csv parquet idx gzip image lhe model generator run_folder resumed model_config bijector_config train_config
    experiment settings service
}

/// Each target has a folder of committed files, and it is small.
#[test]
fn the_corpus_is_small_and_no_folder_is_left_over() {
    let mut folders: Vec<String> = std::fs::read_dir(corpus::folder())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    folders.sort();
    let mut names = TARGETS.map(|target| target.name);
    names.sort_unstable();
    assert_eq!(folders, names, "a folder for each target");
    for name in names {
        let inputs = corpus::of(name).expect("a folder");
        let bytes: usize = inputs.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(
            inputs.len() <= 140 && bytes <= 220_000,
            "{name}: {} files, {bytes} bytes",
            inputs.len()
        );
    }
}

/// The committed files are at least those that `seeds` writes.
#[test]
fn valid_inputs_are_all_there() {
    for seed in mflow_fuzz::seeds::all() {
        let path = corpus::folder().join(seed.target).join(&seed.name);
        assert!(path.is_file(), "{}: the binary `seeds` writes it", path.display());
    }
}
