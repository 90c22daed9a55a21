//! Schedules by name, for any model that they fit.
use crate::loss::{Loss, WeightedLoss};
use crate::schedule::{Alternate, Keep, Phase, Stage, TrainConfig};
use crate::{Error, Result};
use mflow_core::{ModelConfig, ModelParts};
use serde::{Deserialize, Serialize};

/// A schedule by its name, of Brehmer & Cranmer (2020) and the models beside theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Schedule {
    /// M/D: first the manifold by its reconstruction error, then the density on it, half of the epochs
    /// each; of free-form models four fifths are for the manifold. Brehmer & Cranmer (2020), section 3.B.
    Sequential,
    /// M/D: manifold and density in turns, epoch by epoch.
    Alternating,
    /// A third of the epochs on the reconstruction error, a third on it and the exact likelihood together,
    /// a third on the density alone. Section 3.A.
    Simultaneous,
    /// All parameters on the Sinkhorn divergence. Section 3.C.
    Ot,
    /// The Sinkhorn divergence on all parameters and the density, in turns.
    OtAlternating,
    /// All parameters on the likelihood alone, or on what a model without one is trained on in its place.
    /// For models of a density on a manifold it is unstable: section 3.A.
    Likelihood,
}

const ALL: [Schedule; 6] = [
    Schedule::Sequential,
    Schedule::Alternating,
    Schedule::Simultaneous,
    Schedule::Ot,
    Schedule::OtAlternating,
    Schedule::Likelihood,
];

/// Whose settings a schedule by its name has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Settings {
    /// Ours. In phases without a Sinkhorn divergence the weights are averaged, with a decay of 0.999. Phases that learn a
    /// manifold by its reconstruction error have a learning rate of 2e-3, those of `free-form` 5e-3 and of
    /// `free-form-atlas` 3e-3. A stage ends with its best weights. The exception: a stage in which free-form networks
    /// learn only the manifold ends with its last ones. They hardly overfit there, and one held-out row far from all
    /// others could make an early epoch look best. The presets `ablation` of the polynomial surface and of the manifolds
    /// measure what each of these buys.
    #[default]
    Tuned,
    /// Those of Brehmer & Cranmer (2020): weights as they are, learning rate 1e-3, last-epoch weights. A likelihood that
    /// is the only loss has the weight 1, in nats: that does not matter to Adam, but it does to clipping.
    Published,
}

/// Decay of the averages of the tuned settings.
const DECAY: f64 = 0.999;
/// Learning rate of manifolds in the tuned settings.
const MANIFOLD_RATE: f64 = 2e-3;
/// The same for free-form networks on one chart.
const FREE_RATE: f64 = 5e-3;
/// The same on several charts: at the higher rate, more runs fold one of them.
const FREE_ATLAS_RATE: f64 = 3e-3;

impl Settings {
    fn apply(self, model: &ModelConfig, stages: &mut [Stage]) {
        let rate = match model.parts {
            ModelParts::FreeForm { .. } => FREE_RATE,
            ModelParts::FreeFormAtlas { .. } => FREE_ATLAS_RATE,
            _ => MANIFOLD_RATE,
        };
        for stage in stages {
            if self == Self::Published {
                stage.set_keep(Keep::Last);
                continue;
            }
            if is_free(model) && stage.phases().iter().all(Phase::only_reconstructs) {
                stage.set_keep(Keep::Last);
            }
            for phase in stage.phases_mut() {
                if phase.losses.iter().any(|w| w.loss.divergence().is_some()) {
                    continue;
                }
                phase.ema = DECAY;
                if phase.reconstructs() {
                    phase.optimizer.set_learning_rate(rate);
                }
            }
        }
    }
}

/// Weight of the mean squared error, as published for the polynomial surface.
pub(crate) const RECONSTRUCTION: f64 = 1000.;
/// Weight of the likelihood beside the reconstruction error: 0.14 of the paper in bits per dimension, for
/// `N = 2` about 0.1 in nats.
const BESIDE: f64 = 0.1;
/// Weight of the Sinkhorn divergence.
const DIVERGENCE: f64 = 10.;
/// Rows per update on the Sinkhorn divergence.
const DIVERGENCE_ROWS: usize = 1000;

impl Schedule {
    /// The default schedule of `model`.
    pub fn of(model: &ModelConfig) -> Self {
        match model.parts {
            ModelParts::MFlow { .. }
            | ModelParts::Atlas { .. }
            | ModelParts::MeFlow { .. }
            | ModelParts::Pae { .. }
            | ModelParts::FreeForm { .. }
            | ModelParts::FreeFormAtlas { .. } => Self::Sequential,
            _ => Self::Likelihood,
        }
    }

    /// The default number of epochs for `model`, of all phases together. Free-form models train for longer, as their
    /// updates are fast.
    pub fn default_epochs(model: &ModelConfig) -> usize {
        if is_free(model) { 300 } else { 100 }
    }

    /// The name, as in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Alternating => "alternating",
            Self::Simultaneous => "simultaneous",
            Self::Ot => "ot",
            Self::OtAlternating => "ot-alternating",
            Self::Likelihood => "likelihood",
        }
    }

    /// The schedule for `model` in `epochs` epochs (at least one a phase), with our settings.
    ///
    /// # Errors
    /// If the schedule does not fit the model.
    pub fn config(self, model: &ModelConfig, epochs: usize) -> Result<TrainConfig> {
        self.with(Settings::default(), model, epochs)
    }

    /// The same with the settings that are asked for.
    ///
    /// # Errors
    /// If the schedule does not fit the model.
    pub fn with(
        self,
        settings: Settings,
        model: &ModelConfig,
        epochs: usize,
    ) -> Result<TrainConfig> {
        let mut stages = self.stages(model, epochs)?;
        settings.apply(model, &mut stages);
        Ok(TrainConfig::new(stages))
    }

    /// The published schedule for `model` whose stages, phases and losses are those of `stages`, whatever
    /// the numbers in them.
    pub fn recognize(model: &ModelConfig, stages: &[Stage]) -> Option<Self> {
        let is_like = |schedule: &Self| match schedule.stages(model, 1) {
            Ok(published) => {
                published.len() == stages.len()
                    && published.iter().zip(stages).all(|(a, b)| a.is_like(b))
            }
            Err(_) => false,
        };
        ALL.into_iter().find(is_like)
    }

    #[expect(
        clippy::integer_division_remainder_used,
        reason = "parts are numbers in this file, none of them 0"
    )]
    fn stages(self, model: &ModelConfig, epochs: usize) -> Result<Vec<Stage>> {
        let groups = model.groups();
        self.check(model)?;
        let share = |part: usize| (epochs / part).max(1);
        let rest = |used: usize| epochs.saturating_sub(used).max(1);
        let reconstruction = || Loss::reconstruction().weighted(RECONSTRUCTION);
        let manifold =
            |epochs| Phase::new("manifold", groups.manifold, vec![reconstruction()], epochs);
        let density = |epochs| {
            let loss = Loss::coordinate_likelihood().weighted(1.);
            Phase::new("density", groups.density, vec![loss], epochs)
        };
        let divergence = |epochs| {
            let loss = Loss::sinkhorn().weighted(DIVERGENCE);
            let mut phase = Phase::new("divergence", &["*"], vec![loss], epochs);
            phase.batch_size = DIVERGENCE_ROWS;
            phase
        };
        Ok(match self {
            Self::Sequential => {
                let of_manifold = if is_free(model) { (4 * epochs / 5).max(1) } else { share(2) };
                vec![manifold(of_manifold).into(), density(rest(of_manifold)).into()]
            }
            Self::Alternating => {
                vec![Alternate::new(vec![manifold(1), density(1)], share(2)).into()]
            }
            Self::Simultaneous => {
                let both = vec![reconstruction(), likelihood(model).weighted(BESIDE)];
                vec![
                    manifold(share(3)).into(),
                    Phase::new("joint", &["*"], both, rest(2 * share(3))).into(),
                    density(share(3)).into(),
                ]
            }
            Self::Ot => vec![divergence(epochs.max(1)).into()],
            Self::OtAlternating => {
                vec![Alternate::new(vec![divergence(1), density(1)], share(2)).into()]
            }
            Self::Likelihood => {
                let mut losses: Vec<WeightedLoss> = vec![likelihood(model).weighted(1.)];
                if matches!(model.parts, ModelParts::Rif { .. }) {
                    // The bound knows nothing of the distance to the data.
                    losses.push(reconstruction());
                }
                vec![Phase::new("likelihood", &["*"], losses, epochs.max(1)).into()]
            }
        })
    }

    /// Refuse what cannot be.
    fn check(self, model: &ModelConfig) -> Result<()> {
        let reason = match (self, &model.parts) {
            (Self::Likelihood, ModelParts::Pae { .. }) => {
                "needs a likelihood, and that of `pae` is intractable; it fits `sequential`, `alternating`, `ot` and \
                 `ot-alternating`"
            }
            (Self::Likelihood, _) => return Ok(()),
            (_, ModelParts::Ratio { .. }) => {
                "trains a manifold, and `ratio` has none; it fits `likelihood`, which trains it on its ratios"
            }
            (_, ModelParts::Af { .. } | ModelParts::Fom { .. }) => {
                "trains a manifold, and that of `af` and `fom` is fixed; they fit `likelihood`"
            }
            (Self::Ot, _) => return Ok(()),
            (_, ModelParts::Vae { .. }) => {
                "trains a density of codes, and that of `vae` is fixed; it fits `likelihood` and `ot`"
            }
            (Self::Simultaneous, ModelParts::Pae { .. }) => {
                "needs a likelihood, and that of `pae` is intractable; it fits `sequential`, `alternating`, `ot` and \
                 `ot-alternating`"
            }
            _ => return Ok(()),
        };
        Err(Error::config("schedule", format!("`{}` {reason}", self.name())))
    }
}

/// Whether the manifold is learned by networks without constraint that have a density.
fn is_free(model: &ModelConfig) -> bool {
    matches!(model.parts, ModelParts::FreeForm { .. } | ModelParts::FreeFormAtlas { .. })
}

/// What stands for the likelihood of a model.
fn likelihood(model: &ModelConfig) -> Loss {
    match model.parts {
        ModelParts::Vae { .. } | ModelParts::Rif { .. } => Loss::surrogate(),
        ModelParts::Ratio { .. } => Loss::Ratio {},
        _ => Loss::likelihood(),
    }
}
