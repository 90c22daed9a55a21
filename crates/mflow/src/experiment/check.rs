//! Whether an experiment can be measured as it asks: told before the training, not after.
use super::data::Source;
use super::optional::NEIGHBOURS;
use super::{EvaluationConfig, ExperimentConfig};
use crate::{Error, Result};
use mflow_data::{Simulator, simulator_by_name, simulator_names};
use mflow_eval::metrics::{CalibrationConfig, TwoSamples};

/// Rows that are measured, at most: they are in memory.
const MOST: usize = 1 << 30;

/// Refuse to fit joint scores that the data do not come with.
pub(super) fn check_scores(config: &ExperimentConfig, source: &Source) -> Result<()> {
    if !config.train.uses_scores() {
        return Ok(());
    }
    let found = match source {
        Source::Simulator(simulator) if simulator.has_scores() => return Ok(()),
        Source::Simulator(simulator) => format!("`{}`", simulator.name()),
        Source::Rows(_) | Source::Images(_) => "the rows of a file".to_owned(),
    };
    let has_scores = |name: &&str| simulator_by_name(name).is_ok_and(|s| s.has_scores());
    let known: Vec<&str> = simulator_names().into_iter().filter(has_scores).collect();
    let reason = format!(
        "fits joint scores (`scandal`, or the loss `score`), which `{}` tell; found {found}",
        known.join("`, `")
    );
    Err(Error::Config { field: "train", reason })
}

impl EvaluationConfig {
    /// Refuse what cannot be measured with data of `simulator`.
    pub(super) fn check(&self, simulator: &dyn Simulator) -> Result<()> {
        let refuse = |field, reason: String| Err(Error::Config { field, reason });
        let at_least = |field, found: usize, least: usize, why: &str| match found < least {
            true => refuse(field, format!("must be at least {least}{why}, found {found}")),
            false => Ok(()),
        };
        let rows = [("evaluation.samples", self.samples), ("evaluation.test_rows", self.test_rows)];
        for (field, found) in rows {
            at_least(field, found, 1, "")?;
            if found > MOST {
                return refuse(field, format!("must be at most {MOST}, found {found}"));
            }
        }
        if self.two_sample {
            at_least(
                "evaluation.test_rows",
                self.test_rows,
                TwoSamples::LEAST_ROWS,
                " for `two_sample`",
            )?;
        }
        if self.intrinsic_dimension {
            let why = " for `intrinsic_dimension`";
            at_least("evaluation.test_rows", self.test_rows, NEIGHBOURS + 1, why)?;
        }
        for parameter in simulator.parameters() {
            if !parameter.prior.contains(self.parameter) {
                let (name, prior, found) = (parameter.name, parameter.prior, self.parameter);
                let reason =
                    format!("must be within the prior of `{name}`, {prior}, found {found}");
                return refuse("evaluation.parameter", reason);
            }
        }
        let asked = [
            ("evaluation.posteriors", self.posteriors),
            ("evaluation.calibration", self.calibration),
        ];
        for (field, sets) in asked {
            if sets > 0 && simulator.parameters().is_empty() {
                let reason = format!(
                    "must be 0, found {sets}: `{}` has no parameters to find the posterior of",
                    simulator.name()
                );
                return refuse(field, reason);
            }
        }
        match self.calibration {
            0 => Ok(()),
            sets => {
                at_least("evaluation.calibration", sets, CalibrationConfig::LEAST_SETS, " (or 0)")
            }
        }
    }
}
