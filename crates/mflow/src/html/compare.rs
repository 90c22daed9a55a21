//! Views of several runs, of which the reader chooses.
use super::variants::Variant;
use super::view::{Detail, View, view};
use crate::Result;
use mflow_train::Pool;
use serde_json::Value;

const DETAIL: Detail = Detail { side: 41, points: 1500, markers: 500 };

/// The view of the first run of each variant: a list of figures with `name` and `caption`.
pub(super) fn views(variants: &[Variant<'_>], pool: &Pool) -> Result<Vec<Value>> {
    let one = |variant: &Variant<'_>| -> Result<Value> {
        let View { plot, caption } = view(variant.runs[0], pool, DETAIL)?;
        let mut figure = plot.json();
        figure["name"] = format!("{}, seed {}", variant.name, variant.runs[0].seed()).into();
        figure["caption"] = caption.trim().into();
        Ok(figure)
    };
    // An estimator of ratios has nothing to see.
    let seen = variants.iter().filter(|v| v.runs[0].model().signature().is_generative());
    seen.map(one).collect()
}
