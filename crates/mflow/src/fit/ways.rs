//! The ways to fit data that a request leaves open.
use super::request::{Ask, FitRequest, no_chart};
use super::units::DataUnits;
use super::{FitConfig, Kind};
use crate::Result;
use crate::settings::Setting;
use mflow_core::{ChartConfig, ModelConfig, ModelParts};
use mflow_train::{Schedule, Start};

/// One way to fit the data: a candidate, before the data have said where its start lies.
#[derive(Clone, Debug)]
pub struct Way {
    /// The name in messages and in the attempts of a run.
    pub name: String,
    /// Model, schedule and seed, without what the start will change in them.
    pub config: FitConfig,
    /// None leaves the start as the config has it.
    pub(super) start: Option<Start>,
    /// Whether it is only for manifolds that seem closed or in several pieces.
    pub(super) of_many: bool,
}

/// What the request says of the start.
#[derive(Clone, Copy)]
enum Starts {
    /// Nothing: it is tried which one is best.
    Open,
    /// That it is as the config has it.
    AsItIs,
    /// Which one it is.
    One(Start),
}

/// What is asked for, and what is left open.
struct Asked<'a> {
    request: &'a FitRequest,
    data: &'a DataUnits,
    starts: Starts,
    /// Whether the model is open.
    open: bool,
}

impl<'a> Asked<'a> {
    fn new(request: &'a FitRequest, data: &'a DataUnits) -> Self {
        let set = |field: &str| request.set.iter().any(|setting| setting.is_under(field));
        // A config, a chart or a schedule says how it is to be done.
        let says_more = request.config.is_some()
            || request.chart.value().is_some()
            || request.schedule.is_some_and(|schedule| schedule != Schedule::Sequential)
            || set("model.chart")
            || set("train.phases");
        let starts = match request.start {
            Ask::For(start) => Starts::One(start),
            Ask::Auto => Starts::Open,
            Ask::Nothing if says_more => Starts::AsItIs,
            Ask::Nothing => Starts::Open,
        };
        let is_size = |s: &Setting| SIZES.iter().any(|size| s.is_under(&format!("model.{size}")));
        let sets_parts = request.set.iter().any(|s| s.is_under("model") && !is_size(s));
        let open = request.model.is_none() && !says_more && !sets_parts;
        Self { request, data, starts, open }
    }

    /// Whether closed charts are to be tried, whatever else is said.
    fn tries_charts(&self) -> bool {
        self.request.chart == Ask::Auto
    }

    fn way(
        &self,
        name: Option<&str>,
        request: &FitRequest,
        start: Option<Start>,
        of_many: bool,
    ) -> Result<Way> {
        let config = request.resolve(self.data)?;
        let model = config.model.name();
        let name = match (name, start) {
            (Some(name), _) => format!("{model}{name}"),
            (None, Some(start)) => format!("{model}, {start} start"),
            (None, None) => model.to_owned(),
        };
        Ok(Way { name, config, start, of_many })
    }

    /// The model and the chart that the request names.
    fn as_given(&self, start: Option<Start>) -> Result<Way> {
        self.way(None, self.request, start, false)
    }

    /// A model of one chart without a form of its own.
    fn of_one(&self, kind: Kind, start: Start) -> Result<Way> {
        self.way(None, &self.request.with(Some(kind), Ask::Nothing), Some(start), false)
    }

    /// M-flows of the closed forms that have this dimension and fit into the space.
    fn closed(&self, n: usize) -> Result<Vec<Way>> {
        let d = self.data.data_dim();
        let named = |name: &'static str| Some((name, ChartConfig::named(name)?));
        let fits = |chart: &ChartConfig| chart.dims().1 == n && chart.dims().0 <= d && n < d;
        let on = |(name, chart): (&str, ChartConfig)| {
            let kind = self.request.model.unwrap_or(Kind::MFlow);
            let request = self.request.with(Some(kind), Ask::For(chart));
            self.way(Some(&format!(" on a {name}")), &request, None, true)
        };
        let names = ChartConfig::NAMES.into_iter().filter_map(named);
        names.filter(|(_, chart)| fits(chart)).map(on).collect()
    }

    /// Several charts.
    fn atlas(&self) -> Result<Way> {
        let request = self.request.with(Some(Kind::FreeFormAtlas), Ask::Nothing);
        self.way(Some(""), &request, None, true)
    }

    fn ways(&self) -> Result<Vec<Way>> {
        let mut ways = vec![];
        let ModelConfig { sizes, parts, .. } = self.as_given(None)?.config.model;
        let n = sizes.manifold_dim;
        let takes_chart = matches!(parts, ModelParts::MFlow { .. } | ModelParts::Fom { .. });
        if self.tries_charts() && !self.open && !takes_chart {
            return Err(no_chart());
        }
        if self.open {
            let one = match self.starts {
                Starts::One(start) => Some(start),
                Starts::Open | Starts::AsItIs => None,
            };
            // A manifold that depends on its context has neither closed charts nor several.
            if (one.is_none() || self.tries_charts()) && !self.request.conditional_manifold {
                if self.data.context_dim() == 0 {
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
            if self.tries_charts() {
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

impl FitRequest {
    /// The ways that the request leaves open, at least one. First come those for manifolds that no one chart covers, of
    /// which the most general is the first: of ways whose trials end alike the first is taken.
    ///
    /// `earlier` is the resolved config of the run that is continued, if one is: it says what was chosen.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); if no model can have the start that is asked for.
    pub fn ways(&self, data: &DataUnits, earlier: Option<Vec<Setting>>) -> Result<Vec<Way>> {
        let of = |request: &Self| Asked::new(request, data).ways();
        match earlier {
            Some(config) if self.says_no_dimension() || of(self)?.len() > 1 => {
                of(&self.continuing(config))
            }
            _ => of(self),
        }
    }
}
