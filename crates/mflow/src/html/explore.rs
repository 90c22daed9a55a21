//! The page that explores a model: it asks the program that serves it.
use super::number::array;
use super::page::Page;
use crate::Result;
use mflow_bijectors::FeatureAffineConfig;
use serde_json::{Value, json};

const STYLE: &str = include_str!("explore.css");
const SCRIPT: &str = include_str!("explore.js");
const BODY: &str = include_str!("explore.html");

/// What is known of a model beside what it answers.
#[derive(Clone, Debug, Default)]
pub struct Explored<'a> {
    /// What it is called: a run folder or a file.
    pub name: String,
    /// Some rows of the data, `[n, D]`, to be drawn.
    pub points: &'a [f64],
    /// Number of features `D`.
    pub data_dim: usize,
    /// Mean and standard deviation of the context, where sliders start and how far they reach.
    pub contexts: Option<&'a FeatureAffineConfig>,
}

/// The page, which sends its questions to where it comes from: `/model`, `/sample`, `/decode`, `/score` and `/project`, as
/// `mflow serve` answers them.
///
/// # Errors
/// If there is no script to draw figures with.
pub fn explorer(of: &Explored<'_>) -> Result<String> {
    let lead =
        "Move a latent and see its point. Move a point off the manifold and see its projection.";
    let mut page = Page::new(&of.name, lead).with_own(STYLE, SCRIPT, BODY);
    let points: Vec<Value> =
        of.points.chunks(of.data_dim.max(1)).map(|row| array(row.iter().copied())).collect();
    let (context, spread) = match of.contexts {
        Some(affine) => (array(affine.shift.iter().copied()), array(affine.scale.iter().copied())),
        None => (Value::Null, Value::Null),
    };
    page.data("known", &json!({ "points": points, "context": context, "spread": spread }));
    page.finish()
}
