//! What `mflow fit` trains where the options do not say it: the candidates, and the trials that choose one of them.
use super::fit::{AUTO, Kind, Options, ScheduleName, StartName, resolve};
use super::output::message;
use super::progress::in_words;
use super::settings::Setting;
use super::tables::Tables;
use anyhow::Result;
use mflow::bijectors::ParamStore;
use mflow::core::ChartConfig;
use mflow::core::candle::Device;
use mflow::fit::{FitConfig, Shape, is_flat, place_charts, shape_of, start_from};
use mflow::train::{Attempt, Candidate, Pool, RowSource, Start, Trials};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Updates of a trial, about and at most: each phase has at least one epoch.
const UPDATES: usize = 1000;

/// One way to fit the data: a candidate, before the data have said where its start lies.
pub(super) struct Way {
    /// The name in messages and in `attempts.json`.
    name: String,
    /// Model, schedule and seed, without what the start will change in them.
    pub(super) config: FitConfig,
    start: Start,
    /// Whether it is only for manifolds that seem closed or in several pieces.
    of_many: bool,
}

impl From<StartName> for Option<Start> {
    fn from(name: StartName) -> Self {
        match name {
            StartName::Auto => None,
            StartName::Flat => Some(Start::Flat),
            StartName::Unrolled => Some(Start::Unrolled),
            StartName::Autoencoder => Some(Start::Autoencoder),
            StartName::Random => Some(Start::Random),
        }
    }
}

/// What the options say, and what they leave open.
struct Asked<'a> {
    options: &'a Options,
    tables: &'a Tables,
    pool: &'a Pool,
    /// The chart, if one is named.
    chart: Option<&'a str>,
    /// The start, if it is not open.
    start: Option<Start>,
    /// Whether the model is open.
    open: bool,
}

impl<'a> Asked<'a> {
    fn new(options: &'a Options, tables: &'a Tables, pool: &'a Pool) -> Self {
        let chart = options.chart.as_deref().filter(|chart| *chart != AUTO);
        let set = |field: &str| options.set.iter().any(|setting| setting.is_under(field));
        // A config, a chart or a schedule says how it is to be done.
        let says_more = options.config.is_some()
            || options.earlier().is_some()
            || chart.is_some()
            || options.schedule.is_some_and(|name| name != ScheduleName::Sequential)
            || set("model.chart")
            || set("train.phases");
        let start: Option<Start> = match options.start {
            Some(name) => name.into(),
            None => says_more.then_some(Start::Random),
        };
        let is_size = |s: &Setting| SIZES.iter().any(|size| s.is_under(&format!("model.{size}")));
        let sets_parts = options.set.iter().any(|s| s.is_under("model") && !is_size(s));
        let unnamed = matches!(options.model, None | Some(Kind::Auto));
        let open = unnamed && !says_more && !sets_parts;
        Self { options, tables, pool, chart, start, open }
    }

    fn way(
        &self,
        name: Option<&str>,
        options: &Options,
        start: Start,
        of_many: bool,
    ) -> Result<Way> {
        let mut config = resolve(options, self.tables)?;
        options.run.settle_shards(&mut config.train, self.pool);
        let model = config.model.name();
        let name = match name {
            Some(name) => format!("{model}{name}"),
            None => format!("{model}, {start} start"),
        };
        Ok(Way { name, config, start, of_many })
    }

    /// The model and the chart that the options name.
    fn as_given(&self, start: Start) -> Result<Way> {
        self.way(None, &self.options.with(self.options.model, self.chart), start, false)
    }

    /// A model of one chart without a form of its own.
    fn of_one(&self, kind: Kind, start: Start) -> Result<Way> {
        self.way(None, &self.options.with(Some(kind), None), start, false)
    }

    /// M-flows of the closed forms that have this dimension and fit into the space.
    fn closed(&self, n: usize) -> Result<Vec<Way>> {
        let d = self.tables.data.cols();
        let fits = |name: &&str| {
            ChartConfig::named(name).is_some_and(|c| c.dims().1 == n && c.dims().0 <= d && n < d)
        };
        let on = |chart: &str| {
            let kind = self.options.model.filter(|kind| *kind != Kind::Auto);
            let options = self.options.with(Some(kind.unwrap_or(Kind::MFlow)), Some(chart));
            self.way(Some(&format!(" on a {chart}")), &options, Start::Random, true)
        };
        ChartConfig::NAMES.into_iter().filter(fits).map(on).collect()
    }

    /// Several charts.
    fn atlas(&self) -> Result<Way> {
        let options = self.options.with(Some(Kind::FreeFormAtlas), None);
        self.way(Some(""), &options, Start::Random, true)
    }

    fn ways(&self) -> Result<Vec<Way>> {
        let mut ways = vec![];
        let n = self.as_given(Start::Random)?.config.model.sizes.manifold_dim;
        if self.open {
            // What may be left out is that of a manifold which depends on its context.
            if self.start.is_none() && !self.options.conditional_manifold {
                if self.tables.context_dim() == 0 {
                    ways.push(self.atlas()?);
                }
                ways.extend(self.closed(n)?);
            }
            ways.push(self.of_one(Kind::FreeForm, self.start.unwrap_or(Start::Unrolled))?);
            ways.push(self.of_one(Kind::MFlow, self.start.unwrap_or(Start::Flat))?);
        } else {
            let starts = self.start.map_or(Start::ALL.to_vec(), |start| vec![start]);
            for start in starts {
                ways.push(self.as_given(start)?);
            }
            if self.options.chart.as_deref() == Some(AUTO) {
                ways.extend(self.closed(n)?);
            }
        }
        let all = ways.len();
        let can = |way: &Way| way.start.obstacle(&way.config.model, &way.config.train).is_none();
        // One that is alone is what was asked for: why it cannot be is said when it starts.
        if all > 1 && ways.iter().any(can) {
            ways.retain(can);
        }
        Ok(ways)
    }
}

/// Fields of a model that say nothing of its kind.
const SIZES: [&str; 5] =
    ["data_dim", "manifold_dim", "context_dim", "conditional_manifold", "normalization"];

/// The ways that the options leave open, at least one. First come those for manifolds that no one chart covers, of which
/// the most general is the first: of ways whose trials end alike the first is taken.
pub(super) fn ways(options: &Options, tables: &Tables, pool: &Pool) -> Result<Vec<Way>> {
    Asked::new(options, tables, pool).ways()
}

/// Leave the ways that the data leave open, at least one.
fn fit_to_data(mut ways: Vec<Way>, data: &dyn RowSource) -> Result<Vec<Way>> {
    let FitConfig { model, seed, .. } = ways[0].config.clone();
    let learns_density =
        |way: &Way| way.config.train.phases.iter().any(|stage| !stage.reconstructs());
    let plane = ways.iter().position(|way| way.start == Start::Flat && learns_density(way));
    if is_flat(&model, data)?
        && ways.len() > 1
        && let Some(plane) = plane
    {
        message(format_args!(
            "the data lie in a plane of {} dimensions: principal components are the manifold, and only the \
             density on it is learned",
            model.sizes.manifold_dim
        ));
        let mut way = ways.swap_remove(plane);
        way.config.train.phases.retain(|stage| !stage.reconstructs());
        return Ok(vec![way]);
    }
    if ways.len() == 1 {
        return Ok(ways);
    }
    let (many, graph) = match shape_of(&model, data, seed) {
        Ok(shape) => {
            if let Some(what) = unusual(shape) {
                message(format_args!("the manifold seems to be {what}"));
            }
            (shape.closed || shape.pieces > 1, true)
        }
        Err(error) => {
            message(format_args!(
                "note: no start is guided by distances along the manifold: {error}"
            ));
            (false, false)
        }
    };
    let alternatives = ways.iter().any(|way| way.of_many);
    let fits = |way: &Way| match way.start {
        _ if way.of_many => many,
        Start::Unrolled => graph,
        // A projection onto a plane folds what is closed.
        Start::Flat => !(many && alternatives),
        _ => true,
    };
    if ways.iter().any(fits) {
        ways.retain(fits);
    }
    Ok(ways)
}

/// The ways that fit the data, with their starts and charts in place: the config of each, and what is tried of it.
pub(super) fn candidates(
    ways: Vec<Way>,
    data: &dyn RowSource,
) -> Result<Vec<(FitConfig, Candidate)>> {
    let prepare = |way: Way| {
        let FitConfig { model, train, seed, dtype } = way.config;
        let (model, train) = start_from(way.start, place_charts(model, data)?, train, data)?;
        model.build(&mut ParamStore::new(seed, dtype.into(), &Device::Cpu), |_| false)?;
        let config = FitConfig { model: model.clone(), train: train.clone(), seed, dtype };
        Ok((config, Candidate { name: way.name, model, train }))
    };
    fit_to_data(ways, data)?.into_iter().map(prepare).collect()
}

/// The config that is trained, and the trials by which it was chosen, if there were any; none if `stop` was raised.
pub(super) fn choose(
    candidates: Vec<(FitConfig, Candidate)>,
    data: &dyn RowSource,
    validation: Option<&dyn RowSource>,
    pool: &Pool,
    stop: &AtomicBool,
) -> Result<Option<(FitConfig, Vec<Attempt>)>> {
    let (mut configs, candidates): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
    let FitConfig { seed, dtype, .. } = configs[0];
    let trials = Trials { data, validation, dtype: dtype.into(), seed, pool, updates: UPDATES };
    let tell = |trial: &Attempt| {
        message(format_args!(
            "trial of {}: reconstruction error {:.2e} on held-out rows after {} updates, {}",
            trial.start.as_deref().unwrap_or_default(),
            trial.error,
            trial.updates,
            in_words(Duration::from_secs_f64(trial.seconds.clamp(0., 1e9)))
        ));
    };
    let Some(choice) = trials.choose(&candidates, tell, stop)? else { return Ok(None) };
    if !choice.trials.is_empty() {
        message(format_args!("chosen: {}", candidates[choice.winner].name));
    }
    Ok(Some((configs.swap_remove(choice.winner), choice.trials)))
}

/// A shape in words, where one chart does not cover it.
fn unusual(shape: Shape) -> Option<String> {
    let pieces = (shape.pieces > 1).then(|| format!("in {} pieces", shape.pieces));
    let closed = shape.closed.then(|| "closed, or folded back onto itself".to_owned());
    match (pieces, closed) {
        (Some(pieces), Some(closed)) => Some(format!("{pieces}, and {closed}")),
        (pieces, closed) => pieces.or(closed),
    }
}
