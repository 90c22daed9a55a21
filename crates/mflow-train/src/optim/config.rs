//! Optimizers, as data.
use super::update::Rule;
use crate::{Error, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Any optimizer. In a file `kind` names it, and a table without a kind is `adamw`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    #[serde(rename = "adamw")]
    AdamW(AdamWConfig),
    /// Adam.
    Adam(AdamConfig),
    /// Stochastic gradient descent, with or without momentum.
    Sgd(SgdConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamWConfig::default())
    }
}

impl From<AdamWConfig> for OptimizerConfig {
    fn from(config: AdamWConfig) -> Self {
        Self::AdamW(config)
    }
}
impl From<AdamConfig> for OptimizerConfig {
    fn from(config: AdamConfig) -> Self {
        Self::Adam(config)
    }
}
impl From<SgdConfig> for OptimizerConfig {
    fn from(config: SgdConfig) -> Self {
        Self::Sgd(config)
    }
}

impl<'de> Deserialize<'de> for OptimizerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let Some(fields) = value.as_object_mut() else {
            return Err(D::Error::custom(format!("expected an optimizer, a table, found {value}")));
        };
        let kind = fields.remove("kind").unwrap_or_else(|| "adamw".into());
        let parsed = match kind.as_str() {
            Some("adamw") => serde_json::from_value(value).map(Self::AdamW),
            Some("adam") => serde_json::from_value(value).map(Self::Adam),
            Some("sgd") => serde_json::from_value(value).map(Self::Sgd),
            _ => {
                return Err(D::Error::custom(format!(
                    "expected a kind of optimizer, `adamw`, `adam` or `sgd`, found {kind}"
                )));
            }
        };
        parsed.map_err(D::Error::custom)
    }
}

/// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2).
///
/// ```text
/// m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²
/// θ = (1 - η λ) θ - η (m / (1-β1ᵗ)) / (√(v / (1-β2ᵗ)) + ε)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AdamWConfig {
    /// Learning rate η, before the schedule.
    pub learning_rate: f64,
    /// Weight decay λ.
    pub weight_decay: f64,
    /// Decay rate β1 of the first moment.
    pub beta1: f64,
    /// Decay rate β2 of the second moment.
    pub beta2: f64,
    /// ε in the denominator.
    pub epsilon: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, weight_decay: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

/// Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1): as [`AdamWConfig`], but for weight decay, which
/// is a term `λ θ` of the gradient, 0 by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AdamConfig {
    /// Learning rate η, before the schedule.
    pub learning_rate: f64,
    /// Weight decay λ.
    pub weight_decay: f64,
    /// Decay rate β1 of the first moment.
    pub beta1: f64,
    /// Decay rate β2 of the second moment.
    pub beta2: f64,
    /// ε in the denominator.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        let AdamWConfig { learning_rate, beta1, beta2, epsilon, .. } = AdamWConfig::default();
        Self { learning_rate, weight_decay: 0., beta1, beta2, epsilon }
    }
}

/// Stochastic gradient descent with momentum (Polyak 1964), in the form of Sutskever et al. (2013):
///
/// ```text
/// g = g + λ θ;  b = μ b + g;  θ = θ - η b,   with Nesterov's momentum θ = θ - η (g + μ b)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Learning rate η, before the schedule.
    pub learning_rate: f64,
    /// Weight decay λ.
    pub weight_decay: f64,
    /// Momentum μ; 0 keeps nothing from step to step.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-2, weight_decay: 0., momentum: 0.9, nesterov: false }
    }
}

impl OptimizerConfig {
    /// Learning rate, before the schedule.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::AdamW(c) => c.learning_rate,
            Self::Adam(c) => c.learning_rate,
            Self::Sgd(c) => c.learning_rate,
        }
    }
    /// Set the learning rate.
    pub fn set_learning_rate(&mut self, rate: f64) {
        match self {
            Self::AdamW(c) => c.learning_rate = rate,
            Self::Adam(c) => c.learning_rate = rate,
            Self::Sgd(c) => c.learning_rate = rate,
        }
    }

    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        let range = |name: &str, v: f64, low: f64, high: f64| {
            if v >= low && v < high {
                return Ok(());
            }
            let reason = format!("must be in [{low}, {high}), found {v}");
            Err(Error::config(format!("{path}.{name}"), reason))
        };
        range("learning_rate", self.learning_rate(), 0., f64::INFINITY)?;
        match self.rule() {
            Rule::Adam { decay, beta1, beta2, epsilon, .. } => {
                range("weight_decay", decay, 0., f64::INFINITY)?;
                range("beta1", beta1, 0., 1.)?;
                range("beta2", beta2, 0., 1.)?;
                range("epsilon", epsilon, f64::MIN_POSITIVE, f64::INFINITY)
            }
            Rule::Sgd { decay, momentum, nesterov } => {
                range("weight_decay", decay, 0., f64::INFINITY)?;
                range("momentum", momentum, 0., 1.)?;
                if nesterov && momentum == 0. {
                    let reason = "needs a momentum, found momentum = 0";
                    return Err(Error::config(format!("{path}.nesterov"), reason));
                }
                Ok(())
            }
        }
    }

    /// The arithmetic.
    pub(super) fn rule(&self) -> Rule {
        match *self {
            Self::AdamW(AdamWConfig { weight_decay, beta1, beta2, epsilon, .. }) => {
                Rule::Adam { decoupled: true, decay: weight_decay, beta1, beta2, epsilon }
            }
            Self::Adam(AdamConfig { weight_decay, beta1, beta2, epsilon, .. }) => {
                Rule::Adam { decoupled: false, decay: weight_decay, beta1, beta2, epsilon }
            }
            Self::Sgd(SgdConfig { weight_decay, momentum, nesterov, .. }) => {
                Rule::Sgd { decay: weight_decay, momentum, nesterov }
            }
        }
    }
}
