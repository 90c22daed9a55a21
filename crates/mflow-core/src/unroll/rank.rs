//! How many dimensions rows span.
use super::rows::Rows;
use super::spectrum::{add, dot};

/// Smaller than this, relative to the spread of a column, is a rounding error: 17 times that of a number in single
/// precision (6e-8).
const ROUNDING: f64 = 1e-6;

/// What [`linear_span`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearSpan {
    /// The dimension of the subspace that was found.
    pub rank: usize,
    /// The squared distances of the rows from it, over those from the first row; each column in units of its spread.
    pub rest: f64,
}

/// How many dimensions the rows of `x: [rows, cols]`, row-major, span, up to rounding errors; at most `most`. See
/// [`linear_span`].
pub fn linear_rank(x: &[f64], cols: usize, most: usize) -> usize {
    linear_span(x, cols, most).rank
}

/// The linear subspace of at most `most` dimensions which, moved to one of the rows of `x: [rows, cols]`, row-major,
/// comes near all of them.
///
/// No manifold of more dimensions than its rank can be learned from these rows, so look at it before you train. The
/// result does not depend on the units of the columns. It takes time in proportion to `rows cols most`.
///
/// Gram-Schmidt with pivoting: of the differences from the first row, in units of the spread of each column, the one
/// that is furthest from the subspace found so far adds a dimension, if it is further than `1e-6 √cols` from it.
/// Numbers that are not finite give a meaningless result.
pub fn linear_span(x: &[f64], cols: usize, most: usize) -> LinearSpan {
    if cols == 0 || x.len() < cols {
        return LinearSpan { rank: 0, rest: 0. };
    }
    let rows = Rows::new(x, cols);
    let origin = rows.row(0);
    let (mut spread, mut size) = (vec![0_f64; cols], vec![0_f64; cols]);
    for i in 0..rows.len() {
        for (j, v) in rows.row(i).iter().enumerate() {
            spread[j] = spread[j].max((v - origin[j]).abs());
            size[j] = size[j].max(v.abs());
        }
    }
    // Columns in which nothing but the last digits of an f64 differ are constant.
    let last_digits = |j: usize| 8. * f64::EPSILON * size[j];
    let factor = |j: usize| if spread[j] > last_digits(j) { 1. / spread[j] } else { 0. };
    let factors: Vec<f64> = (0..cols).map(factor).collect();
    let exact = (0..cols).fold(ROUNDING, |most, j| most.max(last_digits(j) * factors[j]));
    let row = |i: usize| -> Vec<f64> {
        let ways = rows.row(i).iter().zip(origin).zip(&factors);
        ways.map(|((v, origin), factor)| (v - origin) * factor).collect()
    };
    let mut squares: Vec<f64> = (0..rows.len()).map(|i| dot(&row(i), &row(i))).collect();
    let all: f64 = squares.iter().sum();
    let mut axes: Vec<Vec<f64>> = vec![];
    while axes.len() < most.min(cols) {
        let mut furthest = 0;
        for (i, square) in squares.iter().enumerate() {
            if *square > squares[furthest] {
                furthest = i;
            }
        }
        let mut axis = row(furthest);
        for _ in 0..2 {
            for other in &axes {
                let product = dot(other, &axis);
                add(&mut axis, -product, other);
            }
        }
        let length = dot(&axis, &axis).sqrt();
        if length <= exact * (cols as f64).sqrt() {
            break;
        }
        axis.iter_mut().for_each(|v| *v /= length);
        squares
            .iter_mut()
            .enumerate()
            .for_each(|(i, square)| *square -= dot(&axis, &row(i)).powi(2));
        axes.push(axis);
    }
    let rest = squares.iter().map(|square| square.max(0.)).sum::<f64>();
    LinearSpan { rank: axes.len(), rest: if all > 0. { rest / all } else { 0. } }
}

#[cfg(test)]
mod tests {
    //! Oracle: the dimension of what the rows are made of.
    use super::*;
    use mflow_bijectors::Stream;

    /// Rows `[rows, cols]` of random combinations of `rank` random vectors, around a point far from 0.
    fn spanned(rank: usize, rows: usize, cols: usize) -> Vec<f64> {
        let mut stream = Stream::new(rank as u64, "rank");
        let vectors: Vec<Vec<f64>> = (0..rank).map(|_| stream.normal(cols)).collect();
        let middle = stream.normal(cols);
        let mut row = || {
            let mut row = middle.clone();
            let weights = stream.normal(rank);
            weights.iter().zip(&vectors).for_each(|(weight, v)| add(&mut row, *weight, v));
            row
        };
        (0..rows).flat_map(|_| row()).collect()
    }

    #[test]
    fn rows_span_what_they_are_made_of() {
        for rank in 0..=6 {
            let x = spanned(rank, 50, 6);
            assert_eq!(linear_rank(&x, 6, 6), rank);
            assert_eq!(linear_rank(&x, 6, 3), rank.min(3));
            // Neither other units nor fewer digits change it.
            let units = [1e-9, 1., 1e6, 3e3, 1e-3, 20.];
            let scaled: Vec<f64> = x.iter().enumerate().map(|(i, v)| v * units[i % 6]).collect();
            assert_eq!(linear_rank(&scaled, 6, 6), rank, "in other units");
            let text = |v: &f64| format!("{v:.6e}").parse::<f64>().unwrap();
            let rounded: Vec<f64> = x.iter().map(text).collect();
            assert_eq!(linear_rank(&rounded, 6, 6), rank, "with seven digits");
        }
        let rest = |most: usize| linear_span(&spanned(4, 50, 6), 6, most).rest;
        assert!(rest(3) > 1e-3 && rest(4) < 1e-14, "{} and {}", rest(3), rest(4));
        assert!(linear_span(&[1., 2., 1., 2.], 2, 2).rest == 0., "equal rows");
        // Fewer rows than dimensions, a thin but real dimension, and seconds since 1970.
        assert_eq!(linear_rank(&spanned(5, 3, 6), 6, 6), 2);
        let thin: Vec<f64> =
            (0..30).flat_map(|i| [f64::from(i), f64::from(i) + 1e-3 * f64::from(i % 7)]).collect();
        assert_eq!(linear_rank(&thin, 2, 2), 2);
        let late: Vec<f64> =
            (0..30).flat_map(|i| [1.7e9 + f64::from(i), f64::from(i % 7)]).collect();
        assert_eq!(linear_rank(&late, 2, 2), 2);
        assert_eq!(linear_rank(&[], 2, 2), 0);
    }
}
