//! The commands of `docs/events-to-posterior.md`, with small numbers.
use crate::folder::Folder;

/// What makes them small.
const SMALL: [(&str, &str); 3] = [
    ("-n 500000 ", "-n 600 "),
    ("--epochs 6 ", "--epochs 2 "),
    (" --out posterior", " --draws 60 --burn-in 60 --out posterior"),
];

#[test]
fn the_tutorial_runs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events-to-posterior.md");
    let page = std::fs::read_to_string(path).expect("the tutorial");
    let block = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let commands: Vec<&str> = block.expect("its commands").lines().collect();
    assert_eq!(commands.len(), 10, "as its heading says");
    let folder = Folder::new();
    for command in commands {
        let mut command = command.strip_prefix("mflow ").expect("a command of mflow").to_owned();
        for (large, small) in SMALL {
            command = command.replace(large, small);
        }
        folder.succeeds(&command);
    }
    for file in ["posterior/posterior.html", "posterior-plain/posterior.html", "both/report.html"] {
        assert!(folder.path(file).is_file(), "{file}");
    }
    assert!(!folder.read("scores.csv").is_empty(), "scores of the observed events");
}
