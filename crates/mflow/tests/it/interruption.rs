//! Signals, kills, resumes, and folders that hold something already.
use crate::folder::Folder;
use std::fs;
use std::time::Duration;

/// Long enough to be hit.
const FIT: &str = "fit data.csv --config small.toml --epochs 120 --out run";
const FOREVER: &str = "fit data.csv --config small.toml --epochs 1000000 --out run";

/// The model file of an uninterrupted run.
fn reference() -> Vec<u8> {
    let folder = Folder::new();
    folder.succeeds(FIT);
    folder.read("run/model.safetensors")
}

#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let folder = Folder::new();
    let mut killed = 0;
    // From before the folder is complete to the middle of training.
    for milliseconds in [3, 8, 15, 30, 60, 5, 120, 90, 45, 200, 25] {
        let running = folder.start(&format!("{FIT} --resume auto"));
        std::thread::sleep(Duration::from_millis(milliseconds));
        killed += usize::from(running.kill());
    }
    assert!(killed >= 5, "it was killed in full run only {killed} times: make it longer");
    folder.succeeds(&format!("{FIT} --resume auto"));
    assert!(folder.read("run/model.safetensors") == reference(), "the same bytes");
    let metrics = String::from_utf8(folder.read("run/metrics.jsonl")).expect("text");
    assert_eq!(metrics.lines().count(), 120, "each epoch once");
    let names = fs::read_dir(folder.path("run")).expect("a folder");
    let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    let part = names.iter().find(|name| name.to_string_lossy().ends_with(".tmp"));
    assert_eq!(part, None, "no parts of files are left");
}

#[test]
fn a_run_that_lost_its_checkpoint_starts_over() {
    let folder = Folder::fitted();
    let before = ["run/model.safetensors", "run/metrics.jsonl"].map(|name| folder.read(name));
    fs::remove_file(folder.path("run/checkpoint.safetensors")).expect("removed");
    let parts = ["run/run.json.123.tmp", "run/figures/scatter.png.123.tmp"];
    fs::create_dir(folder.path("run/figures")).expect("a folder");
    parts.map(|part| folder.write(part, b"{"));
    folder.succeeds("fit data.csv --resume auto --out run");
    let after = ["run/model.safetensors", "run/metrics.jsonl"].map(|name| folder.read(name));
    assert!(before == after, "the same model and no metrics twice");
    assert!(parts.iter().all(|part| !folder.path(part).exists()), "parts of files are removed");
}

#[test]
fn metrics_that_lost_their_end_are_not_made_up() {
    let folder = Folder::fitted();
    let metrics = folder.read("run/metrics.jsonl");
    folder.write("run/metrics.jsonl", &metrics[..metrics.len() / 2]);
    let parts = ["run/metrics.jsonl", "that the checkpoint has seen", "to start over"];
    folder.fails("fit data.csv --resume auto --out run", 1, &parts);
    fs::remove_file(folder.path("run/checkpoint.safetensors")).expect("removed");
    folder.succeeds("fit data.csv --resume auto --out run");
    assert!(folder.read("run/metrics.jsonl") == metrics, "the same metrics");
}

#[test]
fn a_run_that_another_process_begins_is_in_use() {
    let folder = Folder::new();
    fs::create_dir(folder.path("run")).expect("a folder");
    folder.write("run/lock", b"");
    let lock = fs::File::open(folder.path("run/lock")).expect("a file");
    lock.try_lock().expect("nobody else has it");
    // Written in this order; only the lock is known to be a run's before there is its description.
    folder.write("run/metrics.jsonl", b"");
    folder.fails(&format!("{FIT} --resume auto"), 1, &["run", "in use by another process"]);
    drop(lock);
    folder.fails(&format!("{FIT} --resume auto"), 1, &["expected an empty directory or a run"]);
}

#[test]
fn a_signal_leaves_a_checkpoint_to_go_on_from() {
    let folder = Folder::new();
    let epochs = || {
        let metrics = fs::read_to_string(folder.path("run/metrics.jsonl")).unwrap_or_default();
        metrics.lines().count()
    };
    for signal in ["INT", "TERM"] {
        let before = epochs();
        let running = folder.start(&format!("{FIT} --resume auto"));
        Folder::wait_until("an epoch is done", || epochs() > before);
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(ended.code, Some(130), "after SIG{signal}: {}", ended.err);
        assert!(ended.err.contains("--resume auto --out run"), "how to go on: {}", ended.err);
        assert!(!folder.path("run/model.safetensors").exists(), "no model yet");
    }
    // The config is in the folder: it need not be given again.
    folder.succeeds("fit data.csv --resume auto --out run");
    assert!(folder.read("run/model.safetensors") == reference(), "the same bytes");
}

#[test]
fn a_run_that_was_chosen_by_trials_goes_on() {
    let folder = Folder::new();
    folder.succeeds("data s-curve -n 150 --out s");
    folder.succeeds("data linear-subspace -n 150 --out p");
    for (run, options) in [
        ("default", "s/x.npy --manifold-dim 2 --epochs 100"),
        ("flat", "p/x.npy --manifold-dim 3 --epochs 81"),
        (
            "unrolled",
            "s/x.npy --manifold-dim 2 --epochs 100 --start unrolled --schedule sequential",
        ),
        (
            "m-flow",
            "s/x.npy --manifold-dim 2 --epochs 41 --model m-flow --start auto --set model.outer.layers=1",
        ),
    ] {
        let fit = format!("fit {options}");
        folder.succeeds(&format!("{fit} --out {run}-whole"));
        let fit = format!("{fit} --resume auto --out {run}");
        let running = folder.start(&fit);
        Folder::wait_until("an epoch is done", || {
            fs::read(folder.path(&format!("{run}/metrics.jsonl"))).is_ok_and(|m| !m.is_empty())
        });
        running.signal("INT");
        let ended = running.wait();
        assert_eq!(ended.code, Some(130), "{run}: {}", ended.err);
        let trials = folder.read(&format!("{run}/attempts.json"));
        let ended = folder.run(&fit);
        assert_eq!(ended.code, Some(0), "{run}: {}", ended.err);
        assert!(!ended.err.contains("trial of"), "{run}: once is enough: {}", ended.err);
        let attempts = folder.read(&format!("{run}/attempts.json"));
        let head = trials.len().saturating_sub(3);
        assert!(
            attempts.len() > head && attempts[..head] == trials[..head],
            "{run}: they are kept"
        );
        let models = [format!("{run}-whole"), run.to_owned()];
        let [whole, run_] = models.map(|run| folder.read(&format!("{run}/model.safetensors")));
        assert!(whole == run_, "{run}: the same bytes");
    }
}

#[test]
fn a_run_in_use_is_left_alone() {
    let folder = Folder::new();
    let running = folder.start(FOREVER);
    Folder::wait_until("it is a run", || folder.path("run/run.json").exists());
    folder.fails(&format!("{FOREVER} --resume auto"), 1, &["run", "in use by another process"]);
    folder.fails(FOREVER, 1, &["run", "already holds a run", "--resume auto"]);
    folder.fails("info run", 1, &["training is unfinished"]);
    assert!(running.kill(), "the first one was running all the time");
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let folder = Folder::new();
    fs::create_dir(folder.path("mine")).expect("a folder");
    folder.write("mine/thesis.tex", b"text");
    for resume in ["", "--resume auto"] {
        let fit = format!("fit data.csv --config small.toml {resume} --out mine");
        folder.fails(&fit, 1, &["mine", "expected an empty directory or a run", "thesis.tex"]);
    }
    let names = fs::read_dir(folder.path("mine")).expect("a folder").count();
    assert_eq!(names, 1, "nothing was added");
    let fit = "fit data.csv --config small.toml --out data.csv";
    folder.fails(fit, 1, &["data.csv", "expected a directory, found a file"]);
}

#[test]
fn a_run_is_resumed_with_the_same_settings_and_data_only() {
    let folder = Folder::fitted();
    let fit = "fit data.csv --config small.toml --epochs 2";
    folder.fails(&format!("{fit} --out run"), 1, &["already holds a run", "--resume auto"]);
    let parts = ["run", "`config.seed` was 0, now it is 5"];
    folder.fails(&format!("{fit} --resume auto --seed 5 --out run"), 1, &parts);
    let parts = ["run", "config.train.phases[0].epochs", "was 1, now it is 2"];
    let other = "fit data.csv --config small.toml --epochs 4 --resume auto --out run";
    folder.fails(other, 1, &parts);
    let config = String::from_utf8(folder.read("run/config.toml")).expect("text");
    assert!(!config.contains("epochs = 2"), "the config of the run is left alone: {config}");
    let data = String::from_utf8(folder.read("data.csv")).expect("text");
    let fewer: Vec<&str> = data.lines().take(200).collect();
    folder.write("other.csv", fewer.join("\n").as_bytes());
    let other = "fit other.csv --resume auto --out run";
    folder.fails(other, 1, &["run", "was started differently", "`data` was"]);
}
