//! Figures of experiments: of one run, and of several runs of one experiment side by side. One file for each
//! figure; that of one run is that of several with one.
mod circle;
mod images;
mod learning;
mod lorenz;
mod observables;
mod outliers;
mod posteriors;
mod surface;

use crate::experiment::{ExperimentConfig, Origin};
use crate::{Error, FinishedRun, Result};
use mflow_data::Simulator;
use mflow_eval::metrics::Evaluated;
use mflow_train::{EpochMetrics, Pool};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A format of figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Pixels.
    #[default]
    Png,
    /// Lines and texts.
    Svg,
}

impl Format {
    /// How the names of its files end.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Svg => "svg",
        }
    }
}

/// A model to draw, under its title.
#[derive(Clone, Debug)]
struct Drawn<'a> {
    title: String,
    of: Evaluated<'a>,
    losses: &'a [EpochMetrics],
}

/// What all figures of some runs are made of.
#[derive(Debug)]
struct Sheet<'a> {
    experiment: &'a ExperimentConfig,
    runs: Vec<Drawn<'a>>,
    /// The parameters at which surfaces are drawn.
    parameters: &'a [f64],
    folder: &'a Path,
    format: Format,
    written: Vec<PathBuf>,
}

/// Draw what there is to draw of one run into `folder`, as PNG: its losses; its manifold and density, where
/// those of the simulator can be drawn; how well it tells outliers; its posteriors. Returns the files.
///
/// # Errors
/// If the model cannot be evaluated or a figure not written.
pub fn draw_run(
    experiment: &ExperimentConfig,
    of: Evaluated<'_>,
    losses: &[EpochMetrics],
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let runs = vec![Drawn { title: experiment.title(), of, losses }];
    let parameters = [experiment.evaluation.parameter];
    Sheet::new(experiment, runs, &parameters, folder, Format::default())?.draw()
}

/// Draw the same figures of several runs of one experiment into `folder`, side by side or in the same axes,
/// in the order given. Data, such as observed sets, are those of the first run's seed. Returns the files.
///
/// # Errors
/// [`Error::Comparison`] without a run, or if they are of different simulators; if a model cannot be
/// evaluated or a figure not written.
pub fn draw_comparison(
    runs: &[&FinishedRun],
    pool: &Pool,
    folder: &Path,
    format: Format,
) -> Result<Vec<PathBuf>> {
    /// Of the surface: both ends of the prior, and its middle.
    const PARAMETERS: [f64; 3] = [-1., 0., 1.];
    let first = runs.first().ok_or_else(|| Error::Comparison {
        expected: "at least one run".to_owned(),
        found: "none".to_owned(),
    })?;
    let data = first.config.data.name();
    if let Some(other) = runs.iter().find(|run| run.config.data.name() != data) {
        let found = format!("`{}` in {}", other.config.data.name(), other.folder.display());
        let expected = format!("runs of `{data}`, as {}", first.folder.display());
        return Err(Error::Comparison { expected, found });
    }
    let drawn = runs.iter().zip(titles(runs)).map(|(run, title)| Drawn {
        title,
        of: Evaluated { model: run.model.as_ref(), pool },
        losses: &run.metrics,
    });
    Sheet::new(&first.config, drawn.collect(), &PARAMETERS, folder, format)?.draw()
}

/// The titles of runs, with their seeds or else their folders where these tell them apart.
fn titles(runs: &[&FinishedRun]) -> Vec<String> {
    let plain: Vec<String> = runs.iter().map(|run| run.title()).collect();
    let with = |what: &dyn Fn(&FinishedRun) -> String| -> Vec<String> {
        plain.iter().zip(runs).map(|(title, run)| format!("{title}, {}", what(run))).collect()
    };
    let with_seeds = with(&|run| format!("seed {}", run.config.seed));
    let with_folders = with(&|run| run.folder.display().to_string());
    let is_distinct =
        |titles: &Vec<String>| titles.iter().collect::<BTreeSet<_>>().len() == titles.len();
    [plain.clone(), with_seeds].into_iter().find(is_distinct).unwrap_or(with_folders)
}

impl<'a> Sheet<'a> {
    fn new(
        experiment: &'a ExperimentConfig,
        runs: Vec<Drawn<'a>>,
        parameters: &'a [f64],
        folder: &'a Path,
        format: Format,
    ) -> Result<Self> {
        mflow_core::create_folder(folder)?;
        Ok(Self { experiment, runs, parameters, folder, format, written: vec![] })
    }

    /// All figures that apply.
    fn draw(mut self) -> Result<Vec<PathBuf>> {
        learning::draw(&mut self)?;
        images::draw(&mut self)?;
        if let Origin::Simulator { .. } = self.experiment.data.origin {
            let simulator = self.experiment.data.simulator()?;
            let simulator = simulator.as_ref();
            // An estimator of ratios has posteriors, but nothing that says where data lie.
            let all = self.runs.clone();
            self.runs.retain(|run| run.of.model.signature().is_generative());
            if !self.runs.is_empty() {
                surface::draw(&mut self, simulator)?;
                circle::draw(&mut self, simulator)?;
                lorenz::draw(&mut self, simulator)?;
                observables::draw(&mut self, simulator)?;
                outliers::draw(&mut self, simulator)?;
            }
            self.runs = all;
            posteriors::draw(&mut self, simulator)?;
        }
        Ok(self.written)
    }

    /// The path of the figure `name`, which counts as written.
    fn path(&mut self, name: &str) -> PathBuf {
        let path = self.folder.join(name).with_extension(self.format.ending());
        self.written.push(path.clone());
        path
    }

    /// The parameter of the experiment's evaluation, `[P]`.
    fn theta(&self, simulator: &dyn Simulator) -> Vec<f64> {
        vec![self.experiment.evaluation.parameter; simulator.parameter_dim()]
    }
}
