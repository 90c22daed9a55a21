//! `cargo xtask divisions`: divisions of integers in library code that nobody has justified.
//!
//! A lint of clippy finds all of them, those by a number that is written out among them, which cannot panic: nine of ten
//! attributes would say so. So its findings are sifted here, and what is left needs `#[expect]` with a reason, as an index
//! does. Clippy honours that before it reports anything.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::shell::{self, Lock};

const LINT: &str = "clippy::integer_division_remainder_used";

/// A line of what cargo says.
#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    code: Option<Code>,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: PathBuf,
    line_start: usize,
    text: Vec<Text>,
}

/// A line of the source, of which some characters are meant, counted from 1.
#[derive(Deserialize)]
struct Text {
    text: String,
    highlight_start: usize,
    highlight_end: usize,
}

impl Span {
    /// The division as it is written, on one line.
    fn code(&self) -> String {
        let part = |line: &Text| {
            let length = line.highlight_end - line.highlight_start;
            line.text.chars().skip(line.highlight_start - 1).take(length).collect::<String>()
        };
        self.text.iter().map(part).map(|part| part.trim().to_owned()).collect()
    }
}

/// Lists the divisions, and fails if there is one.
pub(crate) fn run(lock: Lock) -> Result<()> {
    let mut clippy = shell::cargo("clippy --workspace --lib --message-format=json", lock);
    clippy.args(["--", "-W", LINT]);
    let found = sifted(&shell::read(&mut clippy)?);
    for line in &found {
        println!("{line}");
    }
    ensure!(
        found.is_empty(),
        "{} divisions may be by 0: take `.max(1)`, `checked_div`, or `#[expect({LINT}, reason = ..)]`",
        found.len()
    );
    println!("every division of integers is by a number that is not 0, or says why");
    Ok(())
}

/// `path:line: division` of each in a library, once.
fn sifted(output: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let messages = lines.filter_map(|line| line.message);
    let ours = messages.filter(|m| m.code.as_ref().is_some_and(|code| code.code == LINT));
    let mut found: Vec<String> = ours
        .flat_map(|message| message.spans)
        .filter(|span| span.file_name.starts_with(Path::new("crates")))
        .map(|span| (span.code(), span))
        .filter(|(code, _)| !divisor(code).is_some_and(is_safe))
        .map(|(code, span)| format!("{}:{}: {code}", span.file_name.display(), span.line_start))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// What is behind the last sign of division that is in no brackets.
fn divisor(code: &str) -> Option<&str> {
    let code = code.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(code);
    let mut depth = 0_i32;
    let mut last = None;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '/' | '%' if depth == 0 => last = Some(at + 1),
            _ => {}
        }
    }
    Some(code.get(last?..)?.trim_start_matches('=').trim())
}

/// Whether an expression is not 0 by how it is written: a number, a constant, whose value the compiler knows, a sum with one,
/// or at least one.
fn is_safe(divisor: &str) -> bool {
    let is_number = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && text.contains(|c: char| ('1'..='9').contains(&c))
    };
    let name = divisor.rsplit("::").next().unwrap_or(divisor);
    let is_constant = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let at_least = divisor.strip_suffix(')').and_then(|rest| rest.rsplit_once(".max("));
    let one_more = divisor.strip_prefix('(').and_then(|rest| rest.split_once(" + "));
    is_number(divisor)
        || is_constant
        || at_least.is_some_and(|(_, least)| is_number(least))
        || one_more.is_some_and(|(one, _)| is_number(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_that_cannot_be_0_are_told_by_how_they_are_written() {
        for code in [
            "x / 2",
            "(a / 1_000)",
            "n / PART",
            "n % Self::ROWS",
            "(a / b.len().max(1))",
            "a /= 3",
            "fit / (1 + n)",
            "a / b / 4",
        ] {
            assert!(divisor(code).is_some_and(is_safe), "{code}");
        }
        for code in [
            "x / n",
            "x / 0",
            "e % (n + 1)",
            "a / b.max(c)",
            "a / 4 / b",
            "f(a / 2) / n",
            "a / N.len()",
        ] {
            assert!(!divisor(code).is_some_and(is_safe), "{code}");
        }
    }

    #[test]
    fn what_is_left_of_the_findings_has_its_place_and_stands_once() {
        let line = |path: &str, code: &str, lint: &str| {
            let (start, end) = (5, 5 + code.len());
            let text = serde_json::json!({ "text": format!("    {code};"), "highlight_start": start, "highlight_end": end });
            let span = serde_json::json!({ "file_name": path, "line_start": 7, "text": [text] });
            let message = serde_json::json!({ "code": { "code": lint }, "spans": [span] });
            serde_json::json!({ "reason": "compiler-message", "message": message }).to_string()
        };
        let output = [
            line("crates/a/src/lib.rs", "x / n", LINT),
            line("crates/a/src/lib.rs", "x / n", LINT),
            line("crates/a/src/lib.rs", "x / 2", LINT),
            line("crates/a/src/lib.rs", "x / m", "clippy::other"),
            line("xtask/src/main.rs", "x / n", LINT),
            "no JSON".to_owned(),
        ];
        assert_eq!(sifted(&output.join("\n")), ["crates/a/src/lib.rs:7: x / n"]);
    }
}
