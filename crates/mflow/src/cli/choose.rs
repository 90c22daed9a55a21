//! What `mflow fit` trains where the options do not say it: the candidates, and the trials that choose one of them.
use super::fit::{Kind, Options, ScheduleName, StartName, no_chart, resolve};
use super::output::message;
use super::progress::in_words;
use super::settings::Setting;
use super::tables::Tables;
use anyhow::Result;
use mflow::bijectors::ParamStore;
use mflow::core::{ChartConfig, ModelConfig, ModelParts};
use mflow::fit::{FitConfig, Shape, is_flat, place_charts, shape_of, start_from};
use mflow::train::{Attempt, Candidate, Pool, RowSource, Stage, Start, Trials};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Updates of a trial, about. There are more only if one epoch of each phase has more.
const UPDATES: usize = 1000;

/// One way to fit the data: a candidate, before the data have said where its start lies.
pub(super) struct Way {
    /// The name in messages and in `attempts.json`.
    name: String,
    /// Model, schedule and seed, without what the start will change in them.
    pub(super) config: FitConfig,
    /// None leaves the start as the config has it.
    start: Option<Start>,
    /// Whether it is only for manifolds that seem closed or in several pieces.
    of_many: bool,
}

/// What the options say of the start.
#[derive(Clone, Copy)]
enum Starts {
    /// Nothing: it is tried which one is best.
    Open,
    /// That it is as the config has it.
    AsItIs,
    /// Which one it is.
    One(Start),
}

impl From<StartName> for Starts {
    fn from(name: StartName) -> Self {
        match name {
            StartName::Auto => Self::Open,
            StartName::Flat => Self::One(Start::Flat),
            StartName::Unrolled => Self::One(Start::Unrolled),
            StartName::Autoencoder => Self::One(Start::Autoencoder),
            StartName::Random => Self::One(Start::Random),
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
    /// Whether closed charts are to be tried, whatever else is said.
    tries_charts: bool,
    starts: Starts,
    /// Whether the model is open.
    open: bool,
}

impl<'a> Asked<'a> {
    fn new(options: &'a Options, tables: &'a Tables, pool: &'a Pool) -> Self {
        let chart = options.chart();
        let set = |field: &str| options.set.iter().any(|setting| setting.is_under(field));
        // A config, a chart or a schedule says how it is to be done.
        let says_more = options.config.is_some()
            || chart.is_some()
            || options.schedule.is_some_and(|name| name != ScheduleName::Sequential)
            || set("model.chart")
            || set("train.phases");
        let starts = match options.start {
            Some(name) => name.into(),
            None if says_more => Starts::AsItIs,
            None => Starts::Open,
        };
        let is_size = |s: &Setting| SIZES.iter().any(|size| s.is_under(&format!("model.{size}")));
        let sets_parts = options.set.iter().any(|s| s.is_under("model") && !is_size(s));
        let open = options.model().is_none() && !says_more && !sets_parts;
        let tries_charts = options.chart.is_some() && chart.is_none();
        Self { options, tables, pool, chart, tries_charts, starts, open }
    }

    fn way(
        &self,
        name: Option<&str>,
        options: &Options,
        start: Option<Start>,
        of_many: bool,
    ) -> Result<Way> {
        let mut config = resolve(options, self.tables)?;
        options.run.settle_shards(&mut config.train, self.pool);
        let model = config.model.name();
        let name = match (name, start) {
            (Some(name), _) => format!("{model}{name}"),
            (None, Some(start)) => format!("{model}, {start} start"),
            (None, None) => model.to_owned(),
        };
        Ok(Way { name, config, start, of_many })
    }

    /// The model and the chart that the options name.
    fn as_given(&self, start: Option<Start>) -> Result<Way> {
        self.way(None, &self.options.with(self.options.model, self.chart), start, false)
    }

    /// A model of one chart without a form of its own.
    fn of_one(&self, kind: Kind, start: Start) -> Result<Way> {
        self.way(None, &self.options.with(Some(kind), None), Some(start), false)
    }

    /// M-flows of the closed forms that have this dimension and fit into the space.
    fn closed(&self, n: usize) -> Result<Vec<Way>> {
        let d = self.tables.data.cols();
        let fits = |name: &&str| {
            ChartConfig::named(name).is_some_and(|c| c.dims().1 == n && c.dims().0 <= d && n < d)
        };
        let on = |chart: &str| {
            let kind = self.options.model().unwrap_or(Kind::MFlow);
            let options = self.options.with(Some(kind), Some(chart));
            self.way(Some(&format!(" on a {chart}")), &options, None, true)
        };
        ChartConfig::NAMES.into_iter().filter(fits).map(on).collect()
    }

    /// Several charts.
    fn atlas(&self) -> Result<Way> {
        let options = self.options.with(Some(Kind::FreeFormAtlas), None);
        self.way(Some(""), &options, None, true)
    }

    fn ways(&self) -> Result<Vec<Way>> {
        let mut ways = vec![];
        let ModelConfig { sizes, parts, .. } = self.as_given(None)?.config.model;
        let n = sizes.manifold_dim;
        let takes_chart = matches!(parts, ModelParts::MFlow { .. } | ModelParts::Fom { .. });
        if self.tries_charts && !self.open && !takes_chart {
            return Err(no_chart());
        }
        if self.open {
            let one = match self.starts {
                Starts::One(start) => Some(start),
                Starts::Open | Starts::AsItIs => None,
            };
            // A manifold that depends on its context has neither closed charts nor several.
            if (one.is_none() || self.tries_charts) && !self.options.conditional_manifold {
                if self.tables.context_dim() == 0 {
                    ways.push(self.atlas()?);
                }
                ways.extend(self.closed(n)?);
            }
            ways.push(self.of_one(Kind::FreeForm, one.unwrap_or(Start::Unrolled))?);
            ways.push(self.of_one(Kind::MFlow, one.unwrap_or(Start::Flat))?);
        } else {
            let starts = match self.starts {
                Starts::Open => Start::ALL.map(Some).to_vec(),
                Starts::AsItIs => vec![None],
                Starts::One(start) => vec![Some(start)],
            };
            for start in starts {
                ways.push(self.as_given(start)?);
            }
            if self.tries_charts {
                ways.extend(self.closed(n)?);
            }
        }
        let check = |Way { start, config: FitConfig { model, train, .. }, .. }: &Way| {
            start.map_or(Ok(()), |start| start.check(model, train))
        };
        if !ways.iter().any(|way| check(way).is_ok()) {
            ways.iter().try_for_each(check)?;
        }
        ways.retain(|way| check(way).is_ok());
        Ok(ways)
    }
}

/// Fields of a model that say nothing of its kind.
const SIZES: [&str; 6] = [
    "data_dim",
    "manifold_dim",
    "context_dim",
    "conditional_manifold",
    "normalization",
    "context_normalization",
];

/// The ways that the options leave open, at least one. First come those for manifolds that no one chart covers, of which
/// the most general is the first: of ways whose trials end alike the first is taken.
///
/// Of a run that is continued, its config says what was chosen.
pub(super) fn ways(options: &Options, tables: &Tables, pool: &Pool) -> Result<Vec<Way>> {
    let of = |options: &Options| Asked::new(options, tables, pool).ways();
    match options.run.earlier_config() {
        Some(config) if options.says_no_dimension() || of(options)?.len() > 1 => {
            of(&options.continuing(config))
        }
        _ => of(options),
    }
}

/// Leave the ways that the data leave open, at least one.
fn fit_to_data(mut ways: Vec<Way>, data: &dyn RowSource) -> Result<Vec<Way>> {
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
        message(format_args!(
            "the data lie in a plane of {} dimensions: principal components are the manifold, and only the \
             density on it is learned",
            model.sizes.manifold_dim
        ));
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
            if let Some(what) = unusual(shape) {
                message(format_args!("the manifold seems to be {what}"));
            }
            if shape.outliers > 0 {
                message(format_args!(
                    "note: rows far from all others do not guide a start: {} of {} that were looked at",
                    shape.outliers, shape.rows
                ));
            }
            (shape.closed || shape.pieces > 1, true)
        }
        // The start itself will say why not.
        Err(_) if is_alone => (false, false),
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

/// The ways that fit the data, with their starts and charts in place: the config of each, and what is tried of it.
pub(super) fn candidates(
    ways: Vec<Way>,
    data: &dyn RowSource,
) -> Result<Vec<(FitConfig, Candidate)>> {
    let prepare = |way: Way| -> Result<(FitConfig, Candidate)> {
        let FitConfig { mut model, mut train, seed, dtype, device } = way.config;
        model = place_charts(model, data)?;
        if let Some(start) = way.start {
            (model, train) = start_from(start, model, train, data)?;
        }
        model.build(&mut ParamStore::new(seed, dtype.into(), data.device()), |_| false)?;
        let config = FitConfig { model: model.clone(), train: train.clone(), seed, dtype, device };
        Ok((config, Candidate { name: way.name, model, train }))
    };
    let (mut ready, mut failed) = (vec![], vec![]);
    for way in fit_to_data(ways, data)? {
        let name = way.name.clone();
        match prepare(way) {
            Ok(candidate) => ready.push(candidate),
            Err(error) => failed.push((name, error)),
        }
    }
    // What nobody asked for by name must not end what others can do.
    if ready.is_empty()
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    for (name, error) in failed {
        message(format_args!("note: {name} is not tried: {error:#}"));
    }
    Ok(ready)
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
