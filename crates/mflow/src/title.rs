//! The title of an experiment's model in tables and figures.
use crate::experiment::ExperimentConfig;
use mflow_core::{ModelConfig, ModelParts};
use mflow_train::{Schedule, TrainConfig};

impl ExperimentConfig {
    /// Model and schedule, as in "M-flow, M/D sequential"; "M-flow (SCANDAL), .." if scores are fitted. A schedule goes without saying for models that have
    /// one only; one that is not published has the names of its phases.
    pub fn title(&self) -> String {
        title(&self.model, &self.train)
    }
}

/// See [`ExperimentConfig::title`].
pub(crate) fn title(model: &ModelConfig, train: &TrainConfig) -> String {
    let kind = match &model.parts {
        ModelParts::Atlas { charts, .. } => &format!("M-flow on {} charts", charts.len()),
        ModelParts::FreeFormAtlas { charts, .. } => {
            &format!("free-form flow on {} charts", charts.len())
        }
        ModelParts::Af { .. } => "AF",
        ModelParts::Fom { .. } => "FOM",
        ModelParts::Pie { .. } if model.sizes.conditional_manifold => "PIE, conditional manifold",
        ModelParts::Pie { .. } => "PIE",
        ModelParts::MFlow { chart: Some(_), .. } => "M-flow on a chart",
        ModelParts::MFlow { .. } => "M-flow",
        ModelParts::MeFlow { .. } => "M_e-flow",
        ModelParts::Pae { .. } => "PAE",
        ModelParts::FreeForm { .. } => "Free-form flow",
        ModelParts::Vae { .. } => "VAE",
        ModelParts::Rif { .. } => "RIF",
        ModelParts::Ratio { .. } if train.uses_scores() => "ALICES",
        ModelParts::Ratio { .. } => "ALICE",
        _ => model.name(),
    };
    if matches!(model.parts, ModelParts::Ratio { .. }) {
        return kind.to_owned();
    }
    let scandal = if train.uses_scores() { " (SCANDAL)" } else { "" };
    let schedule = Schedule::recognize(model, &train.phases);
    let default = Schedule::of(model);
    let schedule = match schedule {
        Some(schedule) if schedule == default && schedule == Schedule::Likelihood => {
            return format!("{kind}{scandal}");
        }
        Some(Schedule::Sequential) => "M/D sequential".to_owned(),
        Some(Schedule::Alternating) => "M/D alternating".to_owned(),
        Some(Schedule::Simultaneous) => "simultaneous".to_owned(),
        Some(Schedule::Ot) => "OT".to_owned(),
        Some(Schedule::OtAlternating) => "OT alternating".to_owned(),
        Some(schedule) => schedule.name().to_owned(),
        None => {
            let names: Vec<String> = train.phases.iter().map(|s| s.name()).collect();
            names.join(", then ")
        }
    };
    format!("{kind}{scandal}, {schedule}")
}
