//! SCANDAL: scores beside likelihoods.
use crate::loss::Loss;
use crate::schedule::{Phase, Stage, TrainConfig};
use crate::{Error, Result};
use mflow_core::{ModelConfig, ModelParts};

/// Path of the field, for messages.
const FIELD: &str = "train.scandal";

impl TrainConfig {
    /// The weight of the score relative to a likelihood in nats where nothing else is said.
    pub const SCANDAL: f64 = 2.;

    /// Put [`Loss::Score`] beside each likelihood, with `weight` times its weight, in the place of scores that
    /// are there already. SCANDAL: Brehmer, Louppe, Pavez & Cranmer (2020), *Mining gold from implicit models*,
    /// arXiv 1805.12244.
    ///
    /// # Errors
    /// If the weight is not positive and finite, the model has no density, no context or no score, or no phase
    /// has a likelihood.
    pub fn set_scandal(&mut self, weight: f64, model: &ModelConfig) -> Result<()> {
        let refuse = |reason: String| Err(Error::config(FIELD, reason));
        if !(weight > 0. && weight.is_finite()) {
            return refuse(format!("must be positive and finite, found {weight}"));
        }
        if matches!(
            model.parts,
            ModelParts::Pae { .. } | ModelParts::Vae { .. } | ModelParts::Rif { .. }
        ) {
            return refuse(format!(
                "needs a model with a density, whose score is fitted; found `{}`, which has none",
                model.name()
            ));
        }
        if model.sizes.context_dim == 0 {
            return refuse(
                "needs a context, with respect to which scores are gradients; found none"
                    .to_owned(),
            );
        }
        // That of a PIE is a determinant of flows, whose derivatives are at hand.
        if model.sizes.conditional_manifold && !matches!(model.parts, ModelParts::Pie { .. }) {
            return refuse(
                "needs a manifold that does not depend on the context, as the score of its volume is not \
                 known; found `conditional_manifold`"
                    .to_owned(),
            );
        }
        let mut found = false;
        for phase in self.phases.iter_mut().flat_map(Stage::phases_mut) {
            let Some(of_likelihood) = likelihood_weight(phase) else { continue };
            found = true;
            phase.losses.retain(|w| w.loss != Loss::Score {});
            phase.losses.push(Loss::Score {}.weighted(weight * of_likelihood));
        }
        if !found {
            let names: Vec<String> = self.phases.iter().map(Stage::name).collect();
            return refuse(format!(
                "needs a phase with a likelihood to go beside, as `sequential` and `likelihood` have; found the \
                 phases {}",
                names.join(", ")
            ));
        }
        Ok(())
    }

    /// Whether a phase needs joint scores, so that the data must come with them.
    pub fn uses_scores(&self) -> bool {
        let mut losses = self.phases.iter().flat_map(Stage::phases).flat_map(|phase| &phase.losses);
        losses.any(|w| w.loss == Loss::Score {})
    }
}

/// The weight of the likelihoods of a phase; none if it has none.
fn likelihood_weight(phase: &Phase) -> Option<f64> {
    // What a ratio estimator is trained on stands for a likelihood: with scores it is ALICES.
    let is_likelihood = |loss: &Loss| {
        matches!(
            loss,
            Loss::CoordinateLikelihood { .. } | Loss::Likelihood { .. } | Loss::Ratio { .. }
        )
    };
    phase.losses.iter().filter(|w| is_likelihood(&w.loss)).map(|w| w.weight).reduce(|a, b| a + b)
}
