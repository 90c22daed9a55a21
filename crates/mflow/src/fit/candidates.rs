//! The ways that data leave open, made ready, and the trials that choose one of them.
use super::shape::{is_flat, place_charts, shape_of, start_from};
use super::ways::Way;
use super::{FitConfig, News};
use crate::Result;
use mflow_bijectors::ParamStore;
use mflow_train::{Attempt, Candidate, Pool, RowSource, Stage, Start, Trials};
use std::sync::atomic::AtomicBool;

/// Updates of a trial, about. There are more only if one epoch of each phase has more.
pub(super) const UPDATES: usize = 1000;

/// Leave the ways that the data leave open, at least one.
#[expect(clippy::indexing_slicing, reason = "one candidate or more, of which the winner is one")]
fn fit_to_data(
    mut ways: Vec<Way>,
    data: &dyn RowSource,
    tell: &mut dyn FnMut(News),
) -> Result<Vec<Way>> {
    let FitConfig { model, seed, .. } = ways[0].config.clone();
    let is_of_density = |stage: &Stage| {
        let density = model.groups().density;
        let mut trains = stage.phases().iter().flat_map(|phase| &phase.trains);
        trains.all(|group| density.contains(&group.as_str()))
    };
    let learns_density = |way: &Way| way.config.train.phases.iter().any(is_of_density);
    let plane = ways.iter().position(|way| way.start == Some(Start::Flat) && learns_density(way));
    if is_flat(&model, data)?
        && ways.len() > 1
        && let Some(plane) = plane
    {
        tell(News::Plane(model.sizes.manifold_dim));
        let mut way = ways.swap_remove(plane);
        way.config.train.phases.retain(is_of_density);
        return Ok(vec![way]);
    }
    let is_alone = ways.len() == 1;
    if is_alone && ways[0].start != Some(Start::Unrolled) {
        return Ok(ways);
    }
    let (many, graph) = match shape_of(&model, data, seed) {
        Ok(shape) => {
            if shape.is_unusual() {
                tell(News::Shape(shape));
            }
            (shape.closed || shape.pieces > 1, true)
        }
        // The start itself will say why not.
        Err(_) if is_alone => (false, false),
        Err(error) => {
            tell(News::NoDistances(error.to_string()));
            (false, false)
        }
    };
    let alternatives = ways.iter().any(|way| way.of_many);
    let fits = |way: &Way| match way.start {
        _ if way.of_many => many,
        Some(Start::Unrolled) => graph,
        // A projection onto a plane folds what is closed.
        Some(Start::Flat) => !(many && alternatives),
        _ => true,
    };
    if ways.iter().any(fits) {
        ways.retain(fits);
    }
    Ok(ways)
}

/// What may be trained on some data: ways that fit them, with their starts and charts in place.
#[derive(Clone, Debug)]
pub struct Candidates {
    configs: Vec<FitConfig>,
    candidates: Vec<Candidate>,
}

/// What is trained.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// What to fit and how.
    pub config: FitConfig,
    /// The trials by which it was chosen, if there were any.
    pub trials: Vec<Attempt>,
}

impl Candidates {
    /// The ways that fit the data, at least one. `tell` hears what the data say.
    ///
    /// # Errors
    /// If a row cannot be read, no manifold of this dimension can be learned from the rows, or none of the ways fits
    /// them.
    pub fn new(ways: Vec<Way>, data: &dyn RowSource, tell: &mut dyn FnMut(News)) -> Result<Self> {
        let (mut configs, mut candidates, mut failed) = (vec![], vec![], vec![]);
        for way in fit_to_data(ways, data, tell)? {
            let name = way.name.clone();
            match prepare(way, data) {
                Ok(config) => {
                    let (model, train) = (config.model.clone(), config.train.clone());
                    candidates.push(Candidate { name, model, train });
                    configs.push(config);
                }
                Err(error) => failed.push((name, error)),
            }
        }
        // What nobody asked for by name must not end what others can do.
        if configs.is_empty()
            && let Some((_, error)) = failed.pop()
        {
            return Err(error);
        }
        for (name, error) in failed {
            tell(News::NotTried { name, reason: error.to_string() });
        }
        Ok(Self { configs, candidates })
    }

    /// Choose by trials; one candidate alone is chosen without. None if `stop` was raised.
    ///
    /// # Errors
    /// As [`Trials::choose`].
    #[expect(
        clippy::indexing_slicing,
        reason = "one candidate or more, of which the winner is one"
    )]
    pub fn choose(
        mut self,
        data: &dyn RowSource,
        validation: Option<&dyn RowSource>,
        pool: &Pool,
        tell: &mut dyn FnMut(News),
        stop: &AtomicBool,
    ) -> Result<Option<Chosen>> {
        let FitConfig { seed, dtype, .. } = self.configs[0];
        let trials = Trials { data, validation, dtype: dtype.into(), seed, pool, updates: UPDATES };
        let hear = |trial: &Attempt| tell(News::Trial(trial.clone()));
        let Some(choice) = trials.choose(&self.candidates, hear, stop)? else { return Ok(None) };
        if !choice.trials.is_empty() {
            tell(News::Chosen(self.candidates[choice.winner].name.clone()));
        }
        let config = self.configs.swap_remove(choice.winner);
        Ok(Some(Chosen { config, trials: choice.trials }))
    }
}

/// The config of a way with its start and its charts in place.
fn prepare(way: Way, data: &dyn RowSource) -> Result<FitConfig> {
    let FitConfig { mut model, mut train, seed, dtype, device } = way.config;
    model = place_charts(model, data)?;
    if let Some(start) = way.start {
        (model, train) = start_from(start, model, train, data)?;
    }
    model.build(&mut ParamStore::new(seed, dtype.into(), data.device()), |_| false)?;
    Ok(FitConfig { model, train, seed, dtype, device })
}
