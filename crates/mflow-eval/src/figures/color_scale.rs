//! The colour of a number, shared by all panels of a figure.

use crate::statistics::percentiles;
use kuva::plot::colormap::ColorMap;
use kuva::render::color::Color;

/// Percentiles of the values between which the colours run: a few extreme values would else leave
/// one colour for all others.
const CLAMP: [f64; 2] = [2.0, 98.0];

/// A linear map from numbers to the colours of viridis.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColorScale {
    /// The number drawn in the first colour; smaller ones are too.
    pub(super) low: f64,
    /// The number drawn in the last colour; larger ones are too.
    pub(super) high: f64,
    /// Whether there are numbers under `low`.
    pub(super) under: bool,
    /// Whether there are numbers over `high`.
    pub(super) over: bool,
}

impl ColorScale {
    /// The scale that runs between the 2nd and the 98th percentile of `values`, all of them finite.
    pub(super) fn of(values: &[f64]) -> Self {
        let [mut low, mut high] = percentiles(values.iter().copied(), CLAMP).unwrap_or_default();
        let under = values.iter().any(|value| *value < low);
        let over = values.iter().any(|value| *value > high);
        // One value for all is drawn in the middle colour.
        let least = 1e-12 * low.abs().max(1e-3);
        if high - low < least {
            (low, high) = (low - 0.5, high + 0.5);
        }
        Self { low, high, under, over }
    }

    /// Red, green and blue of `value`, each 0 to 255.
    pub(super) fn rgb(&self, value: f64) -> [f64; 3] {
        let fraction = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        // Every map of kuva but a user's own has its colours as numbers.
        let (r, g, b) = ColorMap::Viridis.map_rgb(fraction).unwrap_or_default();
        [r, g, b].map(f64::from)
    }
}

/// The colour `rgb` (each 0 to 255) times `factor`, which darkens it where less than one.
#[expect(clippy::cast_possible_truncation, reason = "a float cast to u8 saturates, as it should")]
pub(super) fn shade(rgb: [f64; 3], factor: f64) -> Color {
    let [r, g, b] = rgb.map(|channel| (channel * factor).round() as u8);
    Color::Rgb(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::ColorScale;

    #[test]
    fn the_scale_runs_between_the_percentiles() {
        // 0, 1, ..., 100: percentile p is p.
        let scale = ColorScale::of(&(0..=100).rev().map(f64::from).collect::<Vec<_>>());
        assert_eq!((scale.low, scale.high), (2.0, 98.0), "2nd and 98th of 0..=100");
        assert!(scale.under && scale.over, "0 and 100 lie outside");
        assert_eq!(scale.rgb(-7.0), scale.rgb(2.0), "clamped below");
        assert_eq!(scale.rgb(2.0), [68.0, 1.0, 84.0], "viridis begins at #440154");
        assert_eq!(scale.rgb(1e9), [253.0, 231.0, 37.0], "and ends at #fde725");
    }

    #[test]
    fn equal_values_make_a_scale_of_some_width() {
        let scale = ColorScale::of(&[3.0; 5]);
        assert_eq!((scale.low, scale.high), (2.5, 3.5), "3 is in the middle");
        assert!(!scale.under && !scale.over, "nothing is clamped");
    }
}
