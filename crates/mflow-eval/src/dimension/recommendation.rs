//! Which part of the curves is believed, and what it says, in words.
use super::{DimensionCurve, DimensionEstimator, DimensionStudy};
use crate::Estimate;
use crate::statistics::median;

/// Estimates that a plateau is made of.
const WINDOW: usize = 3;
/// How far the estimates of a start without noise are apart, at most, as a ratio.
const FLAT: f64 = 1.06;
/// The same of a plateau above noise, which few rows let one see only the beginning of.
const PLATEAU: f64 = 1.2;
/// And it is so much flatter than the fall to it, of which a lack of rows in many dimensions makes one without an end.
const FLATTER: f64 = 0.5;
/// A plateau that is lower than the start by this factor means noise, not what chance or an edge take away.
const LOWER: f64 = 0.85;
/// Rows that fill this part of their columns in small neighbourhoods may have noise.
const FULL: f64 = 0.9;

/// What is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    /// Of the consensus, from which size of neighbourhoods to which.
    sizes: [usize; 2],
    /// The estimate.
    dimension: f64,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    /// Small neighbourhoods, where a manifold is nearly flat.
    Small,
    /// A plateau above the size of noise, which this dimension in small neighbourhoods comes from.
    Noise(f64),
}

/// Say in `study`, whose curves are there, what dimension to try; `columns` are those that are not constant.
pub(super) fn recommend(study: &mut DimensionStudy, columns: usize) {
    let Some(choice) = choose(&consensus(&study.curves), columns) else {
        "neighbours are equally far from each other, as on a lattice, which says nothing of dimensions"
            .clone_into(&mut study.because);
        return;
    };
    let most = columns.max(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to columns")]
    let n = choice.dimension.round().clamp(1., most) as usize;
    study.recommended = Some(n);
    study.because = because(study, choice, n);
    if n >= columns {
        study.notes.push(format!(
            "the rows fill all {columns} columns that vary: no manifold of fewer dimensions is seen, and a density on all \
             of the space may be what fits them"
        ));
    }
    // Eckmann and Ruelle (1992), Physica D 56: what a number of rows can show at all.
    let limit = 2. * (study.distinct_rows as f64).log10();
    if choice.dimension > limit {
        study.notes.push(format!(
            "{} rows are few for so many dimensions: estimates above {limit:.0} are too low, so try larger ones as well",
            study.distinct_rows
        ));
    }
}

/// By the size of neighbourhoods, the median of what the estimators from distances say; local PCA, which counts, has no
/// part in it.
fn consensus(curves: &[DimensionCurve]) -> Vec<(usize, f64)> {
    let of_distances = || curves.iter().filter(|c| c.estimator != DimensionEstimator::LocalPca);
    let points = || of_distances().flat_map(|curve| &curve.points);
    let mut sizes: Vec<usize> = points().map(|point| point.neighbours).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let at = |&size: &usize| {
        let here = points().filter(|point| point.neighbours == size);
        (size, median(&mut here.map(|point| point.dimension).collect::<Vec<f64>>()))
    };
    sizes.iter().map(at).collect()
}

/// What to believe of the consensus, which has the smallest neighbourhoods first.
///
/// Those are the best where nothing disturbs them. What noise disturbs fills the columns there, and comes down to a
/// plateau where neighbourhoods are larger than the noise; curvature and folds make larger ones rise, and edges and a
/// lack of rows make them fall without a plateau.
#[expect(clippy::indexing_slicing, reason = "as many ratios as windows")]
fn choose(consensus: &[(usize, f64)], columns: usize) -> Option<Choice> {
    let windows: Vec<Choice> = consensus.windows(WINDOW).map(plateau).collect();
    let start = match windows.first() {
        Some(first) => *first,
        None if consensus.is_empty() => return None,
        None => plateau(consensus),
    };
    let full = start.dimension >= FULL * columns as f64;
    let ratios: Vec<f64> = consensus.windows(WINDOW).map(ratio).collect();
    if !full && ratios.first().is_some_and(|ratio| *ratio <= FLAT) {
        return Some(start);
    }
    let fall = |before: usize| ratios[..before].iter().copied().fold(1., f64::max) - 1.;
    let is_plateau = |k: &usize| {
        ratios[*k] <= PLATEAU
            && ratios[*k] - 1. <= FLATTER * fall(*k)
            && windows[*k].dimension < LOWER * start.dimension
    };
    let first = (0..windows.len()).find(is_plateau).map(|k| windows[k]);
    Some(first.map_or(start, |window| Choice { why: Why::Noise(start.dimension), ..window }))
}

/// The largest of a part of the consensus over the least.
fn ratio(window: &[(usize, f64)]) -> f64 {
    let values = || window.iter().map(|(_, value)| *value);
    values().fold(0., f64::max) / values().fold(f64::INFINITY, f64::min)
}

/// The mean of a part of the consensus.
#[expect(clippy::indexing_slicing, reason = "a window of one estimate or more")]
fn plateau(window: &[(usize, f64)]) -> Choice {
    let dimension = window.iter().map(|(_, value)| value).sum::<f64>() / window.len() as f64;
    let sizes = [window[0].0, window[window.len() - 1].0];
    Choice { sizes, dimension, why: Why::Small }
}

/// The reasons.
fn because(study: &DimensionStudy, choice: Choice, n: usize) -> String {
    let [low, high] = choice.sizes;
    let mut said = vec![];
    let mut agree = 0;
    for DimensionCurve { estimator, points } in &study.curves {
        // The estimate that is nearest to the middle of the sizes, on their scale of powers of 2.
        let middle = 0.5 * ((low * high) as f64).ln();
        let off = |size: usize| ((size as f64).ln() - middle).abs();
        let nearest = points.iter().min_by(|a, b| off(a.neighbours).total_cmp(&off(b.neighbours)));
        let Some(point) = nearest else { continue };
        let (value, standard_error) = (point.dimension, point.standard_error);
        said.push(format!("{} {}", estimator.name(), Estimate { value, standard_error, count: 1 }));
        agree += usize::from((point.dimension - n as f64).abs() <= 0.5);
    }
    let (all, list) = (said.len(), said.join(", "));
    let vote = match agree == all {
        true => "all estimators round to it".to_owned(),
        false => format!(
            "{agree} of {all} estimators round to it, so try its neighbours as well: the estimate is {:.1}",
            choice.dimension
        ),
    };
    let scale = match choice.why {
        Why::Small => String::new(),
        Why::Noise(dimension) => format!(
            ". Smaller neighbourhoods look like {dimension:.1} dimensions, as noise makes them do"
        ),
    };
    format!("in neighbourhoods of {low} to {high} rows, {vote} ({list}){scale}")
}

#[cfg(test)]
mod tests {
    //! Oracle: curves whose course is said by hand.
    use super::*;

    fn curve(values: &[f64]) -> Vec<(usize, f64)> {
        (1..).map(|k| 1 << k).zip(values.iter().copied()).collect()
    }

    #[track_caller]
    fn chosen(values: &[f64], columns: usize, dimension: f64, noise: bool) {
        let choice = choose(&curve(values), columns).unwrap();
        assert!((choice.dimension - dimension).abs() < 0.1, "{choice:?}");
        assert_eq!(matches!(choice.why, Why::Noise(_)), noise, "{choice:?}");
    }

    #[test]
    fn flat_folded_and_noisy_curves_are_told_apart() {
        chosen(&[2., 2.01, 1.99, 2., 2.], 3, 2., false);
        // Sheets that lie near each other.
        chosen(&[2., 2.01, 1.99, 2.2, 2.6, 2.9, 2.8], 3, 2., false);
        // Noise in all columns, larger than the first neighbourhoods.
        chosen(&[3., 3., 2.9, 2.6, 2.2, 2.03, 2., 1.99, 1.9], 3, 2., true);
        chosen(&[9., 8.4, 7., 4.5, 3.1, 3.05, 3.], 12, 3., true);
        chosen(&[3., 2.95, 2.9, 2.82, 2.7, 2.5, 2.3, 2.09, 2., 1.93, 1.87], 3, 2., true);
        // A noisy circle of few rows.
        chosen(&[2.26, 2.06, 1.6, 1.27, 1.08, 1.08], 3, 1.14, true);
        // A thin tube: its surface is seen, and that it looks like a loop from afar changes nothing.
        chosen(&[2., 2., 1.99, 1.8, 1.4, 1.1, 1., 1.], 3, 2., false);
        // Too few rows for many dimensions: there is no plateau.
        chosen(&[16.5, 15.5, 14.4, 13.3, 12.1, 10.], 20, 15.5, false);
    }

    #[test]
    fn a_curve_of_one_size_is_taken_as_it_is_and_of_none_says_nothing() {
        chosen(&[2.1], 3, 2.1, false);
        assert_eq!(choose(&[], 3), None);
    }
}
