//! Folders of runs. Oracle: what must never be overwritten, and the documented messages.
use crate::toy::{StopAfter, Toy, density, manifold};
use mflow_core::DeviceName;
use mflow_train::{Error, Identity, Keep, Phase, RunDir, Silent};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

#[track_caller]
fn refused(path: &Path, resume: bool, part: &str) {
    let error = RunDir::open(path, resume).map(|r| r.path().to_owned()).unwrap_err();
    assert!(matches!(error, Error::RunDirectory { .. }), "{part}: {error:?}");
    let message = error.to_string();
    assert!(message.starts_with(&path.display().to_string()), "names the folder: {message}");
    assert!(message.contains(part), "says `{part}`: {message}");
}

fn identity() -> Identity {
    Identity {
        version: "1".into(),
        config: serde_json::json!({"train": {"phases": [{"epochs": 3}]}, "seed": 1}),
        data: "abc".into(),
        validation: None,
        shards: 2,
        device: DeviceName::Cpu,
    }
}

#[test]
fn a_new_folder_and_an_empty_one_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    for resume in [false, true] {
        let empty = tempfile::tempdir().unwrap();
        for path in [folder.path().join(format!("new/deep {resume}")), empty.path().to_owned()] {
            let run = RunDir::open(&path, resume).unwrap();
            assert!(!run.resumed(), "nothing was there");
            assert_eq!(run.path(), path, "the folder");
            assert_eq!(run.file("a"), path.join("a"), "a file in it");
        }
    }
}

#[test]
fn foreign_files_are_left_alone() {
    for resume in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "all of it").unwrap();
        refused(folder.path(), resume, "expected an empty directory or a run, found thesis.tex");
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["thesis.tex"], "nothing was written");
    }
}

#[test]
fn a_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    RunDir::open(folder.path(), false).unwrap().identify(&identity()).unwrap();
    refused(folder.path(), false, "already holds a run");
    assert!(RunDir::open(folder.path(), true).unwrap().resumed(), "it can be resumed");
}

#[test]
fn a_run_in_use_is_not_opened_twice() {
    let folder = tempfile::tempdir().unwrap();
    let first = RunDir::open(folder.path(), false).unwrap();
    for resume in [false, true] {
        refused(folder.path(), resume, "is in use by another process");
    }
    first.identify(&identity()).unwrap();
    refused(folder.path(), true, "is in use by another process");
    drop(first);
    assert!(RunDir::open(folder.path(), true).is_ok(), "free again");
}

#[test]
fn a_file_is_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "content").unwrap();
    for resume in [false, true] {
        refused(&file, resume, "expected a directory, found a file");
    }
    assert_eq!(fs::read(&file).unwrap(), b"content", "the file is as it was");
    let below = file.join("run");
    let error = RunDir::open(&below, false).map(|_| ()).unwrap_err();
    assert!(error.to_string().starts_with(&below.display().to_string()), "named: {error}");
}

#[test]
fn what_a_dead_run_left_does_not_block_the_next() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["lock", "config.toml", "run.json.4711.tmp"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let run = RunDir::open(folder.path(), false).unwrap();
    assert!(!run.file("run.json.4711.tmp").exists(), "a part of a file is swept away");
    assert!(run.file("config.toml").exists(), "the settings are not");
    // Without a lock they are nobody's leftovers.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), "").unwrap();
    refused(folder.path(), false, "found config.toml");
}

#[test]
fn a_run_started_differently_is_not_resumed() {
    type Change = fn(&mut Identity);
    let cases: [(Change, &str, &str, &str); 7] = [
        (|i| i.version = "2".into(), "version", "\"1\"", "\"2\""),
        (|i| i.data = "xyz".into(), "data", "\"abc\"", "\"xyz\""),
        (|i| i.shards = 4, "shards", "2", "4"),
        (|i| i.device = DeviceName::Cuda(1), "device", "\"cpu\"", "\"cuda:1\""),
        (|i| i.config["seed"] = 7.into(), "config.seed", "1", "7"),
        (
            |i| i.config["train"]["phases"][0]["epochs"] = 5.into(),
            "config.train.phases[0].epochs",
            "3",
            "5",
        ),
        (|i| i.config["extra"] = true.into(), "config.extra", "null", "true"),
    ];
    for (change, field, was, now) in cases {
        let folder = tempfile::tempdir().unwrap();
        RunDir::open(folder.path(), false).unwrap().identify(&identity()).unwrap();
        let run = RunDir::open(folder.path(), true).unwrap();
        run.identify(&identity()).unwrap();
        let mut other = identity();
        change(&mut other);
        let error = run.identify(&other).unwrap_err();
        let typed = matches!(&error, Error::ResumeMismatch { field: f, was: w, now: n, .. }
            if f == field && w == was && n == now);
        assert!(typed, "{field}: {error:?}");
        let expected = format!(
            "{}: this run was started differently: `{field}` was {was}, now it is {now}; use \
             another --out or the same settings",
            folder.path().display()
        );
        assert_eq!(error.to_string(), expected, "message of {field}");
    }
}

#[test]
fn a_run_from_before_devices_was_on_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    RunDir::open(folder.path(), false).unwrap().identify(&identity()).unwrap();
    let path = folder.path().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut older: serde_json::Value = serde_json::from_str(&text).unwrap();
    let device = older.as_object_mut().and_then(|fields| fields.remove("device"));
    assert_eq!(device, Some("cpu".into()), "it is said now");
    fs::write(&path, older.to_string()).unwrap();
    let run = RunDir::open(folder.path(), true).unwrap();
    run.identify(&identity()).unwrap();
    let other = Identity { device: DeviceName::Metal, ..identity() };
    assert!(run.identify(&other).unwrap_err().to_string().contains("`device` was"), "another one");
}

#[test]
fn a_broken_description_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.json"), "{").unwrap();
    let run = RunDir::open(folder.path(), true).unwrap();
    let message = run.identify(&identity()).unwrap_err().to_string();
    assert!(message.contains("run.json: is no run description"), "{message}");
}

#[test]
fn the_trainer_compares_all_that_changes_the_result() {
    let toy = || Toy::parabola(60, vec![manifold(2), density(2)]);
    let folder = tempfile::tempdir().unwrap();
    {
        let run = RunDir::open(folder.path(), false).unwrap();
        let stop = AtomicBool::new(false);
        let mut observer = StopAfter { batches: 2, stop: &stop };
        let toy = toy();
        toy.train(&mut toy.store(), Some(&run), &mut observer, &stop).unwrap();
    }
    let before = fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
    type Change = fn(&mut Toy);
    let cases: [(Change, &str); 8] = [
        (|t| t.seed = 9, "config.seed"),
        (|t| t.config.shards = 3, "config.train.shards"),
        (|t| t.config.phases[1].phases_mut()[0].epochs = 9, "config.train.phases[1].epochs"),
        (|t| t.config.phases[0].phases_mut()[0].keep = Keep::Last, "config.train.phases[0].keep"),
        (
            |t| {
                let optimizer = &mut t.config.phases[0].phases_mut()[0].optimizer;
                optimizer.set_learning_rate(optimizer.learning_rate() * (1. + 1e-15));
            },
            "config.train.phases[0].optimizer.learning_rate",
        ),
        (|t| t.config.phases.truncate(1), "config.train.phases"),
        (|t| t.data = Toy::parabola(61, Vec::<Phase>::new()).data, "data"),
        (
            |t| {
                let affine = mflow_core::standardize(&[1., 2., 3., 5.], 2).unwrap();
                t.model = t.model.clone().with_normalization(affine);
            },
            "config.model.normalization.scale[0]",
        ),
    ];
    let resume = |toy: &Toy| {
        let run = RunDir::open(folder.path(), true).unwrap();
        toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false))
    };
    for (change, expected) in cases {
        let mut toy = toy();
        change(&mut toy);
        let error = resume(&toy).unwrap_err();
        let Error::ResumeMismatch { field, .. } = &error else { panic!("{expected}: {error:?}") };
        assert_eq!(field, expected, "the first field that differs");
    }
    // With one shard per thread, the threads are part of the identity.
    let mut toy = toy();
    toy.config.shards = 0;
    assert!(resume(&toy).is_err(), "another number of shards");
    let after = fs::read(folder.path().join("checkpoint.safetensors")).unwrap();
    assert_eq!(before, after, "the checkpoint is as it was");
}

#[test]
fn one_shard_per_thread_makes_threads_part_of_the_run() {
    let mut toy = Toy::parabola(60, vec![manifold(1)]);
    toy.config.shards = 0;
    let folder = tempfile::tempdir().unwrap();
    let mut run = |threads: usize| {
        toy.threads = threads;
        let run = RunDir::open(folder.path(), true).unwrap();
        toy.train(&mut toy.store(), Some(&run), &mut Silent, &AtomicBool::new(false))
    };
    run(1).unwrap();
    run(1).unwrap();
    let error = run(2).unwrap_err();
    let typed = matches!(&error, Error::ResumeMismatch { field, was, now, .. }
        if field == "shards" && was == "1" && now == "2");
    assert!(typed, "{error:?}");
}

#[test]
fn metrics_are_read_back() {
    let toy = Toy::parabola(60, vec![manifold(2), density(1)]);
    let folder = tempfile::tempdir().unwrap();
    let run = RunDir::open(folder.path(), false).unwrap();
    let mut record = crate::toy::Record::default();
    toy.train(&mut toy.store(), Some(&run), &mut record, &AtomicBool::new(false)).unwrap();
    assert_eq!(run.metrics().unwrap(), record.epochs, "the lines are what observers saw");
    let places: Vec<(&str, usize)> =
        record.epochs.iter().map(|e| (e.phase.as_str(), e.epoch)).collect();
    assert_eq!(places, [("manifold", 1), ("manifold", 2), ("density", 1)], "one line an epoch");
    fs::write(run.file("metrics.jsonl"), "{}\n").unwrap();
    let message = run.metrics().unwrap_err().to_string();
    assert!(message.contains("metrics.jsonl: line 1: missing field"), "{message}");
}

/// A folder from someone else may name any file of the user in the place of one that is cut and written.
#[cfg(unix)]
#[test]
fn links_in_the_place_of_files_are_refused_and_what_they_name_is_left_alone() {
    for name in ["metrics.jsonl", "lock"] {
        let folder = tempfile::tempdir().unwrap();
        RunDir::open(folder.path(), false).unwrap().identify(&identity()).unwrap();
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        fs::write(elsewhere.path(), "all of it").unwrap();
        let link = folder.path().join(name);
        fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let message = RunDir::open(folder.path(), true).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("found a link"), "{message}");
        assert_eq!(fs::read_to_string(elsewhere.path()).unwrap(), "all of it", "{name}");
    }
}
