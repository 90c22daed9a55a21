//! Options of joint scores.
use clap::Args;
use mflow::train::TrainConfig;
use std::path::PathBuf;

/// Joint scores, and what is made of them.
#[derive(Clone, Debug, Args)]
pub(super) struct ScoreOptions {
    /// Joint scores d log p(x, z | theta) / d theta of each point, [rows, C], for --scandal
    #[arg(long, value_name = "T", conflicts_with = "stream")]
    pub(super) scores: Option<PathBuf>,
    /// Fit joint scores beside each likelihood (SCANDAL), with WEIGHT times its weight [default: 2]
    #[arg(long, value_name = "WEIGHT", num_args = 0..=1, value_parser = weight,
        allow_negative_numbers = true, conflicts_with = "stream")]
    scandal: Option<Option<f64>>,
    /// Joint scores of each point for validation
    #[arg(long, value_name = "T", requires = "validation", conflicts_with = "stream")]
    pub(super) validation_scores: Option<PathBuf>,
}

impl ScoreOptions {
    /// The weight of scores, if they are to be fitted.
    pub(super) fn weight(&self) -> Option<f64> {
        self.scandal.map(|weight| weight.unwrap_or(TrainConfig::SCANDAL))
    }
}

fn weight(text: &str) -> Result<f64, String> {
    let weight: Option<f64> = text.parse().ok();
    weight
        .filter(|weight| *weight > 0. && weight.is_finite())
        .ok_or_else(|| "expected a weight, a positive number, or nothing for 2".to_owned())
}
