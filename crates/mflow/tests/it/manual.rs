//! What shells, `man` and scripts get.
use crate::folder::Folder;
use std::fs;

/// The verbs that `--help` lists.
fn verbs(folder: &Folder) -> Vec<String> {
    let help = folder.succeeds("--help");
    let list = help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next());
    let lines = list.expect("a list of verbs").lines().filter(|line| line.starts_with("  "));
    let names = lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    let names: Vec<String> = names.filter(|name| name != "help").collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

#[test]
fn shells_complete_all_verbs() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = folder.succeeds(&format!("completions {shell}"));
        for verb in verbs(&folder) {
            assert!(text.contains(&verb), "{shell} knows {verb}");
        }
        assert!(text.contains("manifold-dim"), "{shell} knows options");
    }
    folder.fails("completions cmd", 2, &["cmd", "bash"]);
}

#[test]
fn there_is_a_page_for_each_verb() {
    let folder = Folder::new();
    folder.succeeds("man --out pages");
    for verb in verbs(&folder) {
        let page = fs::read_to_string(folder.path(&format!("pages/mflow-{verb}.1")));
        let page = page.expect("a page");
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{verb}: {page}");
    }
    assert!(folder.path("pages/mflow.1").is_file(), "and one for all");
    folder.fails("man --out data.csv", 1, &["data.csv"]);
}

#[test]
fn quiet_leaves_results_and_warnings() {
    let folder = Folder::new();
    let fit = "fit data.csv --config small.toml --epochs 2 --seed 1";
    let loud = folder.run(&format!("{fit} --out loud"));
    let quiet = folder.run(&format!("{fit} --out quiet --quiet"));
    assert_eq!((loud.code, quiet.code), (Some(0), Some(0)), "{}", quiet.err);
    let told = "left in this phase";
    assert!(loud.err.contains(told) && !quiet.err.contains(told), "{}", quiet.err);
    assert_eq!(quiet.out, loud.out.replace("loud", "quiet"), "the same results");
    // Two epochs find no manifold.
    assert!(quiet.err.contains("warning: ") && loud.err.contains("warning: "), "{}", quiet.err);
    let others = quiet.err.lines().find(|line| !line.starts_with("warning: "));
    assert_eq!(others, None, "nothing else");
    folder.fails("fit data.csv --quiet", 2, &["error", "--out"]);
}
