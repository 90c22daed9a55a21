//! Settings: fields of a config, from a TOML file or one by one, laid over defaults, with errors that name the field.
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::str::FromStr;
use toml::{Table, Value};

/// Names in a path: configs are far less deep, and deeper tables exhaust the stack of whoever walks them.
const DEEPEST: usize = 64;

/// One field and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The file that it is from, if it is from one.
    file: Option<String>,
    /// Path of the field: `train.phases.0.epochs`.
    path: String,
    value: Value,
}

impl FromStr for Setting {
    type Err = String;

    /// `a.b=c`, with `c` as TOML where it is TOML, else as text.
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected FIELD=VALUE, found no `=`")?;
        // `a[0].b` is how messages spell `a.0.b`.
        let path = path.trim().replace('[', ".").replace(']', "");
        if path.split('.').any(|part| part.trim().is_empty()) {
            return Err(format!("expected a path like train.shards before `=`, found `{path}`"));
        }
        let parts = path.split('.').count();
        if parts > DEEPEST {
            return Err(format!("expected a path of at most {DEEPEST} names, found {parts}"));
        }
        let value = value.trim();
        let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { file: None, path, value })
    }
}

impl Setting {
    /// The settings of the TOML file at `path`, field by field; lists are one field each.
    ///
    /// # Errors
    /// If the file cannot be read or is no TOML.
    pub fn of_file(path: &Path) -> Result<Vec<Self>> {
        let file = path.display().to_string();
        let refuse = |place, message| Error::Setting { file: Some(place), path: None, message };
        let text = std::fs::read_to_string(path)
            .map_err(|e| refuse(file.clone(), format!("cannot be read: {e}")))?;
        let table: Table = toml::from_str(&text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            refuse(format!("{file}, line {line}"), e.message().to_owned())
        })?;
        let mut settings = vec![];
        flatten("", table, &file, &mut settings);
        Ok(settings)
    }

    /// Whether it sets the field at `path`.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// Whether it sets the field at `path`, or a part of it.
    pub(crate) fn is_under(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The text that it sets the field at `path` to.
    pub(crate) fn text_at(&self, path: &str) -> Option<&str> {
        self.value.as_str().filter(|_| self.is_at(path))
    }

    /// An error about this setting.
    pub(crate) fn error(&self, message: &str) -> Error {
        let (file, path) = (self.file.clone(), Some(self.path.clone()));
        Error::Setting { file, path, message: message.to_owned() }
    }

    /// Whether it says which kind of thing a table is.
    fn is_kind(&self) -> bool {
        self.path.ends_with(".kind")
    }

    /// Put the value in its place. Another kind of thing starts from its own defaults: what its table
    /// holds of the kind before is dropped.
    fn apply(&self, root: &mut Table) -> Result<(), String> {
        let (folders, last) = match self.path.rsplit_once('.') {
            Some((folders, last)) => (folders.split('.').collect(), last),
            None => (vec![], self.path.as_str()),
        };
        let mut root_value = Value::Table(std::mem::take(root));
        let mut place = Ok(&mut root_value);
        for key in folders {
            place = place.and_then(|value| inside(value, key));
        }
        if self.is_kind()
            && let Ok(Value::Table(table)) = &mut place
            && table.get(last).is_some_and(|kind| *kind != self.value)
        {
            table.clear();
        }
        let entry = place.and_then(|value| inside(value, last));
        let done = entry.map(|entry| self.value.clone_into(entry));
        if let Value::Table(table) = root_value {
            *root = table;
        }
        done
    }
}

/// The entry `key` of a table or array; tables get new entries.
fn inside<'a>(value: &'a mut Value, key: &str) -> Result<&'a mut Value, String> {
    match value {
        Value::Table(table) => {
            Ok(table.entry(key.to_owned()).or_insert_with(|| Value::Table(Table::new())))
        }
        Value::Array(array) => {
            let length = array.len();
            let entry = key.parse().ok().and_then(|i: usize| array.get_mut(i));
            entry.ok_or_else(|| {
                format!("expected a position below {length}, the length of the list, found `{key}`")
            })
        }
        other => Err(format!("`{key}` is no field: the value around it is {other}")),
    }
}

fn flatten(prefix: &str, table: Table, file: &str, settings: &mut Vec<Setting>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(table) => flatten(&path, table, file, settings),
            value => settings.push(Setting { file: Some(file.to_owned()), path, value }),
        }
    }
}

/// A config as a table, to lay settings over.
pub(crate) fn table(config: &impl Serialize) -> Result<Table> {
    Table::try_from(config).map_err(|e| whole(None, &e.to_string()))
}

/// An error about all settings together.
fn whole(file: Option<&String>, message: &str) -> Error {
    Error::Setting { file: file.cloned(), path: None, message: message.to_owned() }
}

/// `base` with the settings laid over it, as a config: the later ones over the earlier ones.
///
/// # Errors
/// If a setting has no place, or the whole is no config: the error names the setting without which it would be one.
#[expect(clippy::indexing_slicing, reason = "counted by the settings")]
pub fn with_settings<T: DeserializeOwned>(base: &Table, settings: &[Setting]) -> Result<T> {
    // Kinds come before what depends on them.
    let mut settings: Vec<&Setting> = settings.iter().collect();
    settings.sort_by_key(|setting| !setting.is_kind());
    let with = |settings: &mut dyn Iterator<Item = &Setting>| -> Result<Result<T, String>> {
        let mut table = base.clone();
        for setting in settings {
            setting.apply(&mut table).map_err(|message| setting.error(&message))?;
        }
        let whole = Value::Table(table).try_into();
        Ok(whole.map_err(|e: toml::de::Error| e.to_string().trim().replace('\n', ", ")))
    };
    let message = match with(&mut settings.iter().copied())? {
        Ok(config) => return Ok(config),
        Err(message) => message,
    };
    // The setting to blame is the one without which all is well; the last, if there are several.
    for skipped in (0..settings.len()).rev() {
        let rest = settings.iter().enumerate().filter(|(i, _)| *i != skipped);
        if let Ok(Ok(_)) = with(&mut rest.map(|(_, setting)| *setting)) {
            return Err(settings[skipped].error(&message));
        }
    }
    Err(whole(settings.iter().find_map(|s| s.file.as_ref()), &message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_have_no_end_of_names() {
        let deep = |names: usize| format!("{}=1", vec!["a"; names].join(".")).parse::<Setting>();
        assert!(deep(DEEPEST).is_ok(), "a deep one");
        let message = deep(100_000).expect_err("a deeper one than any stack");
        assert!(message.contains("at most 64 names, found 100000"), "{message}");
    }
}
