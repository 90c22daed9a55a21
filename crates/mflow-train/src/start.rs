//! Where a manifold starts.
use crate::guide::Guide;
use crate::loss::Loss;
use crate::lr::LrSchedule;
use crate::presets::RECONSTRUCTION;
use crate::schedule::{Phase, Stage, TrainConfig};
use crate::{Error, Result};
use mflow_core::{ModelConfig, ModelParts};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a manifold starts, before it learns from its reconstruction error.
///
/// Training from random weights finds gently curved manifolds. A folded one needs more: coordinates of the rows that were
/// found without the model, to which a first phase guides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Start {
    /// As the plane of principal components; see [`ModelConfig::start_flat`].
    Flat,
    /// Guided by distances along the manifold; see [`Guide::Isomap`].
    Unrolled,
    /// Guided by the codes of an autoencoder; see [`Guide::Autoencoder`].
    Autoencoder,
    /// At random weights: any model can.
    Random,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flat => "flat",
            Self::Unrolled => "unrolled",
            Self::Autoencoder => "autoencoder",
            Self::Random => "random",
        })
    }
}

/// Name of the phase that guides the manifold.
const NAME: &str = "start";
/// The share that this phase takes from the rounds of the stage behind it.
const SHARE: f64 = 0.3;

impl Start {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Flat, Self::Unrolled, Self::Autoencoder, Self::Random];

    /// The coordinates that guide this start, if any do.
    fn guide(self) -> Option<Guide> {
        match self {
            Self::Unrolled => Some(Guide::Isomap),
            Self::Autoencoder => Some(Guide::Autoencoder),
            Self::Flat | Self::Random => None,
        }
    }

    /// Why `model`, trained by `train`, cannot have this start; none if it can.
    pub fn obstacle(self, model: &ModelConfig, train: &TrainConfig) -> Option<&'static str> {
        let one_chart = match model.parts {
            ModelParts::Af { .. } | ModelParts::Fom { .. } => {
                return (self != Self::Random).then_some("the manifold of the model is known");
            }
            ModelParts::Ratio { .. } => {
                return (self != Self::Random).then_some("the model has no manifold");
            }
            ModelParts::Atlas { .. }
            | ModelParts::FreeFormAtlas { .. }
            | ModelParts::MFlow { chart: Some(_), .. } => false,
            _ => true,
        };
        let has_frame = model.sizes.frame.is_some();
        match self {
            Self::Unrolled | Self::Autoencoder | Self::Random if has_frame => {
                Some("the model has a flat start already, its frame")
            }
            Self::Random => None,
            _ if !one_chart => {
                Some("a model on a closed chart or on several charts starts in its own way")
            }
            Self::Flat => None,
            _ if model.sizes.conditional_manifold => {
                Some("the manifold depends on the context, and coordinates do not")
            }
            Self::Autoencoder
                if matches!(model.parts, ModelParts::Pae { .. } | ModelParts::FreeForm { .. }) =>
            {
                Some("the model is an autoencoder itself")
            }
            _ if !train.phases.iter().any(Stage::reconstructs) => {
                Some("no phase learns the manifold by its reconstruction error")
            }
            _ => None,
        }
    }

    /// Whether `model`, trained by `train`, can have this start.
    ///
    /// # Errors
    /// If there is an [`Start::obstacle`].
    pub fn check(self, model: &ModelConfig, train: &TrainConfig) -> Result<()> {
        let refused = |reason| {
            let reason = format!("cannot be `{self}` for `{}`: {reason}", model.name());
            Err(Error::config("start", reason))
        };
        self.obstacle(model, train).map_or(Ok(()), refused)
    }

    /// `model` and `train` with this start.
    ///
    /// A flat start puts the principal axes of `x: [rows, D]`, row-major, in data units, into the model. A guided one puts
    /// a phase `start` in front of the first stage that learns the manifold, and takes 30 % of that stage's rounds for it.
    /// A guided phase that `train` has already goes first, and the stage behind it gets its rounds back.
    ///
    /// # Errors
    /// If there is an [`Start::obstacle`], or the axes cannot be found.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions of stages, of which `check` has found one"
    )]
    pub fn apply(
        self,
        model: ModelConfig,
        mut train: TrainConfig,
        x: &[f64],
    ) -> Result<(ModelConfig, TrainConfig)> {
        self.check(&model, &train)?;
        train.phases = without_guide(train.phases);
        if self == Self::Flat {
            return Ok((model.start_flat(x)?, train));
        }
        let Some(by) = self.guide() else { return Ok((model, train)) };
        let at = train.phases.iter().position(Stage::reconstructs).unwrap_or(0);
        let stage = &mut train.phases[at];
        let rounds = stage.rounds();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in 1..=rounds"
        )]
        let share = (rounds as f64 * SHARE).ceil() as usize;
        *stage.rounds_mut() = (rounds - share).max(1);
        let losses = vec![
            Loss::Guided { by }.weighted(RECONSTRUCTION),
            Loss::reconstruction().weighted(RECONSTRUCTION),
        ];
        // The rate stays as it is to the end: the stage behind goes on from there.
        let like = stage.phases().iter().find(|phase| phase.reconstructs());
        let mut phase = Phase::new(NAME, model.groups().manifold, losses, share);
        if let Some(like) = like {
            (phase.batch_size, phase.optimizer) = (like.batch_size, like.optimizer.clone());
            (phase.clip_norm, phase.ema, phase.keep) = (like.clip_norm, like.ema, like.keep);
            phase.lr_schedule = LrSchedule::Constant;
        }
        train.phases.insert(at, phase.into());
        Ok((model, train))
    }
}

/// The stages without the phase of another start. The stage that learns the manifold behind it has its rounds back.
#[expect(clippy::indexing_slicing, reason = "positions of stages, of which `check` has found one")]
fn without_guide(mut stages: Vec<Stage>) -> Vec<Stage> {
    let guides = |stage: &Stage| match stage {
        Stage::Phase(phase) => {
            phase.name == NAME && phase.losses.iter().any(|w| w.loss.guide().is_some())
        }
        Stage::Alternate(_) => false,
    };
    let at = stages.iter().position(guides);
    let learns = stages.iter().position(Stage::reconstructs);
    if let (Some(at), Some(learns)) = (at, learns)
        && at < learns
    {
        *stages[learns].rounds_mut() += stages[at].rounds();
        stages.remove(at);
    }
    stages
}
