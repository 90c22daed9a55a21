//! What the columns of data say by themselves: constants, columns that repeat others, and how many dimensions they span.
use mflow_bijectors::Stream;
use mflow_core::{linear_rank, standardize};
use std::fmt;

/// What is to be known of columns before a model is fitted to them.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnFacts {
    /// Number of columns.
    pub columns: usize,
    /// Their names, if they have names.
    pub names: Option<Vec<String>>,
    /// Dimensions that the rows span, up to rounding: see [`mflow_core::linear_span`]. None if the rows are too few to
    /// tell.
    pub rank: Option<usize>,
    /// Columns with one value only, from 0.
    pub constant: Vec<usize>,
    /// Columns that are an earlier one in other units, or the same, each with that one.
    pub repeated: Vec<(usize, usize)>,
}

/// Rows that are looked at, for each column; not fewer than [`LEAST`].
const PER_COLUMN: usize = 2;
/// See [`PER_COLUMN`].
const LEAST: usize = 1000;
/// Fewer rows tell neither rank nor repetition.
const FEW: usize = 5;
/// Differences between columns in units of their deviations up to which they are the same: 17 roundings to single precision.
const EQUAL: f64 = 1e-6;
/// Columns that are listed.
const LISTED: usize = 10;

impl ColumnFacts {
    /// How many rows are enough to look at.
    pub fn rows_for(columns: usize) -> usize {
        (PER_COLUMN * columns).max(LEAST)
    }

    /// Those of `x: [rows, columns]`, row-major and finite, in double precision as they were read. Takes time in proportion
    /// to the rows and the square of the columns.
    ///
    /// # Errors
    /// If there is no row, or the length is no multiple of `columns`.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "columns below their number, which `standardize` has compared with the values, and groups of those in order"
    )]
    pub fn of(x: &[f64], columns: usize, names: Option<Vec<String>>) -> crate::Result<Self> {
        let units = standardize(x, columns)?;
        let rows = x.len() / columns;
        let column = |j: usize| x.iter().skip(j).step_by(columns);
        let constant: Vec<usize> =
            (0..columns).filter(|&j| column(j).all(|v| *v == x[j])).collect();
        let varies: Vec<usize> = (0..columns).filter(|j| !constant.contains(j)).collect();
        let standardized = |j: usize| -> Vec<f64> {
            column(j).map(|v| (v - units.shift[j]) / units.scale[j]).collect()
        };
        // Fewer rows than columns span fewer dimensions, whatever they are drawn from; and of two rows, all columns are the
        // same up to units.
        let enough = rows > columns && rows >= FEW;
        let repeated = if enough { repeated(&varies, rows, &standardized) } else { vec![] };
        let rank = enough.then(|| linear_rank(x, columns, columns));
        Ok(Self { columns, names, rank, constant, repeated })
    }

    /// The name of a column, or its number.
    fn name(&self, j: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(j)).filter(|name| !name.is_empty()) {
            Some(name) => format!("`{name}`"),
            None => j.to_string(),
        }
    }

    fn list(&self, items: Vec<String>) -> String {
        let more = items.len().saturating_sub(LISTED);
        let list = items.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
        let from = if self.names.is_none() { ", counted from 0" } else { "" };
        if more > 0 { format!("{list} and {more} more{from}") } else { format!("{list}{from}") }
    }
}

impl fmt::Display for ColumnFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.columns;
        match self.rank {
            None => write!(f, "{d} columns, too few rows to tell their rank")?,
            Some(rank) if rank == d => write!(f, "{d} columns, of full rank")?,
            Some(rank) => write!(f, "{d} columns, of rank {rank}: they span {rank} dimensions")?,
        }
        if !self.constant.is_empty() {
            let items = self.constant.iter().map(|&j| self.name(j)).collect();
            write!(f, "; constant: {}", self.list(items))?;
        }
        if !self.repeated.is_empty() {
            let same =
                |&(j, first): &(usize, usize)| format!("{} as {}", self.name(j), self.name(first));
            let items = self.repeated.iter().map(same).collect();
            write!(f, "; the same up to units: {}", self.list(items))?;
        }
        Ok(())
    }
}

/// Of the columns `varies`, those that are an earlier one up to shift, scale and sign. Columns that are the same have the
/// same product with any vector, so only neighbours in the order of such products are compared in full.
#[expect(
    clippy::indexing_slicing,
    reason = "columns below their number, which `standardize` has compared with the values, and groups of those in order"
)]
fn repeated(
    varies: &[usize],
    rows: usize,
    standardized: &dyn Fn(usize) -> Vec<f64>,
) -> Vec<(usize, usize)> {
    let probe = Stream::new(0, "columns").normal(rows);
    let product = |j: usize| {
        let all = standardized(j).into_iter().zip(&probe).map(|(v, p)| v * p);
        all.sum::<f64>().abs() / (rows as f64).sqrt()
    };
    let mut order: Vec<(f64, usize)> = varies.iter().map(|&j| (product(j), j)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let near = EQUAL * (rows as f64).sqrt();
    let mut first: Vec<Option<usize>> = vec![None; order.len()];
    for i in 0..order.len() {
        let this = standardized(order[i].1);
        let neighbours = (i + 1..order.len()).take_while(|&k| order[k].0 - order[i].0 <= near);
        for k in neighbours {
            if first[k].is_none() && same(&this, &standardized(order[k].1)) {
                first[k] = Some(first[i].unwrap_or(i));
            }
        }
    }
    // Groups of the same columns, each told by its earliest.
    let mut groups: Vec<Vec<usize>> = vec![vec![]; order.len()];
    for (k, first) in first.iter().enumerate() {
        groups[first.unwrap_or(k)].push(order[k].1);
    }
    let mut pairs = vec![];
    for mut group in groups {
        group.sort_unstable();
        pairs.extend(group.iter().skip(1).map(|&j| (j, group[0])));
    }
    pairs.sort_unstable();
    pairs
}

/// Whether two standardised columns are equal up to sign.
fn same(a: &[f64], b: &[f64]) -> bool {
    let within = |sign: f64| a.iter().zip(b).all(|(a, b)| (a - sign * b).abs() <= EQUAL);
    within(1.) || within(-1.)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two columns drawn, then what others are made of them.
    fn table(rows: usize, more: impl Fn(f64, f64, usize) -> Vec<f64>) -> Vec<f64> {
        let z = Stream::new(3, "table").normal(2 * rows);
        let row =
            |i: usize| [vec![z[2 * i], z[2 * i + 1]], more(z[2 * i], z[2 * i + 1], i)].concat();
        (0..rows).flat_map(row).collect()
    }

    #[test]
    fn copies_in_any_units_constants_and_ranks_are_found() {
        // Fahrenheit, the opposite, a sum, a constant, and a copy in single precision.
        let x = table(300, |a, b, _| {
            #[expect(clippy::cast_possible_truncation, reason = "that is the point")]
            let single = f64::from(b as f32);
            vec![1.8 * a + 32., -b, a + b, 7., single]
        });
        let facts = ColumnFacts::of(&x, 7, None).expect("facts");
        assert_eq!(facts.rank, Some(2));
        assert_eq!(facts.constant, [5]);
        assert_eq!(facts.repeated, [(2, 0), (3, 1), (6, 1)]);
        let names = ["a", "b", "f", "minus", "sum", "one", "single"].map(str::to_owned).to_vec();
        let text = ColumnFacts { names: Some(names), ..facts }.to_string();
        for part in ["rank 2", "constant: `one`", "`f` as `a`, `minus` as `b`, `single` as `b`"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_differs_is_not_taken_for_the_same() {
        let x = table(300, |a, _, i| vec![a + 1e-4 * f64::from(u32::try_from(i % 2).unwrap_or(0))]);
        let facts = ColumnFacts::of(&x, 3, None).expect("facts");
        assert_eq!((facts.rank, facts.repeated), (Some(3), vec![]));
        let few = ColumnFacts::of(&x[..9], 3, None).expect("facts");
        assert_eq!(few.rank, None, "three rows always lie in a plane");
    }

    #[test]
    fn many_copies_are_one_group_told_by_its_first() {
        let x = table(50, |a, b, _| [a, b].repeat(11));
        let facts = ColumnFacts::of(&x, 24, None).expect("facts");
        let expected: Vec<(usize, usize)> = (2..24).map(|j| (j, j % 2)).collect();
        assert_eq!(facts.repeated, expected);
        assert!(facts.to_string().ends_with("11 as 1 and 12 more, counted from 0"), "{facts}");
    }
}
