//! The numbers of the study, of tables that are already read.
use mflow::data::io::Table;

fn rows(table: &Table) -> impl Iterator<Item = &[f64]> {
    table.values().chunks_exact(table.cols())
}

/// The root of the summed variances of all columns.
pub(crate) fn spread(table: &Table) -> f64 {
    let count = table.rows() as f64;
    let variance = |j: usize| {
        let mean = rows(table).map(|row| row[j]).sum::<f64>() / count;
        rows(table).map(|row| (row[j] - mean).powi(2)).sum::<f64>() / count
    };
    (0..table.cols()).map(variance).sum::<f64>().sqrt()
}

/// The root of the mean of squares.
pub(crate) fn root_mean_square(values: &[f64]) -> f64 {
    (values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64).sqrt()
}

/// The mean of `a - b`, element by element.
pub(crate) fn mean_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a - b).sum::<f64>() / a.len() as f64
}

/// The mean distance of the rows of `table` to the nearest row of `others`.
pub(crate) fn mean_nearest(table: &Table, others: &Table) -> f64 {
    let nearest = |row: &[f64]| {
        let square = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
        rows(others).map(square).fold(f64::INFINITY, f64::min).sqrt()
    };
    rows(table).map(nearest).sum::<f64>() / table.rows() as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn table(rows: &[[f64; 2]]) -> Table {
        Table::new(rows.len(), 2, rows.as_flattened().to_vec()).unwrap()
    }

    #[test]
    fn the_spread_sums_variances() {
        // Variances 4 and 2.25, which sum to 2.5 squared.
        assert_eq!(spread(&table(&[[1., 4.], [5., 1.]])), 2.5);
        assert_eq!(spread(&table(&[[3., 7.], [3., 7.]])), 0.);
    }

    #[test]
    fn means_are_those_by_hand() {
        assert_eq!(root_mean_square(&[1., -7.]), 5.);
        assert_eq!(mean_difference(&[1., 2., 6.], &[0., 4., 2.]), 1.);
    }

    #[test]
    fn the_nearest_row_counts() {
        // (0, 0) is 1 from (0, 1), and (3, 4) is 2 from (3, 2).
        let others = table(&[[0., 1.], [3., 2.], [9., 9.]]);
        assert_eq!(mean_nearest(&table(&[[0., 0.], [3., 4.]]), &others), 1.5);
    }
}
