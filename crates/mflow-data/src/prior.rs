//! What is known of a parameter before any data.

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{Error, Result};

/// The distribution of a parameter before any data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    /// The same density everywhere between two bounds, both included, and none beyond.
    Uniform {
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// A Gaussian.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
}

/// Standard deviations of a Gaussian to either side of its mean that [`Prior::range`] spans: 6e-7 of it
/// lie beyond.
const TAILS: f64 = 5.0;

impl Prior {
    /// Whether its density is not 0 at a value; NaN and infinities are outside of any.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        match *self {
            Self::Uniform { low, high } => (low..=high).contains(&value),
            Self::Normal { .. } => value.is_finite(),
        }
    }

    /// The logarithm of its density at a value, up to a constant that is the same for all values: 0 at the
    /// highest density, negative infinity outside of the support.
    #[must_use]
    pub fn log_prob(&self, value: f64) -> f64 {
        match *self {
            _ if !self.contains(value) => f64::NEG_INFINITY,
            Self::Uniform { .. } => 0.0,
            Self::Normal { mean, std } => -0.5 * ((value - mean) / std).powi(2),
        }
    }

    /// The derivative of [`log_prob`](Self::log_prob) within the support.
    #[must_use]
    pub fn gradient(&self, value: f64) -> f64 {
        match *self {
            Self::Uniform { .. } => 0.0,
            Self::Normal { mean, std } => -(value - mean) / std.powi(2),
        }
    }

    /// Bounds that hold all of it, or all but 6e-7 of a Gaussian: for tables and figures.
    #[must_use]
    pub fn range(&self) -> [f64; 2] {
        match *self {
            Self::Uniform { low, high } => [low, high],
            Self::Normal { mean, std } => [mean - TAILS * std, mean + TAILS * std],
        }
    }

    /// The value below which the share `p` of it lies, for `p` between 0 and 1; NaN for any other.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        use statrs::distribution::{ContinuousCDF, Normal};
        if !(0.0..=1.0).contains(&p) {
            return f64::NAN;
        }
        match *self {
            Self::Uniform { low, high } => low + p * (high - low),
            Self::Normal { mean, std } => mean + std * Normal::standard().inverse_cdf(p),
        }
    }

    /// Draws a value.
    pub fn sample(&self, rng: &mut dyn Rng) -> f64 {
        match *self {
            Self::Uniform { low, high } => (high - low) * rng.random::<f64>() + low,
            Self::Normal { mean, std } => mean + std * rng.sample::<f64, _>(StandardNormal),
        }
    }
}

/// As in `uniform from -1 to 1`.
impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform { low, high } => write!(f, "uniform from {low} to {high}"),
            Self::Normal { mean, std } => write!(f, "normal with mean {mean} and deviation {std}"),
        }
    }
}

/// As `normal:MEAN,STD` or `uniform:LOW,HIGH`, with finite numbers.
impl FromStr for Prior {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = |expected: &'static str, found: String| Error::PriorText {
            text: text.to_owned(),
            expected,
            found,
        };
        let (kind, numbers) = text.split_once(':').unwrap_or((text, ""));
        let kind = kind.trim();
        if !["normal", "uniform"].contains(&kind) {
            return Err(error("`normal:MEAN,STD` or `uniform:LOW,HIGH`", format!("`{kind}`")));
        }
        let fields: Vec<&str> = numbers.split(',').map(str::trim).collect();
        let [first, second] = fields[..] else {
            let found = if numbers.is_empty() { 0 } else { fields.len() };
            return Err(error("two numbers with a comma between them", found.to_string()));
        };
        let number = |field: &str| match field.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(error("a finite number", format!("`{field}`"))),
        };
        let (first, second) = (number(first)?, number(second)?);
        match kind {
            "normal" if second > 0.0 => Ok(Self::Normal { mean: first, std: second }),
            "normal" => Err(error("a standard deviation above 0", second.to_string())),
            _ if first < second && (second - first).is_finite() => {
                Ok(Self::Uniform { low: first, high: second })
            }
            _ => Err(error("a lower bound below the upper one", format!("{first} and {second}"))),
        }
    }
}
