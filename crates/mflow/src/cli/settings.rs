//! Settings: a TOML file and `--set a.b=c`, laid over defaults, with errors that name the field.
use super::exit::Usage;
use anyhow::{Context, Error, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use toml::{Table, Value};

/// One field and its value.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The file, or none for `--set`.
    file: Option<String>,
    /// Path of the field: `train.phases.0.epochs`.
    path: String,
    value: Value,
}

impl Setting {
    /// For clap: `a.b=c`, with `c` as TOML where it is TOML, else as text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = text.split_once('=').ok_or("expected FIELD=VALUE, found no `=`")?;
        // `a[0].b` is how messages spell `a.0.b`.
        let path = path.trim().replace('[', ".").replace(']', "");
        if path.split('.').any(|part| part.trim().is_empty()) {
            return Err(format!("expected a path like train.shards before `=`, found `{path}`"));
        }
        let value = value.trim();
        let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self { file: None, path, value })
    }

    /// Whether it sets the field at `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path == path
    }

    /// Whether it sets the field at `path`, or a part of it.
    pub(super) fn is_under(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The text that it sets the field at `path` to.
    pub(super) fn text_at(&self, path: &str) -> Option<&str> {
        self.value.as_str().filter(|_| self.is_at(path))
    }

    /// An error about this setting.
    pub(super) fn error(&self, message: &str) -> Error {
        match &self.file {
            Some(file) => anyhow!("{file}: `{}`: {message}", self.path),
            None => Error::new(Usage(format!("--set {}: {message}", self.path))),
        }
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

/// The settings of a TOML file, field by field; lists are one field each.
pub(super) fn read(path: &Path) -> Result<Vec<Setting>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let table: Table = toml::from_str(&text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow!("{name}, line {}: {}", before.matches('\n').count() + 1, e.message())
    })?;
    let mut settings = vec![];
    flatten("", table, &name, &mut settings);
    Ok(settings)
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
pub(super) fn table(config: &impl Serialize) -> Result<Table> {
    Ok(Table::try_from(config)?)
}

/// `base` with the settings laid over it, as a config.
pub(super) fn config<T: DeserializeOwned>(base: &Table, settings: &[Setting]) -> Result<T> {
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
    let mut blamed = None;
    for skipped in (0..settings.len()).rev() {
        let rest = settings.iter().enumerate().filter(|(i, _)| *i != skipped);
        if let Ok(Ok(_)) = with(&mut rest.map(|(_, setting)| *setting)) {
            blamed = Some(settings[skipped]);
            break;
        }
    }
    Err(match (blamed, settings.iter().find_map(|s| s.file.as_ref())) {
        (Some(setting), _) => setting.error(&message),
        (None, Some(file)) => anyhow!("{file}: {message}"),
        (None, None) => Error::new(Usage(format!("--set: {message}"))),
    })
}
