//! What `mflow fit` trains where the options do not say it: the candidates, and the trials that choose one of them.
use super::fit::{AUTO, Kind, Options, ScheduleName, StartName, resolve};
use super::output::message;
use super::progress::in_words;
use super::tables::Tables;
use anyhow::Result;
use mflow::bijectors::ParamStore;
use mflow::core::{ChartConfig, Charts};
use mflow::core::candle::Device;
use mflow::fit::{FitConfig, Shape, is_flat, place_charts, shape_of, start_from};
use mflow::train::{Attempt, Candidate, Pool, RowSource, Start, Trials};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Updates of a trial, about and at most: each phase has at least one epoch.
const UPDATES: usize = 1000;

/// A candidate with several charts has so many for each dimension of the manifold. A closed manifold in so many pieces
/// is gently curved in each.
const CHARTS: usize = 6;

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

/// The ways that the options leave open, in order of preference: a later one needs a clearly smaller error in its trial.
/// There is at least one.
pub(super) fn ways(options: &Options, tables: &Tables, pool: &Pool) -> Result<Vec<Way>> {
    let of = |model: Kind, chart: Option<&str>, start: Start, of_many: bool| -> Result<Way> {
        let options = options.with(Some(model), chart);
        let mut config = resolve(&options, tables)?;
        options.run.settle_shards(&mut config.train, pool);
        let model = config.model.name();
        let name = match (chart, of_many) {
            (Some(chart), _) => format!("{model} on a {chart}"),
            (None, true) => model.to_owned(),
            (None, false) => format!("{model}, {start} start"),
        };
        Ok(Way { name, config, start, of_many })
    };
    let chart = options.chart.as_deref().filter(|chart| *chart != AUTO);
    let as_given = |start| -> Result<Way> {
        let options = options.with(options.model, chart);
        let mut config = resolve(&options, tables)?;
        options.run.settle_shards(&mut config.train, pool);
        let name = format!("{}, {start} start", config.model.name());
        Ok(Way { name, config, start, of_many: false })
    };
    // A config, a chart or a schedule says how it is to be done.
    let says_more = options.config.is_some()
        || options.run.earlier_config().is_some()
        || chart.is_some()
        || options.schedule.is_some_and(|name| name != ScheduleName::Sequential)
        || options.set.iter().any(|s| s.is_under("model.chart") || s.is_under("train.phases"));
    let start: Option<Start> = match options.start {
        Some(name) => name.into(),
        None if says_more => Some(Start::Random),
        None => None,
    };
    let sets_parts = |s: &super::settings::Setting| {
        s.is_under("model")
            && !["data_dim", "manifold_dim", "context_dim", "conditional_manifold", "normalization"]
                .iter()
                .any(|size| s.is_under(&format!("model.{size}")))
    };
    let open = matches!(options.model, None | Some(Kind::Auto))
        && !says_more
        && !options.set.iter().any(sets_parts);
    let n = as_given(Start::Random)?.config.model.sizes.manifold_dim;
    let d = tables.data.cols();
    let charts = || {
        ChartConfig::NAMES.into_iter().filter(move |name| {
            ChartConfig::named(name).is_some_and(|c| c.dims().1 == n && c.dims().0 <= d && n < d)
        })
    };
    let mut ways = vec![];
    match (open, start) {
        (true, start) => {
            let starts = start.map_or((Start::Flat, Start::Unrolled), |s| (s, s));
            if !options.conditional_manifold {
                ways.push(of(Kind::FreeForm, None, starts.1, false)?);
            }
            if start.is_none() && !options.conditional_manifold {
                for chart in charts() {
                    ways.push(of(Kind::MFlow, Some(chart), Start::Random, true)?);
                }
                if tables.context_dim() == 0 {
                    let mut atlas = of(Kind::FreeFormAtlas, None, Start::Random, true)?;
                    if let Some(charts) = atlas.config.model.parts.charts_mut() {
                        *charts = Charts::Number(CHARTS * n);
                    }
                    ways.push(atlas);
                }
            }
            ways.push(of(Kind::MFlow, None, starts.0, false)?);
        }
        (false, Some(start)) => ways.push(as_given(start)?),
        (false, None) => {
            for start in Start::ALL {
                let way = as_given(start)?;
                if start.obstacle(&way.config.model, &way.config.train).is_none() {
                    ways.push(way);
                }
            }
        }
    }
    if !open && options.chart.as_deref() == Some(AUTO) {
        for chart in charts() {
            ways.push(of(options.model.unwrap_or(Kind::MFlow), Some(chart), Start::Random, true)?);
        }
    }
    Ok(ways)
}

/// The config of the way that wins the trials, with its start, and the trials themselves. The data rule out some ways
/// first: those that do not suit their shape are not tried. A way that is left alone wins without a trial. None if `stop`
/// was raised.
pub(super) fn choose(
    mut ways: Vec<Way>,
    data: &dyn RowSource,
    validation: Option<&dyn RowSource>,
    pool: &Pool,
    stop: &AtomicBool,
) -> Result<Option<(FitConfig, Vec<Attempt>)>> {
    let first = &ways[0].config;
    let is_plane = |way: &Way| way.start == Start::Flat;
    if is_flat(&first.model, data)? && ways.len() > 1 && ways.iter().any(is_plane) {
        message(format_args!(
            "the data lie in a plane of {} dimensions: principal components are the manifold, and only the \
             density on it is learned",
            first.model.sizes.manifold_dim
        ));
        ways.retain(is_plane);
        ways.truncate(1);
        ways[0].config.train.phases.retain(|stage| !stage.reconstructs());
    }
    if ways.len() > 1 {
        let first = &ways[0].config;
        match shape_of(&first.model, data, first.seed) {
            Ok(shape) => {
                if let Some(what) = unusual(shape) {
                    message(format_args!("the manifold seems to be {what}"));
                }
                // A plane that is closed or in pieces has a projection that folds it.
                let many = shape.closed || shape.pieces > 1;
                ways.retain(|way| if many { way.of_many || way.start != Start::Flat } else { !way.of_many });
            }
            Err(error) => {
                message(format_args!(
                    "note: no start is guided by distances along the manifold: {error}"
                ));
                ways.retain(|way| !way.of_many && way.start != Start::Unrolled);
            }
        }
    }
    let mut candidates = vec![];
    for way in &ways {
        let FitConfig { model, train, .. } = way.config.clone();
        let (model, train) = start_from(way.start, place_charts(model, data)?, train, data)?;
        let store = &mut ParamStore::new(way.config.seed, way.config.dtype.into(), &Device::Cpu);
        model.build(store, |_| false)?;
        candidates.push(Candidate { name: way.name.clone(), model, train });
    }
    let FitConfig { seed, dtype, .. } = ways[0].config;
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
    let Candidate { name, model, train } = candidates.swap_remove(choice.winner);
    if !choice.trials.is_empty() {
        message(format_args!("chosen: {name}"));
    }
    Ok(Some((FitConfig { model, train, ..ways[choice.winner].config.clone() }, choice.trials)))
}

/// What to call a shape that one flat chart does not cover; none for others.
fn unusual(shape: Shape) -> Option<String> {
    let pieces = (shape.pieces > 1).then(|| format!("in {} pieces", shape.pieces));
    let closed = shape.closed.then(|| "closed, or folded back onto itself".to_owned());
    match (pieces, closed) {
        (Some(pieces), Some(closed)) => Some(format!("{pieces}, and {closed}")),
        (pieces, closed) => pieces.or(closed),
    }
}
