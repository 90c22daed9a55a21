//! `cargo xtask reproduce --list`: the experiments and what is done of them.

use anyhow::Result;

use super::experiment::Experiment;
use super::record::{Place, Record};
use super::{manifolds, page};
use crate::table::Table;

/// Prints a row for every experiment and preset.
pub(super) fn print() -> Result<()> {
    let mut table =
        Table::new(["experiment", "preset", "models", "seeds", "done in target", "done in docs"]);
    for name in Experiment::names()? {
        let experiment = Experiment::load(&name)?;
        for preset in experiment.preset.keys() {
            table.push([
                name.clone(),
                preset.clone(),
                experiment.rows(preset)?.len().to_string(),
                experiment.seeds.to_string(),
                count(&experiment, preset, Place::Target)?,
                count(&experiment, preset, Place::Docs)?,
            ]);
        }
    }
    manifolds::list(&mut table)?;
    println!("{}", table.text());
    Ok(())
}

/// Like `3 (1 stale, 1 failed)`.
fn count(experiment: &Experiment, preset: &str, place: Place) -> Result<String> {
    let records = Record::load_all(&place.folder(&experiment.name, preset))?;
    let (done, failed): (Vec<Record>, Vec<Record>) = records.into_iter().partition(Record::is_done);
    let stale = page::stale(experiment, preset, &done)?;
    let remarks: Vec<String> = [(stale, "stale"), (failed.len(), "failed")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let remarks =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    Ok(format!("{}{remarks}", done.len() - stale))
}
