//! What is disturbed: xtask/soak/cases.toml.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::program::Program;
use crate::files;

const CASES: &str = include_str!("../../soak/cases.toml");

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    /// What stands for a word in braces in a command.
    pub(super) words: BTreeMap<String, String>,
    file: Vec<Text>,
    table: Vec<Table>,
    /// Commands that make the data and models of the others, those of `--toy` first.
    prepare: Vec<String>,
    prepare_more: Vec<String>,
    /// Commands that are killed.
    #[serde(rename = "case")]
    pub(super) cases: Vec<Case>,
    /// Commands whose disk fails at every call.
    #[serde(rename = "command")]
    pub(super) commands: Vec<Case>,
}

/// A file that commands read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    text: String,
}

/// A table whose rows repeat.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    header: String,
    cycle: Vec<String>,
    rows: usize,
}

/// A command; `{out}` in it is the folder that it may write to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) command: String,
    #[serde(default)]
    pub(super) again: Again,
    /// The disk fails at one of so many calls, of a command that takes long.
    #[serde(default = "one")]
    pub(super) every: usize,
    /// Whether `--toy` has it.
    #[serde(default)]
    pub(super) toy: bool,
}

fn one() -> usize {
    1
}

/// What the same command does in a folder where it was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Again {
    /// It goes on, if it is told `--resume auto`.
    #[default]
    Resumes,
    /// The same, unless all is done: then it is refused.
    Once,
    /// It does its work anew, and may leave parts of files where it was killed.
    Anew,
}

impl Case {
    /// The command for a folder where it may have been before.
    pub(super) fn resumed(&self) -> String {
        match self.again {
            Again::Resumes | Again::Once => format!("{} --resume auto", self.command),
            Again::Anew => self.command.clone(),
        }
    }
}

impl Cases {
    /// Reads the file of cases.
    pub(super) fn read() -> Result<Self> {
        toml::from_str(CASES).context("in xtask/soak/cases.toml")
    }

    /// Keeps what `--toy` and `--only` ask for.
    pub(super) fn choose(&mut self, toy: bool, only: Option<&str>) {
        let is_chosen = |case: &Case| only.map_or(!toy || case.toy, |only| case.name == only);
        self.cases.retain(is_chosen);
        self.commands.retain(is_chosen);
    }

    /// Makes what the commands read.
    pub(super) fn prepare(&self, program: &Program, toy: bool) -> Result<()> {
        let place = program.place("data")?;
        let write = |name: &str, text: &str| files::write(&place.path.join(name), text.as_bytes());
        for Text { name, text } in &self.file {
            write(name, text)?;
        }
        for Table { name, header, cycle, rows } in &self.table {
            let rows = cycle.iter().map(String::as_str).cycle().take(*rows);
            let lines: Vec<&str> = [header.as_str()].into_iter().chain(rows).collect();
            write(name, &(lines.join("\n") + "\n"))?;
        }
        let more = if toy { &[][..] } else { &self.prepare_more[..] };
        let mut commands = self.prepare.iter().chain(more);
        commands.try_for_each(|command| program.succeeds(command, &place).map(drop))
    }
}

/// Refuses a name that none of `known` is.
pub(super) fn check_name(only: &str, known: &[&str]) -> Result<()> {
    match known.contains(&only) {
        true => Ok(()),
        false => bail!("expected --only to be one of {}; found {only}", known.join(", ")),
    }
}

/// Whether a file that is named after the reference is a run's learning curve, which grows.
pub(super) fn grows(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|name| name == "metrics.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_model_and_schedule_is_killed() {
        let Cases { cases, commands, .. } = Cases::read().unwrap();
        for list in [&cases, &commands] {
            let names: BTreeSet<&str> = list.iter().map(|case| case.name.as_str()).collect();
            assert_eq!(names.len(), list.len(), "{names:?}");
            assert!(list.iter().any(|case| case.toy), "something is left for --toy");
        }
        let all: Vec<&str> = cases.iter().map(|case| case.command.as_str()).collect();
        let all = all.join(" ") + " ";
        for (option, names) in [
            (
                "--model",
                "auto af fom pie m-flow atlas me-flow pae free-form free-form-atlas vae rif ratio",
            ),
            ("--schedule", "sequential alternating simultaneous ot ot-alternating likelihood"),
        ] {
            for name in names.split(' ') {
                assert!(all.contains(&format!("{option} {name} ")), "no case has {option} {name}");
            }
        }
    }
}
