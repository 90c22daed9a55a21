//! The coordinates that a figure shows: those of the data, or their first principal components.
use super::components::Components;
use super::page::escape;

/// From `R^D` into the two or three dimensions of a figure.
pub(super) struct Frame {
    names: Vec<String>,
    components: Option<Components>,
    data_dim: usize,
}

/// Axes of a figure.
const AXES: usize = 3;

impl Frame {
    /// For data like `rows`, `[n, D]`, with the names of their columns if they have any.
    pub(super) fn new(rows: &[f64], data_dim: usize, columns: Option<&[String]>) -> Self {
        if data_dim <= AXES {
            let name = |i: usize| match columns.and_then(|names| names.get(i)) {
                Some(name) => escape(name),
                None => format!("x<sub>{}</sub>", i + 1),
            };
            let mut names: Vec<String> = (0..data_dim).map(name).collect();
            // One column is drawn along a line of the plane.
            names.resize(data_dim.max(2), String::new());
            return Self { names, components: None, data_dim };
        }
        let components = Components::of(rows, data_dim, AXES);
        let name = |(i, share): (usize, &f64)| format!("PC{} ({:.0} %)", i + 1, 100. * share);
        let names = components.share.iter().enumerate().map(name).collect();
        Self { names, components: Some(components), data_dim }
    }

    /// Two or three.
    pub(super) fn dim(&self) -> usize {
        self.names.len()
    }
    /// Names of the axes, as HTML.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
    /// Whether the axes are not those of the data.
    pub(super) fn is_projection(&self) -> bool {
        self.components.is_some()
    }

    /// `points`, `[n, D]`, as the figure shows them.
    pub(super) fn coordinates(&self, points: &[f64]) -> Vec<[f64; AXES]> {
        let of = |point: &[f64]| match &self.components {
            None => std::array::from_fn(|k| point.get(k).copied().unwrap_or(0.)),
            Some(Components { mean, axes, .. }) => std::array::from_fn(|k| {
                let terms = axes[k].iter().zip(point).zip(mean);
                terms.map(|((axis, x), mean)| axis * (x - mean)).sum()
            }),
        };
        points.chunks_exact(self.data_dim).map(of).collect()
    }

    /// The box around `points` on each axis, with a margin; none where they are not finite.
    pub(super) fn limits(&self, points: &[f64]) -> Vec<Option<[f64; 2]>> {
        /// Of the side of the box.
        const MARGIN: f64 = 0.12;
        let shown = self.coordinates(points);
        let limits = |k: usize| {
            let values = || shown.iter().map(|p| p[k]).filter(|v| v.is_finite());
            let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
            let margin = MARGIN * (high - low);
            (margin > 0.).then_some([low - margin, high + margin])
        };
        (0..self.dim()).map(limits).collect()
    }
}
