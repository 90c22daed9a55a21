//! Where charts start: pieces of the data, and their principal axes.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "rows are whole, as `place_charts` checks, and pieces are numbered below `charts`"
)]
use crate::principal::PrincipalAxes;
use crate::{Error, Result};
use mflow_bijectors::Stream;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Starts of the search for pieces, of which the best is kept.
const STARTS: usize = 8;
/// Steps of one search: more than any takes.
const STEPS: usize = 100;
/// How often rows are left out: each time takes those of several pieces, and strays are few.
const CUTS: usize = 8;

/// The charts of an atlas as they are written in a config: their number, until data have said where they lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Charts {
    /// How many there are to be; see [`place_charts`].
    Number(usize),
    /// Where each of them starts.
    Placed(Vec<ChartFrame>),
}

impl Charts {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(charts) => *charts,
            Self::Placed(frames) => frames.len(),
        }
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'de> Deserialize<'de> for Charts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// By hand, as of an untagged enum serde says neither what was expected nor what is wrong with a place.
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Charts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of charts, or a list of their places")
            }
            fn visit_u64<E: de::Error>(self, charts: u64) -> Result<Charts, E> {
                let unexpected = de::Unexpected::Unsigned(charts);
                let charts = usize::try_from(charts);
                charts.map(Charts::Number).map_err(|_| E::invalid_value(unexpected, &self))
            }
            fn visit_i64<E: de::Error>(self, charts: i64) -> Result<Charts, E> {
                let unexpected = de::Unexpected::Signed(charts);
                let charts = usize::try_from(charts);
                charts.map(Charts::Number).map_err(|_| E::invalid_value(unexpected, &self))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut places: A) -> Result<Charts, A::Error> {
                let mut frames = vec![];
                while let Some(frame) = places.next_element()? {
                    frames.push(frame);
                }
                Ok(Charts::Placed(frames))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The place of a chart: `x = center + scale Σ_i y_i axes_i`, in units of the normalised data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChartFrame {
    /// The middle of the chart, `[D]`.
    pub center: Vec<f64>,
    /// Orthogonal axes of length 1, each `[D]`; the first `N` of them lie along the manifold.
    pub axes: Vec<Vec<f64>>,
    /// The size of the chart.
    pub scale: f64,
}

impl ChartFrame {
    /// A place from its parts; [`crate::ModelConfig::build`] checks them.
    pub fn new(center: Vec<f64>, axes: Vec<Vec<f64>>, scale: f64) -> Self {
        Self { center, axes, scale }
    }
}

/// Places of `charts` charts of dimension `manifold_dim` on the manifold near which the rows of
/// `x: [rows, cols]` lie, row-major: the means of pieces of the data that k-means cuts (Lloyd's algorithm from
/// several starts of k-means++; Arthur & Vassilvitskii 2007), their principal axes, and as the scale the
/// standard deviation along the first `manifold_dim` of these. The
/// same data give the same places.
///
/// A piece of equal rows, or of a single one, is no place for a chart: such rows are left out, and the others cut anew.
///
/// # Errors
/// If sizes do not fit, or there are too few different rows for so many charts.
pub fn place_charts(
    x: &[f64],
    cols: usize,
    manifold_dim: usize,
    charts: usize,
) -> Result<Vec<ChartFrame>> {
    let rows = x.len() / cols.max(1);
    let (op, arg) = ("place_charts", "x");
    if cols == 0 || !x.len().is_multiple_of(cols) || charts == 0 || rows < charts {
        return Err(Error::Shape {
            op,
            arg,
            expected: format!("[rows, {cols}], a row or more for each of {charts} charts"),
            found: vec![rows, x.len().checked_div(rows).unwrap_or(cols)],
        });
    }
    if let Some(i) = x.iter().position(|v| !v.is_finite()) {
        let (row, column, value) = (i / cols, i % cols, x[i]);
        return Err(Error::NonFinite { op, arg, row, column, value });
    }
    if manifold_dim == 0 || manifold_dim > cols {
        let reason = format!("must be at least 1 and at most {cols}, found {manifold_dim}");
        return Err(mflow_bijectors::Error::config("manifold_dim", reason).into());
    }
    let mut x = x.to_vec();
    for _ in 0..CUTS {
        if x.len() < charts * cols {
            break;
        }
        let pieces = pieces(&x, cols, charts);
        let frames: Vec<Option<ChartFrame>> =
            (0..charts).map(|chart| frame(&x, cols, manifold_dim, &pieces, chart)).collect();
        let rows = x.chunks_exact(cols).zip(&pieces);
        let left: Vec<f64> = rows
            .filter(|(_, piece)| frames[**piece].is_some())
            .flat_map(|(row, _)| row)
            .copied()
            .collect();
        match frames.into_iter().collect() {
            Some(frames) => return Ok(frames),
            None => x = left,
        }
    }
    let reason = format!(
        "must be fewer, found {charts}: one of the pieces into which they cut the data has no extent"
    );
    Err(mflow_bijectors::Error::config("charts", reason).into())
}

/// The place of a chart on its piece of the rows of `x`; none if it has no extent.
fn frame(
    x: &[f64],
    cols: usize,
    manifold_dim: usize,
    pieces: &[usize],
    chart: usize,
) -> Option<ChartFrame> {
    let members = x.chunks_exact(cols).zip(pieces).filter(|(_, piece)| **piece == chart);
    let members: Vec<f64> = members.flat_map(|(row, _)| row).copied().collect();
    // The mean of equal rows is off by rounding: they seem to have an extent.
    if members.chunks_exact(cols).all(|row| row == &members[..cols]) {
        return None;
    }
    let PrincipalAxes { mean, squares, axes } = PrincipalAxes::of(&members, cols);
    let along = (manifold_dim * members.len() / cols) as f64;
    let scale = (squares[..manifold_dim].iter().sum::<f64>() / along).sqrt();
    (scale > 0. && scale.is_finite()).then_some(ChartFrame { center: mean, axes, scale })
}

/// The number of the piece in which each row lies.
fn pieces(x: &[f64], cols: usize, charts: usize) -> Vec<usize> {
    let search = |start: usize| {
        let mut stream = Stream::new(0, &format!("places of charts {start}"));
        let mut centres = first_centres(x, cols, charts, &mut stream);
        let (mut nearest, mut cost) = assign(x, cols, &centres);
        for _ in 0..STEPS {
            centres = means(x, cols, &nearest, &centres);
            let next = assign(x, cols, &centres);
            let ended = next.0 == nearest;
            (nearest, cost) = next;
            if ended {
                break;
            }
        }
        (cost, nearest)
    };
    let best = (0..STARTS).map(search).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, nearest)| nearest).unwrap_or_default()
}

/// Rows drawn one by one, each with the probability that its squared distance from those before it gives.
fn first_centres(x: &[f64], cols: usize, charts: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let rows = x.len() / cols;
    let mut weights = vec![1.; rows];
    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(charts);
    for _ in 0..charts {
        let total: f64 = weights.iter().sum();
        let mut left = stream.uniform(1, 0., 1.)[0] * total;
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.
        });
        let row = drawn.unwrap_or(rows - 1);
        centres.push(x[row * cols..(row + 1) * cols].to_vec());
        weights = x.chunks_exact(cols).map(|row| nearest(row, &centres).1).collect();
    }
    centres
}

/// The nearest centre of each row, and the sum of their squared distances.
fn assign(x: &[f64], cols: usize, centres: &[Vec<f64>]) -> (Vec<usize>, f64) {
    let found: Vec<(usize, f64)> = x.chunks_exact(cols).map(|row| nearest(row, centres)).collect();
    (found.iter().map(|f| f.0).collect(), found.iter().map(|f| f.1).sum())
}

fn nearest(row: &[f64], centres: &[Vec<f64>]) -> (usize, f64) {
    let square =
        |centre: &Vec<f64>| -> f64 { row.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum() };
    let distances = centres.iter().map(square).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.))
}

/// The means of the pieces; a piece without rows keeps its centre.
fn means(x: &[f64], cols: usize, nearest: &[usize], centres: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.; cols]; centres.len()];
    let mut counts = vec![0_usize; centres.len()];
    for (row, &piece) in x.chunks_exact(cols).zip(nearest) {
        counts[piece] += 1;
        sums[piece].iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
    }
    let mean = |((sum, count), centre): ((Vec<f64>, usize), &Vec<f64>)| match count {
        0 => centre.clone(),
        count => sum.into_iter().map(|v| v / count as f64).collect(),
    };
    sums.into_iter().zip(counts).zip(centres).map(mean).collect()
}

#[cfg(test)]
mod tests {
    //! Oracle: a circle in a tilted plane, whose pieces are arcs of equal length.
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn charts_of_a_circle_are_its_arcs() {
        let (rows, charts) = (720, 3);
        let (s, c) = 0.6_f64.sin_cos();
        let point = |i: usize| {
            let (b, a) = (TAU * i as f64 / rows as f64).sin_cos();
            [a + 1., c * b, s * b]
        };
        let x: Vec<f64> = (0..rows).flat_map(point).collect();
        let frames = place_charts(&x, 3, 1, charts).unwrap();
        // The mean of an arc lies on its middle radius at sin(w)/w, w half its angle; it spreads along the
        // chord by the square root of 1/2 - sin(2w)/(4w).
        let w = TAU / 6.;
        let (radius, spread) = (w.sin() / w, (0.5 - (2. * w).sin() / (4. * w)).sqrt());
        for frame in &frames {
            let out = [frame.center[0] - 1., frame.center[1], frame.center[2]];
            let length = out.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!((length - radius).abs() < 0.01, "{length}, expected {radius}");
            assert!((frame.scale - spread).abs() < 0.01, "{}, expected {spread}", frame.scale);
            let along: f64 = out.iter().zip(&frame.axes[0]).map(|(a, b)| a * b).sum();
            assert!(
                along.abs() < 0.02,
                "the first axis is the chord, found {along} along the radius"
            );
        }
        assert_eq!(frames, place_charts(&x, 3, 1, charts).unwrap());
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let x = [0., 0., 0., 0., 1., 1.];
        for (charts, expected) in
            [(4, "a row or more for each of 4 charts, found [3, 2]"), (2, "must be fewer, found 2")]
        {
            let error = place_charts(&x, 2, 1, charts).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(place_charts(&x, 2, 3, 1).is_err());
        // Whatever is left out, a stray and a value that stands for a missing one are no charts.
        let line = || (0..40).flat_map(|i| [f64::from(i), 0.]);
        let strayed: Vec<f64> = line().chain([900., 900.]).chain([-99.7; 60]).collect();
        let clean: Vec<f64> = line().collect();
        assert_eq!(
            place_charts(&strayed, 2, 1, 2).unwrap(),
            place_charts(&clean, 2, 1, 2).unwrap()
        );
        let error = place_charts(&[0., 1., f64::NAN, 2.], 2, 1, 2).unwrap_err().to_string();
        assert!(error.contains("found NaN at row 1, column 0"), "{error}");
    }

    #[test]
    fn charts_are_a_number_or_places() {
        let read = |text: &str| serde_json::from_str::<Charts>(text);
        assert_eq!(read("5").unwrap(), Charts::Number(5));
        let place = r#"[{"center": [0.5], "axes": [[1.0]], "scale": 2.0}]"#;
        let expected = ChartFrame::new(vec![0.5], vec![vec![1.]], 2.);
        assert_eq!(read(place).unwrap(), Charts::Placed(vec![expected]));
        for (text, part) in [
            ("-1", "expected a number of charts, or a list of their places"),
            ("\"six\"", "invalid type: string \"six\", expected a number of charts"),
            (r#"[{"centre": [0]}]"#, "unknown field `centre`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
