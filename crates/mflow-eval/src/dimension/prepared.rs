//! Rows as they are looked at: different from each other, without constant columns, in the units that are asked for.
use crate::statistics::Sample;

/// Spreads of columns that differ by more than this factor are told.
const UNLIKE: f64 = 100.;

/// What is left of rows.
pub(super) struct Prepared {
    /// `[n, cols]`, no two rows equal.
    pub(super) values: Vec<f64>,
    /// At least 1, unless all columns are constant.
    pub(super) cols: usize,
    /// Columns that are left out, by their numbers in the table.
    pub(super) constant: Vec<usize>,
    /// Standard deviations of the other columns, before they became 1.
    deviations: Vec<f64>,
}

impl Prepared {
    #[expect(clippy::indexing_slicing, reason = "columns are those of the sample")]
    pub(super) fn of(x: Sample<'_>, standardize: bool) -> Self {
        let (mut kept, mut constant, mut deviations) = (vec![], vec![], vec![]);
        for column in 0..x.dim() {
            let first = x.row(0)[column];
            if x.rows().all(|row| row[column] == first) {
                constant.push(column);
            } else {
                kept.push(column);
                deviations.push(deviation(x, column));
            }
        }
        let mut order: Vec<usize> = (0..x.count()).collect();
        // -0 becomes 0, as they are equal numbers and yet in order.
        let key = |i: usize| kept.iter().map(move |&column| x.row(i)[column] + 0.);
        order.sort_by(|&a, &b| {
            key(a).zip(key(b)).fold(std::cmp::Ordering::Equal, |o, (a, b)| o.then(a.total_cmp(&b)))
        });
        order.dedup_by(|a, b| key(*a).eq(key(*b)));
        order.sort_unstable();
        let scaled = |(value, deviation): (f64, &f64)| match standardize {
            true => value / deviation,
            false => value,
        };
        let values = order.iter().flat_map(|&i| key(i).zip(&deviations).map(scaled)).collect();
        Self { values, cols: kept.len(), constant, deviations }
    }

    /// The number of rows.
    #[expect(clippy::integer_division_remainder_used, reason = "columns are those of the sample")]
    pub(super) fn count(&self) -> usize {
        match self.cols {
            0 => 1,
            cols => self.values.len() / cols,
        }
    }

    /// What is to be told of the table.
    pub(super) fn notes(&self, x: Sample<'_>, standardize: bool) -> Vec<String> {
        let mut notes = vec![];
        let equal = x.count() - self.count();
        if equal > 0 && self.cols > 0 {
            notes.push(format!(
                "{equal} of {} rows repeat another one; each different row counts once",
                x.count()
            ));
        }
        if !self.constant.is_empty() && self.cols > 0 {
            let list: Vec<String> = self.constant.iter().map(usize::to_string).collect();
            notes.push(format!(
                "constant columns are left out: {}, counted from 0",
                list.join(", ")
            ));
        }
        let least = self.deviations.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = self.deviations.iter().copied().fold(0., f64::max);
        if largest > UNLIKE * least {
            notes.push(match standardize {
                true => format!(
                    "standard deviations of columns are from {least:.1e} to {largest:.1e}, and each column was divided \
                     by its own: if the narrow ones are noise, look at the rows without that"
                ),
                false => format!(
                    "standard deviations of columns are from {least:.1e} to {largest:.1e}, and narrow ones hardly \
                     count: if columns have units of their own, standardize them"
                ),
            });
        }
        notes
    }
}

/// The standard deviation of a column, with a scale taken out so that squares stay finite.
#[expect(clippy::indexing_slicing, reason = "columns are those of the sample")]
fn deviation(x: Sample<'_>, column: usize) -> f64 {
    let values = || x.rows().map(|row| row[column]);
    let n = x.count() as f64;
    let mean = values().map(|v| v / n).sum::<f64>();
    let scale = values().map(|v| (v - mean).abs()).fold(0., f64::max);
    scale * (values().map(|v| ((v - mean) / scale).powi(2)).sum::<f64>() / n).sqrt()
}
