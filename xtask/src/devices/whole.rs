//! Whole runs of the program on the device, from data to figures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::cases::Preset;
use super::child::run_watched;
use super::phases::{self, Arrivals};
use super::programs::Programs;
use super::record::{Book, Record, Whole};
use crate::reproduce::{Experiment, Outcome};
use crate::{files, number};

/// A run: a row of an experiment.
#[derive(Debug)]
pub(super) struct Run {
    /// The part of `cargo xtask device run`; what it leaves is named after it.
    pub(super) part: &'static str,
    pub(super) experiment: &'static str,
    pub(super) model: &'static str,
    /// The figure that is kept, by its name in the run's `figures`.
    figure: &'static str,
    /// Of its section of the page.
    pub(super) heading: &'static str,
    /// What it is, as the page has it.
    pub(super) title: &'static str,
    /// What the page says of the figure.
    pub(super) caption: &'static str,
    /// Presets whose records of the CPU it is compared with, beside those of its own.
    pub(super) beside: &'static [&'static str],
}

/// In their order.
pub(super) const RUNS: [Run; 2] = [SURFACE, IMAGES];

const SURFACE: Run = Run {
    part: "surface",
    experiment: "polynomial-surface",
    model: "m-flow",
    figure: "surface.png",
    heading: "A whole run",
    title: "The M-flow of the [polynomial surface](polynomial-surface.md)",
    caption: "truth and samples of that run",
    beside: &["quick"],
};

const IMAGES: Run = Run {
    part: "images",
    experiment: "images-scan",
    model: "n08",
    figure: "images-samples.png",
    heading: "A whole run of images",
    title: "An M-flow of images, scenes that the program draws, as \
            [images-scan](../../xtask/experiments/images-scan.toml) has them: 64 by 64 pixels in colour and the published \
            sizes of networks in its preset `device`, for some hundred updates",
    caption: "test images and samples of that run",
    // The images of its other presets are smaller.
    beside: &[],
};

/// The preset of the experiments.
fn preset(size: Preset) -> &'static str {
    match size {
        Preset::Full => "device",
        Preset::Toy => "smoke",
    }
}

impl Run {
    /// The figure, beside the records.
    pub(super) fn kept_figure(&self) -> String {
        format!("{}.png", self.part)
    }

    /// What the program printed, beside the records.
    fn log(&self) -> String {
        format!("{}.log", self.part)
    }

    /// Runs it and keeps its outcome, figure and output in `out`; ends it at `until`. What it did before it was ended, or
    /// failed, is recorded too.
    pub(super) fn run(
        &self,
        programs: &Programs,
        device: &str,
        size: Preset,
        (out, work): (&Path, &Path),
        until: Instant,
        book: &mut Book,
    ) -> Result<()> {
        let Self { part, experiment: name, model, .. } = self;
        let experiment = Experiment::load(name)?;
        let preset = preset(size);
        let row = experiment.rows(preset)?.into_iter().find(|row| row.name == *model);
        let row = row.with_context(|| format!("{name} has no {model} in {preset}"))?;
        let (config, folder) = (work.join(format!("{part}.toml")), work.join(part));
        files::remove_folder(&folder)?;
        files::write(&config, experiment.resolve(preset, row, 1)?.as_bytes())?;
        let mut command = Command::new(&programs.mflow);
        command.arg("run").arg(&config).arg("--out").arg(&folder).args(["--device", device]);
        let mut epochs = Arrivals::begin(folder.join(phases::METRICS));
        let ended = run_watched(&mut command, until, &mut || epochs.look())?;
        let log = self.log();
        files::write(&out.join(&log), format!("{}{}", ended.output, ended.complaints).as_bytes())?;
        let done = ended.is_success();
        let outcome = if done { Outcome::load(&folder)? } else { Outcome::default() };
        let (status, seconds) = (ended.end(), ended.seconds);
        println!("{name}, {preset}: {status} after {} s", number::seconds(seconds));
        let figure = folder.join("figures").join(self.figure);
        if figure.is_file() {
            let to = out.join(self.kept_figure());
            fs::copy(&figure, &to).with_context(|| format!("writing {}", to.display()))?;
        }
        // Written even if its phases cannot be told.
        let phases = phases::read(&folder, &epochs);
        let (experiment, model) = ((*name).to_owned(), (*model).to_owned());
        let preset = preset.to_owned();
        let told = phases.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
        let whole = Whole { experiment, model, preset, status, seconds, phases: told, outcome };
        book.write(&Record::Whole(whole))?;
        phases?;
        ensure!(done, "the run was not done; see {log}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn every_run_has_its_row_in_both_presets() {
        shell::enter_repository().unwrap();
        for Run { experiment, model, .. } in RUNS {
            let read = Experiment::load(experiment).unwrap();
            for size in [Preset::Full, Preset::Toy] {
                let rows = read.rows(preset(size)).unwrap();
                assert!(
                    rows.iter().any(|row| row.name == model),
                    "{experiment}: {model}, {size:?}"
                );
            }
        }
    }
}
