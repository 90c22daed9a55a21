//! Names of files, columns and arrays that would command a terminal or a browser: shown, and not obeyed.
use crate::folder::{Ended, Folder};
use mflow::data::io::{Array, Dtype, write_npz};
use std::fs;

const SCRIPT: &str = "</script><script>alert(1)</script>";
const IMAGE: &str = "<img src=x onerror=alert(2)>";
/// Red, a new title, the same in one character, and text from right to left.
const TERMINAL: &str = "\u{1b}[31m\u{1b}]0;title\u{7}\u{9b}2J\u{202e}";
/// What no output may contain.
const COMMANDS: [char; 4] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'];

#[track_caller]
fn commands_nothing(what: &str, text: &str) {
    assert!(!text.contains(COMMANDS), "{what} commands a terminal: {text:?}");
}

#[track_caller]
fn succeeds(folder: &Folder, arguments: &str) -> Ended {
    let ended = folder.run(arguments);
    assert_eq!(ended.code, Some(0), "mflow {arguments}: {}", ended.err);
    commands_nothing(arguments, &ended.out);
    commands_nothing(arguments, &ended.err);
    ended
}

#[test]
fn names_of_columns_and_files_are_text_in_pages_and_messages() {
    let folder = Folder::new();
    let rows = String::from_utf8(folder.read("data.csv")).expect("text");
    let (_, rows) = rows.split_once('\n').expect("a header");
    let name = format!("<script>alert(3)<script>{TERMINAL}.csv");
    folder.write(&name, format!("{SCRIPT},{IMAGE},{TERMINAL}\n{rows}").as_bytes());
    let out = "<script>alert(4)<script>run";
    succeeds(&folder, &format!("fit {name} --config small.toml --epochs 2 --out {out}"));
    let page = String::from_utf8(folder.read(&format!("{out}/report.html"))).expect("text");
    for tag in ["<script>alert", "<img", "alert(1)</script>"] {
        assert!(!page.contains(tag), "the page has {tag}");
    }
    assert!(page.contains("&lt;img") || page.contains("\\u003cimg"), "the names are there");

    let info = succeeds(&folder, &format!("info {out} --samples 20"));
    assert!(info.out.contains("\\u{1b}[31m"), "the name is shown: {}", info.out);
    let other = "data.csv";
    let ended = succeeds(&folder, &format!("score {out} {other} --out s.npz"));
    assert!(ended.err.contains("\\u{1b}[31m"), "names that differ are shown: {}", ended.err);
    folder.write("nan.csv", format!("{SCRIPT},{IMAGE},{TERMINAL}\n1,2,NaN\n").as_bytes());
    let ended = folder.run(&format!("score {out} nan.csv --out s.npz"));
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    commands_nothing("an error about a column", &ended.err);
    let ended = folder.run(&format!("score {out} {TERMINAL}.csv --out s.npz"));
    commands_nothing("an error about a file", &ended.err);
}

#[test]
fn names_in_archives_folders_and_model_files_are_shown_and_not_obeyed() {
    let folder = Folder::fitted();
    let array = || Array::matrix(1, 3, &[1., 2., 3.], Dtype::F64).expect("a matrix");
    let names = [TERMINAL, "../../outside", "/tmp/absolute"];
    let arrays = names.map(|name| (name, array()));
    write_npz(&folder.path("several.npz"), &arrays).expect("an archive");
    let ended = folder.run("score run several.npz --out s.npz");
    assert_eq!(ended.code, Some(1), "none is called x: {}", ended.err);
    assert!(
        ended.err.contains("\\u{1b}[31m") && ended.err.contains("../../outside"),
        "{}",
        ended.err
    );
    commands_nothing("an error about an archive", &ended.err);

    fs::create_dir(folder.path("images")).expect("a folder");
    folder.write(&format!("images/{TERMINAL}.png"), b"no image");
    let ended = folder.run("fit images --manifold-dim 1 --out other");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    commands_nothing("an error about an image", &ended.err);
    assert!(ended.err.contains("\\u{1b}[31m"), "{}", ended.err);

    folder.write("wrong.toml", format!("[model]\n\"{}\" = 1\n", "\\u001b[31m").as_bytes());
    let ended = folder.run("fit data.csv --config wrong.toml --manifold-dim 1 --out other");
    assert_ne!(ended.code, Some(0), "no such field");
    commands_nothing("an error about a field", &ended.err);
    folder.write("torn.toml", format!("[model]\nkind = \"{TERMINAL}\n").as_bytes());
    let ended = folder.run("fit data.csv --config torn.toml --manifold-dim 1 --out other");
    commands_nothing("an error about a file that is no TOML", &ended.err);
}
