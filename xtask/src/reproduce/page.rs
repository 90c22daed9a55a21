//! The page docs/results/NAME.md, made of the committed records.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::experiment::Experiment;
use super::record::{Place, Record};
use super::{job, manifolds, report};
use crate::provenance::Provenance;
use crate::{files, number};

const FOLDER: &str = "docs/results";

/// What a figure shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    /// One run.
    Run,
    /// Several rows side by side.
    Rows,
}

impl Shown {
    /// The names of the figures that the page shows.
    fn names(self, experiment: &Experiment) -> &[String] {
        match self {
            Self::Run => &experiment.figures,
            Self::Rows => &experiment.comparison,
        }
    }

    /// Where the page has a figure.
    fn place(self, experiment: &Experiment, preset: &str, name: &str) -> String {
        let of = match self {
            Self::Run => "",
            Self::Rows => "compared-",
        };
        let file = Experiment::figure_file(name);
        format!("figures/{}-{preset}-{of}{}", experiment.name, file.display())
    }
}

/// Copies the figures that the page shows from `folder`.
pub(super) fn keep_figures(
    experiment: &Experiment,
    preset: &str,
    shown: Shown,
    folder: &Path,
) -> Result<()> {
    for name in shown.names(experiment) {
        let figure = folder.join(Experiment::figure_file(name));
        let picture = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
        files::write(&Path::new(FOLDER).join(shown.place(experiment, preset, name)), &picture)?;
    }
    Ok(())
}

/// Writes the page anew and returns its path.
pub(super) fn write(experiment: &Experiment) -> Result<PathBuf> {
    let path = path(experiment);
    files::write(&path, text(experiment)?.as_bytes())?;
    Ok(path)
}

/// The pages that are not what their records and settings give now.
pub(crate) fn outdated() -> Result<Vec<PathBuf>> {
    let mut outdated = vec![];
    for name in Experiment::names()? {
        let experiment = Experiment::load(&name)?;
        let path = path(&experiment);
        if path.is_file() && files::read(&path)? != text(&experiment)? {
            outdated.push(path);
        }
    }
    outdated.extend(manifolds::outdated()?);
    Ok(outdated)
}

fn path(experiment: &Experiment) -> PathBuf {
    Path::new(FOLDER).join(format!("{}.md", experiment.name))
}

fn text(experiment: &Experiment) -> Result<String> {
    let mut page = format!(
        "# {}\n\nWritten by `cargo xtask reproduce --record` from the records in \
         [runs/{name}](runs/{name}); settings, bounds and published rows are in \
         [{name}.toml](../../xtask/experiments/{name}.toml).\n",
        experiment.title,
        name = experiment.name
    );
    if !experiment.notes.is_empty() {
        let _ = write!(page, "\n{}\n", experiment.notes.trim());
    }
    for preset in experiment.preset.keys() {
        let records = Record::load_all(&Place::Docs.folder(&experiment.name, preset))?;
        if !records.is_empty() {
            page += &section(experiment, preset, &records)?;
        }
    }
    Ok(page)
}

fn section(experiment: &Experiment, preset: &str, records: &[Record]) -> Result<String> {
    let mut text = format!("\n## Preset {preset}\n\n");
    text += &report::summary(experiment, records).markdown();
    let _ = write!(text, "\n{}", report::sources(experiment));
    let _ = write!(text, "\n{}", report::failures(experiment, records));
    let stale = stale(experiment, preset, records)?;
    if stale > 0 {
        let _ = write!(text, "\n{stale} of these runs had other settings than the file has now.\n");
    }
    for shown in [Shown::Run, Shown::Rows] {
        for name in shown.names(experiment) {
            let figure = shown.place(experiment, preset, name);
            if Path::new(FOLDER).join(&figure).is_file() {
                let _ = write!(text, "\n![{}, {preset}: {name}]({figure})\n", experiment.title);
            }
        }
    }
    let _ = write!(text, "\n### Every run\n\n{}", report::per_seed(experiment, records).markdown());
    let _ = write!(text, "\n### How\n\n{}", how(records));
    Ok(text)
}

/// The number of records that were made with other settings than the experiment has now.
pub(super) fn stale(experiment: &Experiment, preset: &str, records: &[Record]) -> Result<usize> {
    let mut stale = 0;
    for record in records {
        let jobs = job::plan(experiment, preset, record.seed..record.seed.saturating_add(1))?;
        let current = jobs
            .iter()
            .any(|job| job.model.name == record.model && job.config_hash() == record.config_hash);
        stale += usize::from(!current);
    }
    Ok(stale)
}

fn how(records: &[Record]) -> String {
    let line = |title: &str, values: BTreeSet<String>| {
        format!("- {title}: {}\n", values.into_iter().collect::<Vec<_>>().join(", "))
    };
    let each = |get: &dyn Fn(&Record) -> String| records.iter().map(get).collect::<BTreeSet<_>>();
    let commit = |record: &Record| Provenance::commit_text(&record.commit, record.dirty);
    let total: f64 = records.iter().filter_map(|record| record.outcome.seconds.get("total")).sum();
    [
        line("Command", each(&|record| format!("`{}`", record.command))),
        line("Commit", each(&commit)),
        line("Machine", each(&|record| record.machine.clone())),
        line("Date", each(&|record| record.date.clone())),
        format!("- Wall time of all runs together: {} s\n", number::seconds(total)),
    ]
    .concat()
}
