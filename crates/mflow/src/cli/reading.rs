//! Options of how tables are read.
use super::exit::Usage;
use anyhow::{Result, bail};
use clap::{ArgAction, Args, ValueEnum};
use mflow::data::io::{Columns, Delimiter, Missing, Pick, ReadOptions};
use std::fmt::Write;

/// How text is read: any table of a verb.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TextOptions {
    /// The separator of fields in a text file: one character, `tab` or `blanks` [default: found from the first two lines]
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    delimiter: Option<Delimiter>,
    /// Skip lines of text that start with PREFIX
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true, value_parser = not_empty)]
    comment: Option<String>,
    /// Whether a first line of numbers is a header [default: no; a line 0, 1, 2, .. is refused until you say]
    #[arg(long, value_name = "YES|NO", value_enum)]
    header: Option<Answer>,
}

/// Which part of DATA is read.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PartOptions {
    /// Columns of DATA to use, in this order, by name or position from 0: `a,b,3..`, where `1..4` is 1, 2 and 3
    /// [default: all, or those that the model was fitted to]
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', action = ArgAction::Append)]
    columns: Vec<Pick>,
    /// Columns of DATA to leave out
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', conflicts_with = "columns")]
    drop: Vec<Pick>,
    /// What to do about rows with a missing value: an empty field, NA, NaN [default: refuse]
    #[arg(long, value_name = "HOW", value_enum)]
    missing: Option<MissingName>,
}

/// Both.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Reading {
    #[command(flatten)]
    text: TextOptions,
    #[command(flatten)]
    part: PartOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Answer {
    /// Names
    Yes,
    /// A row
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MissingName {
    /// Refuse the table
    Refuse,
    /// Leave the row out, also of the context and what else goes with DATA, and say how many
    Drop,
}

fn not_empty(text: &str) -> std::result::Result<String, String> {
    match text {
        "" => Err("expected what comments start with, found nothing".to_owned()),
        text => Ok(text.to_owned()),
    }
}

impl TextOptions {
    /// As the library has them.
    pub(super) fn options(&self) -> ReadOptions {
        ReadOptions {
            delimiter: self.delimiter,
            comment: self.comment.clone(),
            header: self.header.map(|answer| answer == Answer::Yes),
            ..ReadOptions::default()
        }
    }
}

impl PartOptions {
    /// The columns that are asked for, if any are.
    fn named(&self) -> Option<Columns> {
        match (self.columns.is_empty(), self.drop.is_empty()) {
            (true, true) => None,
            (true, false) => Some(Columns::Except(self.drop.clone())),
            (false, _) => Some(Columns::Only(self.columns.clone())),
        }
    }

    /// The columns of a file that is not read whole; `otherwise` are those if none are asked for.
    pub(super) fn over_columns(&self, otherwise: Columns) -> Result<Columns> {
        if self.missing == Some(MissingName::Drop) {
            bail!(Usage(
                "expected --missing drop without --stream, which keeps all rows".to_owned()
            ));
        }
        Ok(self.named().unwrap_or(otherwise))
    }

    /// `text` with these; `otherwise` are the columns if none are asked for.
    pub(super) fn over(&self, text: ReadOptions, otherwise: Columns) -> ReadOptions {
        let missing = match self.missing {
            Some(MissingName::Drop) => Missing::Drop,
            _ => Missing::Refuse,
        };
        ReadOptions { columns: self.named().unwrap_or(otherwise), missing, ..text }
    }
}

impl Reading {
    /// As the library has them.
    pub(super) fn options(&self) -> ReadOptions {
        self.part.over(self.text.options(), Columns::All)
    }

    /// As they were given on the command line, with a blank before each.
    pub(super) fn command(&self) -> String {
        let Self { text, part } = self;
        let mut command = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                write!(command, " --{name} '{value}'").ok();
            }
        };
        let list = |picks: &[Pick]| {
            let all: Vec<String> = picks.iter().map(ToString::to_string).collect();
            (!all.is_empty()).then(|| all.join(","))
        };
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned())
        };
        add("delimiter", text.delimiter.map(|delimiter| delimiter.to_string()));
        add("comment", text.comment.clone());
        add("header", name(text.header.and_then(|answer| answer.to_possible_value())));
        add("columns", list(&part.columns));
        add("drop", list(&part.drop));
        add("missing", name(part.missing.and_then(|missing| missing.to_possible_value())));
        command
    }
}
