//! What a fit will try: from a request and a look at the data to the ways that are open, and to the one that is trained.
use super::{
    Ask, Candidates, Chosen, ColumnFacts, DataUnits, FitRequest, News, Way, evenly, manifold_below,
};
use crate::settings::Setting;
use crate::{Error, Result};
use mflow_core::ModelParts;
use mflow_train::{Pool, RowSource};
use std::sync::atomic::AtomicBool;

/// Rows of which the dimension of their manifold is asked, at most.
const DIMENSION_ROWS: usize = 100_000;
/// Rows by which it is told whether an ambient density has a bound.
const BOUND_ROWS: usize = 3000;

/// Data as a plan looks at them, before they are a [`RowSource`]: in double precision, in memory or on disk.
pub trait Planned {
    /// What goes wrong when they are read.
    type Error: From<Error>;
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Number of columns `D`.
    fn columns(&self) -> usize;
    /// Names of the columns, if they have names.
    fn names(&self) -> Option<&[String]>;
    /// The listed rows, in order, row-major.
    ///
    /// # Errors
    /// If they cannot be read.
    fn gather(&self, rows: &[usize]) -> Result<Vec<f64>, Self::Error>;
    /// What each row counts, if they do not count the same.
    fn weights(&self) -> Option<&[f64]>;
    /// Units of the columns.
    ///
    /// # Errors
    /// If they cannot be read, or the weights do not fit.
    fn units(&self) -> Result<DataUnits, Self::Error>;

    /// At most `most` rows, evenly spread, row-major.
    ///
    /// # Errors
    /// As [`Planned::gather`].
    fn sample(&self, most: usize) -> Result<Vec<f64>, Self::Error> {
        self.gather(&evenly(self.rows(), most).collect::<Vec<_>>())
    }
}

/// What a request leaves open for some data.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The request with the dimension that the data say, if they were asked for it.
    asked: Option<FitRequest>,
    units: DataUnits,
    /// The ways that are open, at least one; without what the caller settles, as the number of shards.
    pub ways: Vec<Way>,
    /// What is to be told when all has been checked.
    pub news: Vec<News>,
}

impl Plan {
    /// Look at the data, and see which ways `request` leaves open for them. `earlier` is the resolved config of the run that
    /// is continued, if one is.
    ///
    /// # Errors
    /// If the data cannot be read, or the request makes no fit for them.
    pub fn of<D: Planned>(
        mut request: FitRequest,
        earlier: Option<Vec<Setting>>,
        data: &D,
        pool: &Pool,
    ) -> Result<Self, D::Error> {
        let mut news = vec![];
        let facts = look_at_columns(data, &mut news)?;
        let asks = request.manifold_dim == Ask::Auto && earlier.is_none();
        if asks {
            let x = data.sample(DIMENSION_ROWS)?;
            let tell = &mut |of_data| news.push(of_data);
            request = request.with_dimension_of(&x, data.columns(), pool, tell)?;
        }
        let units = data.units()?;
        let ways = request.ways(&units, earlier)?;
        look_for_a_bound(&ways, data, &facts, pool, &mut news)?;
        Ok(Self { asked: asks.then_some(request), units, ways, news })
    }

    /// Choose one of the candidates that [`ways`](Self::ways) became. None if `stop` was raised.
    ///
    /// # Errors
    /// If a candidate cannot be trained.
    pub fn choose(
        &self,
        candidates: Candidates,
        data: &dyn RowSource,
        validation: Option<&dyn RowSource>,
        pool: &Pool,
        tell: &mut dyn FnMut(News),
        stop: &AtomicBool,
    ) -> Result<Option<Chosen>> {
        let compared = match &self.asked {
            Some(request) => {
                request.compare_dimensions(&self.units, data, validation, pool, tell, stop)?
            }
            None => Some(()),
        };
        match compared {
            Some(()) => candidates.choose(data, validation, pool, tell, stop),
            None => Ok(None),
        }
    }
}

/// Look at the columns before anything is fitted to them.
fn look_at_columns<D: Planned>(data: &D, news: &mut Vec<News>) -> Result<ColumnFacts, D::Error> {
    let columns = data.columns();
    let names = data.names().map(<[String]>::to_vec);
    let facts = ColumnFacts::of(&data.sample(ColumnFacts::rows_for(columns))?, columns, names)?;
    news.push(News::Columns { rows: data.rows(), facts: facts.clone() });
    news.extend(data.weights().map(News::of_weights));
    Ok(facts)
}

/// Look whether a density of all columns may be fitted to data that lie on a manifold.
fn look_for_a_bound<D: Planned>(
    ways: &[Way],
    data: &D,
    facts: &ColumnFacts,
    pool: &Pool,
    news: &mut Vec<News>,
) -> Result<(), D::Error> {
    let is_ambient = |way: &Way| matches!(way.config.model.parts, ModelParts::Af { .. });
    if ways.iter().any(is_ambient) {
        let below = manifold_below(&data.sample(BOUND_ROWS)?, facts, pool)?;
        news.extend(below.map(News::NoBound));
    }
    Ok(())
}
