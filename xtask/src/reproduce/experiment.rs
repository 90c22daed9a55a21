//! An experiment: what to run, what to read off, and what to compare it with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::{Table, Value};

use super::merge::merge;
use crate::{files, number};

const FOLDER: &str = "xtask/experiments";

/// The file `xtask/experiments/NAME.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    /// The file's name without its extension.
    #[serde(skip)]
    pub(crate) name: String,
    /// Heading of reports.
    pub(crate) title: String,
    /// What a reader of the page should know, as Markdown.
    #[serde(default)]
    pub(crate) notes: String,
    /// Number of seeds that the default command runs.
    pub(crate) seeds: u64,
    /// The data set that has to be there, as `cargo xtask data` names it.
    pub(crate) data: Option<String>,
    /// The figures of one run that the page shows, by name; a name without an ending is that of a PNG file.
    #[serde(default)]
    pub(crate) figures: Vec<String>,
    /// The row that this run is one of; none means the first that is done.
    pub(crate) figures_of: Option<String>,
    /// The rows that figures show side by side; none means all.
    #[serde(default)]
    compared: Vec<String>,
    /// The figures of that comparison that the page shows, by name.
    #[serde(default)]
    pub(crate) comparison: Vec<String>,
    /// Columns of the tables.
    pub(crate) metric: Vec<Metric>,
    /// Rows of other people.
    #[serde(default)]
    pub(crate) published: Vec<Published>,
    /// A run counts as failed if any of these metrics is larger than its bound.
    #[serde(default)]
    pub(crate) failure: Bounds,
    /// A run counts as good if none of these metrics that its model has is larger than its bound.
    #[serde(default)]
    pub(crate) good: Bounds,
    /// What CI demands of the smoke run.
    #[serde(default)]
    pub(crate) assert: Bounds,
    /// What is compared: one row of runs each.
    pub(crate) model: Vec<Model>,
    /// Settings for `mflow run`.
    run: Table,
    /// Changes to them, by the name of the preset.
    pub(crate) preset: BTreeMap<String, Table>,
}

/// Largest absolute values, by metric.
pub(crate) type Bounds = BTreeMap<String, f64>;

/// A column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metric {
    /// The key in `result.json`.
    pub(crate) key: String,
    /// Heading.
    pub(crate) title: String,
    /// Digits after the point; by default two significant ones.
    pub(crate) decimals: Option<usize>,
    /// Only in the table of every run.
    #[serde(default)]
    pub(crate) detail: bool,
}

impl Metric {
    /// A value as it is printed.
    pub(crate) fn text(&self, value: f64) -> String {
        match self.decimals {
            Some(decimals) => format!("{value:.decimals$}"),
            None => number::short(value),
        }
    }
}

/// A row of other people.
#[derive(Debug, Deserialize)]
pub(crate) struct Published {
    /// What they trained.
    pub(crate) model: String,
    /// Where the numbers stand.
    pub(crate) source: String,
    /// The numbers, by metric.
    #[serde(flatten)]
    pub(crate) values: BTreeMap<String, f64>,
}

/// A row of runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    /// Part of file names.
    pub(crate) name: String,
    /// First cell of the row.
    pub(crate) title: String,
    /// Settings that differ from the others'.
    #[serde(default)]
    set: Table,
    /// The presets that have this row, with what it needs there, merged last; none means all.
    #[serde(default)]
    preset: BTreeMap<String, Table>,
}

impl Model {
    /// Whether a preset has this row.
    fn is_in(&self, preset: &str) -> bool {
        self.preset.is_empty() || self.preset.contains_key(preset)
    }
}

impl Experiment {
    /// The rows of a preset.
    ///
    /// # Errors
    /// If there is no such preset.
    pub(crate) fn rows(&self, preset: &str) -> Result<Vec<&Model>> {
        self.changes(preset)?;
        Ok(self.model.iter().filter(|model| model.is_in(preset)).collect())
    }

    /// What a preset changes for all of its rows.
    fn changes(&self, preset: &str) -> Result<&Table> {
        self.preset.get(preset).with_context(|| {
            let known: Vec<&str> = self.preset.keys().map(String::as_str).collect();
            format!("{} has no preset '{preset}'; expected one of {}", self.name, known.join(", "))
        })
    }

    /// `xtask/experiments/NAME.toml`.
    pub(super) fn path(name: &str) -> PathBuf {
        PathBuf::from(FOLDER).join(format!("{name}.toml"))
    }

    /// Reads that file.
    pub(crate) fn load(name: &str) -> Result<Self> {
        let path = Self::path(name);
        let text = files::read(&path).with_context(|| {
            let known = Self::names().unwrap_or_default().join(", ");
            format!("no experiment '{name}'; expected one of {known}")
        })?;
        Self::parse(name, &text).with_context(|| format!("in {}", path.display()))
    }

    /// The names of all experiments.
    pub(crate) fn names() -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(FOLDER).with_context(|| format!("listing {FOLDER}"))? {
            let path = entry.with_context(|| format!("listing {FOLDER}"))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Reads the text of an experiment's file.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let mut experiment: Self = toml::from_str(text)?;
        experiment.name = name.to_owned();
        experiment.check_metrics()?;
        experiment.check_models()?;
        Ok(experiment)
    }

    /// A misspelt metric would never be looked at.
    fn check_metrics(&self) -> Result<()> {
        let known: Vec<&str> = self.metric.iter().map(|metric| metric.key.as_str()).collect();
        let bounds = [("failure", &self.failure), ("good", &self.good), ("assert", &self.assert)];
        let published = self.published.iter().map(|row| ("published", &row.values));
        for (table, values) in bounds.into_iter().chain(published) {
            for key in values.keys() {
                ensure!(
                    known.contains(&key.as_str()),
                    "[{table}] has '{key}', which is no [[metric]]; expected one of {}",
                    known.join(", ")
                );
            }
        }
        Ok(())
    }

    fn check_models(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for Model { name, preset, .. } in &self.model {
            for preset in preset.keys() {
                ensure!(
                    self.preset.contains_key(preset),
                    "[[model]] '{name}' has the preset '{preset}', which the experiment has not"
                );
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            ensure!(
                !name.is_empty() && name.chars().all(plain),
                "[[model]] name '{name}' becomes a file name; use letters, digits, - and _"
            );
            ensure!(names.insert(name), "two [[model]]s are named '{name}'");
        }
        for preset in self.preset.keys() {
            let rows = self.rows(preset)?;
            ensure!(!rows.is_empty(), "no [[model]] has the preset '{preset}'");
        }
        for name in &self.compared {
            ensure!(names.contains(name), "`compared` has '{name}', which is no [[model]]");
        }
        Ok(())
    }

    /// The file of a figure, by its name.
    pub(crate) fn figure_file(name: &str) -> PathBuf {
        let file = PathBuf::from(name);
        match file.extension() {
            Some(_) => file,
            None => file.with_extension("png"),
        }
    }

    /// The rows that figures show side by side.
    pub(crate) fn compared(&self) -> Vec<&Model> {
        let find = |name: &String| self.model.iter().find(|model| model.name == *name);
        match self.compared.is_empty() {
            true => self.model.iter().collect(),
            false => self.compared.iter().filter_map(find).collect(),
        }
    }

    /// What `mflow run` gets to read: run, preset and model's settings, each over the former.
    pub(crate) fn resolve(&self, preset: &str, model: &Model, seed: u64) -> Result<String> {
        let mut settings = self.run.clone();
        merge(&mut settings, self.changes(preset)?);
        merge(&mut settings, &model.set);
        if let Some(last) = model.preset.get(preset) {
            merge(&mut settings, last);
        }
        let seed = i64::try_from(seed).context("a seed is at most 2^63 - 1")?;
        settings.insert("name".to_owned(), Value::String(self.name.clone()));
        settings.insert("seed".to_owned(), Value::Integer(seed));
        // Keys are sorted, so that the order in the files does not matter for the hash.
        toml::to_string(&settings).context("writing the resolved settings as toml")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::data;

    pub(in super::super) const TEXT: &str = r#"
        title = "Example"
        seeds = 2
        [[metric]]
        key = "distance"
        title = "distance"
        [[metric]]
        key = "gap"
        title = "gap"
        [[published]]
        model = "flow"
        source = "a paper"
        distance = 0
        gap = 1.253
        [failure]
        distance = 0.1
        [good]
        distance = 0.01
        gap = 0.1
        [[model]]
        name = "a"
        title = "Model A"
        [[model]]
        name = "b"
        title = "Model B"
        set = { train = { rate = 0.5 } }
        [run.train]
        steps = 100
        rate = 0.1
        [preset.quick.train]
        steps = 10
        rate = 0.2
    "#;

    #[test]
    fn settings_are_layered() {
        let experiment = Experiment::parse("example", TEXT).unwrap();
        let resolved = experiment.resolve("quick", &experiment.model[1], 7).unwrap();
        let expected = "name = \"example\"\nseed = 7\n\n[train]\nrate = 0.5\nsteps = 10\n";
        assert_eq!(resolved, expected);
    }

    #[test]
    fn compared_rows_are_those_listed_in_their_order_or_all() {
        let names = |text: &str| -> Vec<String> {
            let experiment = Experiment::parse("example", text).unwrap();
            experiment.compared().iter().map(|model| model.name.clone()).collect()
        };
        assert_eq!(names(TEXT), ["a", "b"]);
        assert_eq!(names(&format!("compared = [\"b\", \"a\"]\n{TEXT}")), ["b", "a"]);
    }

    #[test]
    fn mistakes_are_named() {
        let experiment = Experiment::parse("example", TEXT).unwrap();
        let error = experiment.resolve("slow", &experiment.model[0], 7).unwrap_err();
        assert!(error.to_string().contains("expected one of quick"), "{error}");

        let error = experiment.rows("slow").unwrap_err();
        assert!(error.to_string().contains("expected one of quick"), "{error}");

        let no_row = format!("{TEXT}\n[preset.empty]\n");
        let no_row =
            no_row.replace("title = \"Model A\"", "title = \"A\"\npreset = { quick = {} }");
        let no_row =
            no_row.replace("title = \"Model B\"", "title = \"B\"\npreset = { quick = {} }");
        let error = Experiment::parse("x", &no_row).unwrap_err();
        assert!(error.to_string().contains("no [[model]] has the preset 'empty'"), "{error}");

        let error = Experiment::parse("x", &TEXT.replace("gap = 0.1", "gab = 0.1")).unwrap_err();
        assert!(error.to_string().contains("[good] has 'gab'"), "{error}");

        let error = Experiment::parse("x", &format!("compared = [\"c\"]\n{TEXT}")).unwrap_err();
        assert!(error.to_string().contains("`compared` has 'c'"), "{error}");

        let error = Experiment::parse("x", &TEXT.replace("\"b\"", "\"a\"")).unwrap_err();
        assert!(error.to_string().contains("two [[model]]s"), "{error}");
    }

    #[test]
    fn the_shipped_experiments_are_sound() {
        // Another test may have changed the current folder.
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/experiments")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy();
            let experiment = Experiment::parse(&name, &fs::read_to_string(&path).unwrap()).unwrap();
            for (preset, model) in
                experiment.preset.keys().flat_map(|p| experiment.model.iter().map(move |m| (p, m)))
            {
                experiment.resolve(preset, model, 1).unwrap();
            }
            let of_run = experiment.run.get("data");
            let text = |name: &str| of_run.and_then(|data| data.get(name)).and_then(Value::as_str);
            let images = of_run.and_then(|data| data.get("images")).and_then(Value::as_table);
            if let Some(images) = images {
                let set = experiment.data.as_deref().unwrap();
                for path in images.values().filter_map(Value::as_str) {
                    assert!(path.starts_with(&format!("target/data/{set}/")), "{name}: {path}");
                }
                continue;
            }
            let points = experiment.data.as_deref().map(data::points).transpose().unwrap();
            let file = text("file").map(PathBuf::from);
            assert_eq!(file, points, "{name} reads what is fetched for it");
        }
    }
}
