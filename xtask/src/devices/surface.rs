//! A whole run of the program on the device: the M-flow of the polynomial surface, from its data to its figures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::cases::Preset;
use super::child::run_until;
use super::programs::Programs;
use super::record::{Book, Record, Surface};
use crate::reproduce::{Experiment, Outcome};
use crate::{files, number};

/// The experiment, and its row.
pub(super) const EXPERIMENT: &str = "polynomial-surface";
pub(super) const MODEL: &str = "m-flow";

/// The figure that is kept.
pub(super) const FIGURE: &str = "surface.png";

/// What the program printed.
const LOG: &str = "surface.log";

/// The preset of the experiment.
pub(super) fn preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Full => "device",
        Preset::Toy => "smoke",
    }
}

/// Runs it and keeps its outcome, figure and output in `out`; ends it at `until`.
pub(super) fn run(
    programs: &Programs,
    device: &str,
    size: Preset,
    (out, work): (&Path, &Path),
    until: Instant,
    book: &mut Book,
) -> Result<()> {
    let experiment = Experiment::load(EXPERIMENT)?;
    let preset = preset(size);
    let rows = experiment.rows(preset)?;
    let model = rows.into_iter().find(|model| model.name == MODEL);
    let model = model.with_context(|| format!("{EXPERIMENT} has no {MODEL} in {preset}"))?;
    let (config, folder) = (work.join("surface.toml"), work.join("surface"));
    files::remove_folder(&folder)?;
    files::write(&config, experiment.resolve(preset, model, 1)?.as_bytes())?;
    let mut command = Command::new(&programs.mflow);
    command.arg("run").arg(&config).arg("--out").arg(&folder).args(["--device", device]);
    let ended = run_until(&mut command, until)?;
    files::write(&out.join(LOG), format!("{}{}", ended.output, ended.complaints).as_bytes())?;
    let outcome = match ended.is_success() {
        true => Outcome::load(&folder)?,
        false => Outcome::default(),
    };
    println!("{EXPERIMENT}, {preset}: {} after {} s", ended.end(), number::seconds(ended.seconds));
    let figure = folder.join("figures").join(FIGURE);
    if figure.is_file() {
        let to = out.join(FIGURE);
        fs::copy(&figure, &to).with_context(|| format!("writing {}", to.display()))?;
    }
    let done = ended.is_success();
    let (status, seconds) = (ended.end(), ended.seconds);
    book.write(&Record::Surface(Surface { preset: preset.to_owned(), status, seconds, outcome }))?;
    ensure!(done, "the run was not done; see {LOG}");
    Ok(())
}
