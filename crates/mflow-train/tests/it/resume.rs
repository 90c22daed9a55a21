//! Interrupted and resumed runs. Oracle: the run that nobody interrupts, to the bit.
use crate::toy::{StopAfter, Toy, bits, density, manifold};
use mflow_train::{
    EpochMetrics, Keep, LrSchedule, Observer, Outcome, Phase, Progress, RunDir, Silent, Start,
};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// Two phases of three epochs of three batches, whose best epoch is not the last.
fn toy() -> Toy {
    let jumpy = |mut phase: Phase, rate: f64| {
        phase.optimizer.set_learning_rate(rate);
        (phase.batch_size, phase.lr_schedule, phase.keep) = (20, LrSchedule::Constant, Keep::Best);
        phase
    };
    Toy::parabola(60, vec![jumpy(manifold(3), 0.5), jumpy(density(3), 0.5)])
}

const BATCHES: usize = 18;

type End = (Vec<(String, Vec<u64>)>, Vec<u8>);

fn metrics(run: &Path) -> Vec<u8> {
    fs::read(run.join("metrics.jsonl")).unwrap()
}

/// The run that nobody interrupts.
fn whole(toy: &Toy) -> End {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = RunDir::open(&path, false).unwrap();
    let mut store = toy.store();
    let outcome = toy.train(&mut store, Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished, "nobody stops it");
    let losses: Vec<f64> = run.metrics().unwrap().iter().map(|e| e.validation_loss).collect();
    let best = |l: &[f64]| l[2] > l[0].min(l[1]);
    assert!(
        best(&losses[..3]) || best(&losses[3..]),
        "some best epoch is not the last: {losses:?}"
    );
    (bits(&store, ""), metrics(&path))
}

/// Go on with what is in `path` to the end, as a new process would.
fn go_on(toy: &Toy, path: &Path) -> End {
    let run = RunDir::open(path, true).unwrap();
    let mut store = toy.store();
    let outcome = toy.train(&mut store, Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap();
    assert_eq!(outcome, Outcome::Finished, "nobody stops it");
    (bits(&store, ""), metrics(path))
}

/// Start a run in `path`, and stop it after so many batches.
fn stopped_after(batches: usize, toy: &Toy, path: &Path) {
    let run = RunDir::open(path, false).unwrap();
    let stop = AtomicBool::new(false);
    let mut observer = StopAfter { batches, stop: &stop };
    let mut store = toy.store();
    let outcome = toy.train(&mut store, Some(&run), &mut observer, &stop).unwrap();
    assert_eq!(outcome, Outcome::Interrupted, "stopped after {batches} batches");
}

fn same(what: &str, found: &End, expected: &End) {
    assert_eq!(found.0, expected.0, "{what}: weights");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&found.1), text(&expected.1), "{what}: metrics");
}

#[test]
fn stopped_after_any_batch_a_run_ends_at_the_same_bits() {
    let toy = toy();
    let expected = whole(&toy);
    for batches in 1..BATCHES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        stopped_after(batches, &toy, &path);
        same(&format!("after {batches} batches"), &go_on(&toy, &path), &expected);
    }
}

/// Coordinates that guide a start are found anew by a resumed run, and are the same.
#[test]
fn a_guided_start_resumes_to_the_same_bits() {
    let whole_run = |toy: &Toy| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let run = RunDir::open(&path, false).unwrap();
        let mut store = toy.store();
        toy.train(&mut store, Some(&run), &mut Silent, &AtomicBool::new(false)).unwrap();
        (bits(&store, ""), metrics(&path))
    };
    for start in [Start::Unrolled, Start::Autoencoder] {
        let mut toy = Toy::parabola(60, vec![manifold(4), density(1)]);
        let (model, config) = start.apply(toy.model, toy.config, &[]).unwrap();
        (toy.model, toy.config) = (model, config);
        let expected = whole_run(&toy);
        for batches in [1, 2, 3] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            stopped_after(batches, &toy, &path);
            let what = format!("{start} start, after {batches} batches");
            same(&what, &go_on(&toy, &path), &expected);
        }
    }
}

#[test]
fn stopped_again_and_again_a_run_ends_at_the_same_bits() {
    let toy = toy();
    let expected = whole(&toy);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut rounds = 0;
    let store = loop {
        let run = RunDir::open(&path, true).unwrap();
        assert_eq!(run.resumed(), rounds > 0, "round {rounds}: there is a run to resume");
        let stop = AtomicBool::new(false);
        let mut store = toy.store();
        let mut observer = StopAfter { batches: 1, stop: &stop };
        let outcome = toy.train(&mut store, Some(&run), &mut observer, &stop).unwrap();
        rounds += 1;
        if outcome == Outcome::Finished {
            break store;
        }
        assert!(rounds < 2 * BATCHES, "every round does a batch");
    };
    // The round of the last batch finishes: no batch is left at which to stop.
    assert_eq!(rounds, BATCHES, "one batch a round");
    same("batch by batch", &(bits(&store, ""), metrics(&path)), &expected);
    same("once more", &go_on(&toy, &path), &expected);
}

#[test]
fn a_flag_raised_before_the_start_stops_at_once() {
    let toy = toy();
    let folder = tempfile::tempdir().unwrap();
    {
        let run = RunDir::open(folder.path(), false).unwrap();
        let stop = AtomicBool::new(true);
        let outcome = toy.train(&mut toy.store(), Some(&run), &mut Silent, &stop).unwrap();
        assert_eq!(outcome, Outcome::Interrupted, "not a batch is done");
    }
    same("from the start", &go_on(&toy, folder.path()), &whole(&toy));
}

/// Copies the run's files at one moment, as a process that is killed there leaves them.
struct Kill<'a> {
    run: &'a Path,
    /// Batches and epochs until the moment; whichever comes first.
    batches: usize,
    epochs: usize,
    copy: TempDir,
}

impl Kill<'_> {
    fn copy(&self) {
        for name in ["run.json", "metrics.jsonl", "checkpoint.safetensors"] {
            let from = self.run.join(name);
            if from.exists() {
                fs::copy(from, self.copy.path().join(name)).unwrap();
            }
        }
    }
}

impl Observer for Kill<'_> {
    fn batch(&mut self, _: Progress<'_>) {
        self.batches = self.batches.wrapping_sub(1);
        if self.batches == 0 {
            self.copy();
        }
    }
    fn epoch(&mut self, _: &EpochMetrics) {
        self.epochs = self.epochs.wrapping_sub(1);
        if self.epochs == 0 {
            self.copy();
        }
    }
}

/// Kill a run at a moment and go on with what it left.
fn killed(toy: &Toy, batches: usize, epochs: usize) -> End {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::open(folder.path(), false).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut kill = Kill { run: folder.path(), batches, epochs, copy };
    toy.train(&mut toy.store(), Some(&run), &mut kill, &AtomicBool::new(false)).unwrap();
    assert!(kill.copy.path().join("run.json").exists(), "the moment has come");
    go_on(toy, kill.copy.path())
}

#[test]
fn killed_in_an_epoch_a_run_goes_on_from_its_last_checkpoint() {
    let mut toy = toy();
    let expected = whole(&toy);
    for seconds in [0., 1e6] {
        toy.config.checkpoint_seconds = seconds;
        for batch in [1, 2, 3, 4, 8, 9, 10, 11, 14, 18] {
            let what = format!("checkpoints every {seconds} s, killed at batch {batch}");
            same(&what, &killed(&toy, batch, 0), &expected);
        }
    }
}

#[test]
fn killed_between_metrics_and_checkpoint_a_run_repeats_the_epoch() {
    // The line of the epoch is there and the checkpoint is of before it, or there is none at all.
    let mut toy = toy();
    let expected = whole(&toy);
    for seconds in [0., 1e6] {
        toy.config.checkpoint_seconds = seconds;
        for epoch in 1..=6 {
            let what = format!("checkpoints every {seconds} s, killed at the end of epoch {epoch}");
            same(&what, &killed(&toy, 0, epoch), &expected);
        }
    }
}

#[test]
fn f32_runs_resume_to_the_same_bits() {
    let mut toy = toy();
    let x = crate::toy::numbers(&toy.data.all().x);
    toy.dtype = mflow_core::candle::DType::F32;
    toy.data = mflow_train::Rows::new(x, 2, None, toy.dtype, crate::toy::device()).unwrap();
    let expected = whole(&toy);
    same("f32", &killed(&toy, 13, 0), &expected);
}

#[test]
fn a_broken_checkpoint_is_an_error_that_names_it() {
    let toy = toy();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    {
        let run = RunDir::open(folder.path(), false).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = StopAfter { batches: 5, stop: &stop };
        toy.train(&mut toy.store(), Some(&run), &mut observer, &stop).unwrap();
    }
    let bytes = fs::read(&path).unwrap();
    for length in [0, 20, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        let run = RunDir::open(folder.path(), true).unwrap();
        let result = toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false));
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{length} bytes: {message}");
    }
}

#[test]
fn every_schedule_resumes_to_the_same_bits() {
    use mflow_train::{Loss, OptimizerConfig, Plateau, Schedule, SgdConfig, Turn};
    let of = |schedule: Schedule, change: fn(&mut mflow_train::Stage)| {
        let mut toy = toy();
        toy.config.phases = schedule.config(&toy.model, 3).unwrap().phases;
        for stage in &mut toy.config.phases {
            stage.phases_mut().iter_mut().for_each(|p| p.batch_size = 20);
            change(stage);
        }
        toy
    };
    let all = [
        (of(Schedule::Sequential, |_| {}), "sequential"),
        (of(Schedule::Alternating, |_| {}), "alternating"),
        (of(Schedule::Simultaneous, |_| {}), "simultaneous"),
        (of(Schedule::Ot, |_| {}), "OT"),
        (of(Schedule::OtAlternating, |_| {}), "OT, alternating"),
        (of(Schedule::Likelihood, |_| {}), "likelihood"),
        (
            of(Schedule::Alternating, |stage| {
                // Momentum, a moving average, a plateau, turns of single batches.
                if let mflow_train::Stage::Alternate(a) = stage {
                    (a.unit, a.cycles) = (Turn::Batches(1), 3);
                }
                for phase in stage.phases_mut() {
                    let mut sgd = SgdConfig::default();
                    (sgd.learning_rate, sgd.nesterov) = (1e-3, true);
                    phase.optimizer = OptimizerConfig::from(sgd);
                    let mut plateau = Plateau::default();
                    (plateau.patience, plateau.threshold) = (0, 0.5);
                    phase.lr_schedule = LrSchedule::Plateau(plateau);
                    phase.ema = 0.5;
                }
            }),
            "alternating, with everything that has a state",
        ),
        (
            of(Schedule::Likelihood, |stage| {
                stage.phases_mut()[0].losses.push(Loss::LatentNorm {}.weighted(0.1));
            }),
            "two losses",
        ),
    ];
    for (mut toy, what) in all {
        toy.config.checkpoint_seconds = 1e6;
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(&folder.path().join("whole"), false).unwrap();
        let (mut store, mut record) = (toy.store(), crate::toy::Record::default());
        toy.train(&mut store, Some(&run), &mut record, &AtomicBool::new(false)).unwrap();
        let expected = (bits(&store, ""), metrics(run.path()));
        assert!(record.losses.len() > 3, "{what}: some updates");
        for batches in 1..record.losses.len() {
            let path = folder.path().join(format!("after {batches}"));
            {
                let run = RunDir::open(&path, false).unwrap();
                let stop = AtomicBool::new(false);
                let mut observer = StopAfter { batches, stop: &stop };
                let outcome = toy.train(&mut toy.store(), Some(&run), &mut observer, &stop);
                assert_eq!(outcome.unwrap(), Outcome::Interrupted, "{what}, after {batches}");
            }
            same(&format!("{what}, after {batches}"), &go_on(&toy, &path), &expected);
        }
    }
}
