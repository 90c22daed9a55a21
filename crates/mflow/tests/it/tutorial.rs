//! The commands of the tutorials in `docs`, with small numbers.
use crate::folder::Folder;

/// What makes them small.
const SMALL: [(&str, &str); 6] = [
    ("-n 500000 ", "-n 600 "),
    ("-n 10000 ", "-n 600 "),
    ("-n 4000 ", "-n 400 "),
    (" --epochs 60", ""),
    ("--epochs 6 ", ""),
    (" --out posterior", " --draws 60 --burn-in 60 --out posterior"),
];

/// Run the commands of the first so many blocks of a page in this folder; how many there are.
fn run(folder: &Folder, page: &str, count: usize) -> usize {
    let path = format!("{}/../../{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the page");
    let all = text.split("```sh\n").skip(1).filter(|block| block.starts_with("mflow"));
    let blocks = all.take(count).map(|block| block.split("```").next().unwrap_or_default());
    let commands: Vec<&str> = blocks.flat_map(str::lines).collect();
    for command in &commands {
        let command = command.split(" #").next().unwrap_or_default().trim_end();
        let mut command = command.strip_prefix("mflow ").expect("a command of mflow").to_owned();
        for (large, small) in SMALL {
            command = command.replace(large, small);
        }
        if command.starts_with("fit") {
            command += " --epochs 2";
        }
        folder.succeeds(&command);
    }
    commands.len()
}

fn leaves(folder: &Folder, files: &[&str]) {
    for file in files {
        assert!(!folder.read(file).is_empty(), "{file}");
    }
}

#[test]
fn from_events_to_a_posterior() {
    let folder = Folder::new();
    assert_eq!(run(&folder, "docs/events-to-posterior.md", 1), 10, "as its heading says");
    let pages = ["posterior/posterior.html", "posterior-plain/posterior.html", "both/report.html"];
    leaves(&folder, &pages);
    leaves(&folder, &["scores.csv"]);
}

#[test]
fn a_first_fit() {
    let folder = Folder::new();
    run(&folder, "docs/tutorials/first-fit.md", 1);
    leaves(&folder, &["run/report.html", "scores.npz", "new.csv", "projected.csv", "points.csv"]);
}

#[test]
fn outliers_and_denoising() {
    let folder = Folder::new();
    run(&folder, "docs/tutorials/outliers.md", 1);
    leaves(&folder, &["usual.csv", "scores.csv", "denoised.csv"]);
}

#[test]
fn posteriors() {
    let folder = Folder::new();
    run(&folder, "docs/tutorials/posteriors.md", 1);
    leaves(&folder, &["posterior/posterior.npz", "posterior/posterior.html"]);
}

#[test]
fn closed_manifolds() {
    let folder = Folder::new();
    run(&folder, "docs/tutorials/closed-manifolds.md", 1);
    leaves(&folder, &["both/report.html"]);
}

#[test]
fn images() {
    let folder = Folder::new();
    run(&folder, "docs/tutorials/images.md", 1);
    let report = String::from_utf8(folder.read("run/report.html")).expect("text");
    assert!(report.contains("src=\"data:image/gif"), "a tour of latents");
    leaves(&folder, &["new.npy"]);
}

#[test]
fn the_readme() {
    let folder = Folder::new();
    assert!(run(&folder, "README.md", 3) > 10, "three tasks");
    leaves(&folder, &["scores.csv", "posterior/posterior.html", "pictures/report.html"]);
}
