//! Data and context as a fit must know them before anything is built: how many columns, in which units.
use super::Normalize;
use mflow_bijectors::FeatureAffineConfig;

/// Mean and standard deviation of each column of data and context; see [`mflow_core::standardize`].
#[derive(Clone, Debug, PartialEq)]
pub struct DataUnits {
    /// Of the data, `D` columns.
    pub data: FeatureAffineConfig,
    /// Of the context, `C` columns, if there is one.
    pub context: Option<FeatureAffineConfig>,
}

impl DataUnits {
    /// Number of features `D`.
    pub fn data_dim(&self) -> usize {
        self.data.shift.len()
    }

    /// Number of context features `C`, 0 for none.
    pub fn context_dim(&self) -> usize {
        self.context.as_ref().map_or(0, |context| context.shift.len())
    }
}

impl Normalize {
    /// The map from normalised to original values. No normalisation is the map that changes nothing, so that a config can
    /// say it.
    pub(super) fn units(self, of: &FeatureAffineConfig) -> FeatureAffineConfig {
        match self {
            Self::Standardize => of.clone(),
            Self::Together => together(of),
            Self::None => {
                let cols = of.shift.len();
                FeatureAffineConfig::new(vec![0.; cols], vec![1.; cols])
            }
        }
    }
}

/// One mean and one deviation of all features, from those of each.
fn together(each: &FeatureAffineConfig) -> FeatureAffineConfig {
    let count = each.shift.len();
    let mean = each.shift.iter().sum::<f64>() / count.max(1) as f64;
    let square = |(shift, scale): (&f64, &f64)| scale * scale + (shift - mean) * (shift - mean);
    let squares: f64 = each.shift.iter().zip(&each.scale).map(square).sum();
    let deviation = (squares / count.max(1) as f64).sqrt();
    let scale = if deviation > 0. { deviation } else { 1. };
    FeatureAffineConfig::new(vec![mean; count], vec![scale; count])
}
