//! From a table to a [`ModelConfig`]: what need not be said where there is no choice.
use super::config::flow_on;
use super::{ModelConfig, ModelParts, ModelSizes};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The fields of [`ModelSizes`].
const SIZES: [&str; 7] = [
    "data_dim",
    "manifold_dim",
    "context_dim",
    "conditional_manifold",
    "frame",
    "normalization",
    "context_normalization",
];

impl<'de> Deserialize<'de> for ModelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut parts = Map::<String, Value>::deserialize(deserializer)?;
        let mut sizes = Map::new();
        for field in SIZES {
            sizes.extend(parts.remove_entry(field));
        }
        let has_inner = parts.contains_key("inner");
        // First the kind: an unknown one explains everything else.
        let parts: ModelParts =
            serde_json::from_value(Value::Object(parts)).map_err(D::Error::custom)?;
        // Where there is no choice nothing need be said.
        if let ModelParts::Fom { chart, .. } = &parts {
            sizes.entry("data_dim").or_insert(chart.dims().0.into());
        }
        if let Some(chart) = parts.chart() {
            sizes.entry("manifold_dim").or_insert(chart.dims().1.into());
        }
        if let (ModelParts::Af { .. } | ModelParts::Ratio { .. }, Some(data)) =
            (&parts, sizes.get("data_dim").cloned())
        {
            sizes.entry("manifold_dim").or_insert(data);
        }
        let sizes: ModelSizes =
            serde_json::from_value(Value::Object(sizes)).map_err(D::Error::custom)?;
        let of_chart = parts.chart().map(|chart| flow_on(chart, sizes.context_dim));
        let mut config = Self { sizes, parts };
        if let Some(inner) = of_chart.filter(|_| !has_inner) {
            config = config.with_inner(inner);
        }
        Ok(config)
    }
}
