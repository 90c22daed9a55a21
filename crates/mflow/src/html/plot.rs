//! A figure: traces and layout, as plotly.js takes them.
use serde_json::{Value, json};

/// Colours that are told apart by eyes of all kinds: Okabe & Ito (2008), *Color universal design*.
pub(super) const COLORS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6f5f00", "#3d3d3d"];

/// A figure.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// Its traces.
    pub(super) traces: Vec<Value>,
    /// Its layout, over the one that all figures of a page share.
    pub(super) layout: Value,
}

impl Plot {
    /// As the script of the page takes it.
    pub(super) fn json(&self) -> Value {
        json!({ "data": self.traces, "layout": self.layout })
    }
}
