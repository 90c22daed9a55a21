//! What is asked of a fit, and the config that it makes for data: the one place that decides this.
use super::units::DataUnits;
use super::{DTypeName, FitConfig, Kind, Normalize};
use crate::settings::{self, Setting, with_settings};
use crate::{Error, Result};
use mflow_core::{ChartConfig, DeviceName};
use mflow_train::{Schedule, Stage, Start};
use toml::Table;

/// What is said of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Ask<T> {
    /// Nothing: the default, which may depend on what else is said.
    #[default]
    Nothing,
    /// That the data are to say it, whatever else is said.
    Auto,
    /// That it is this.
    For(T),
}

impl<T> Ask<T> {
    /// What it is to be, if that is said.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::For(value) => Some(value),
            Self::Nothing | Self::Auto => None,
        }
    }
}

/// What is asked of a fit. All that it leaves open has a default.
///
/// [`resolve`](Self::resolve) makes the config of one model; [`ways`](Self::ways) makes all candidates that the
/// request leaves open, for [`Candidates`](super::Candidates) to try.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FitRequest {
    /// The kind of model; none leaves it to trials where no other field shapes model or schedule.
    pub model: Option<Kind>,
    /// The shape that an M-flow deforms onto the data, or the known manifold of [`Kind::Fom`]. [`Ask::Auto`] tries closed
    /// charts.
    pub chart: Ask<ChartConfig>,
    /// Where the manifold starts.
    pub start: Ask<Start>,
    /// Dimension of the manifold. [`Ask::Auto`] is to be settled first, by
    /// [`with_dimension_of`](Self::with_dimension_of).
    pub manifold_dim: Ask<usize>,
    /// Whether the manifold depends on the context.
    pub conditional_manifold: bool,
    /// Normalisation of the data.
    pub normalize: Option<Normalize>,
    /// Normalisation of the context.
    pub normalize_context: Option<Normalize>,
    /// The schedule of training.
    pub schedule: Option<Schedule>,
    /// Epochs of all phases together.
    pub epochs: Option<usize>,
    /// Restarts where a manifold was not found.
    pub restarts: Option<usize>,
    /// Rows per update.
    pub batch_size: Option<usize>,
    /// Learning rate at the start of each phase.
    pub learning_rate: Option<f64>,
    /// Scores are fitted beside each likelihood, with this times its weight.
    pub scandal: Option<f64>,
    /// Seed of all random numbers.
    pub seed: Option<u64>,
    /// Precision.
    pub dtype: Option<DTypeName>,
    /// Where it is computed.
    pub device: Option<DeviceName>,
    /// The settings of a config file, if there is one: over the defaults, under the fields above.
    pub config: Option<Vec<Setting>>,
    /// Settings over all else.
    pub set: Vec<Setting>,
}

/// Where a chart is in a config.
const CHART: &str = "model.chart";

impl FitRequest {
    /// The config of the model that is asked for, an M-flow if none is, for data with these units.
    ///
    /// In the order of precedence, the last one counts: the defaults for these data; the config file; the fields of this
    /// request; its settings. Only a chart comes before all else, since the dimension depends on it.
    ///
    /// # Errors
    /// If the fields do not fit together, or a setting has no place.
    pub fn resolve(&self, data: &DataUnits) -> Result<FitConfig> {
        let kind = self.kind()?;
        self.check(kind, data)?;
        let file = self.file();
        let defaults = self.defaults(kind, data, &file)?;
        let mut config: FitConfig = with_settings(&defaults, &file)?;
        let of_file = units(&config);
        // Scores go beside the likelihoods of the schedule that a field may put in the place of the file's.
        let scandal = config.train.scandal.take();
        config.train.resolve(&config.model)?;
        self.lay_fields_over(&mut config, data)?;
        config.train.scandal = self.scandal.or(scandal);
        config.train.resolve(&config.model)?;
        if !self.set.is_empty() {
            config = with_settings(&settings::table(&config)?, &self.set)?;
            config.train.resolve(&config.model)?;
        }
        if units(&config) != of_file {
            self.leave_places(&mut config)?;
        }
        Ok(config)
    }

    /// The settings of the config file. A chart that a field or a setting says takes the place of the file's.
    fn file(&self) -> Vec<Setting> {
        let of_chart = |setting: &&Setting| setting.is_under(CHART);
        let named = self.chart.value().is_some();
        let all = self.config.iter().flatten().filter(|s| !(named && of_chart(s)));
        all.chain(self.set.iter().filter(of_chart)).cloned().collect()
    }

    /// All settings, those of the file first.
    fn settings(&self) -> impl Iterator<Item = &Setting> {
        self.config.iter().flatten().chain(&self.set)
    }

    /// The kind of model: that of the field, else that of the settings, else an M-flow.
    fn kind(&self) -> Result<Kind> {
        let named = self.settings().filter_map(|s| Some((s, s.text_at("model.kind")?))).last();
        match (self.model, named) {
            (Some(kind), _) => Ok(kind),
            (None, None) => Ok(Kind::MFlow),
            (None, Some((setting, name))) => Kind::named(name).ok_or_else(|| {
                let known = Kind::ALL.map(Kind::name).join("`, `");
                setting.error(&format!("expected one of `{known}`, found `{name}`"))
            }),
        }
    }

    /// Whether a chart is said, somewhere.
    fn has_chart(&self) -> bool {
        self.chart.value().is_some() || self.file().iter().any(|s| s.is_under(CHART))
    }

    /// Whether the dimension is left to the data, or neither a field nor a config says it.
    pub(super) fn says_no_dimension(&self) -> bool {
        match self.manifold_dim {
            Ask::Auto => true,
            Ask::Nothing => self.config.is_none(),
            Ask::For(_) => false,
        }
    }

    /// Refuse what does not fit together.
    fn check(&self, kind: Kind, data: &DataUnits) -> Result<()> {
        let refuse = |field, reason: &str| Err(Error::Request { field, reason: reason.to_owned() });
        let d = data.data_dim();
        if d < 2 && kind != Kind::Ratio {
            return refuse(
                "data",
                "expected at least 2 columns, as a manifold has fewer dimensions; found 1",
            );
        }
        if self.chart.value().is_some() && !kind.takes_chart() {
            return Err(no_chart());
        }
        if kind == Kind::Fom && !self.has_chart() {
            let what = "expected a chart, or a config with the table [model.chart], the manifold of `fom`; found none";
            return refuse("chart", what);
        }
        let set_elsewhere = || self.settings().any(|s| s.is_at("model.manifold_dim"));
        match self.manifold_dim {
            Ask::Auto => {
                let what = "expected a number, or `auto` where the data have been asked for it; found `auto`";
                refuse("manifold_dim", what)
            }
            Ask::Nothing if kind.has_choice() && !self.has_chart() && !set_elsewhere() => {
                let reason = format!(
                    "expected the dimension of the manifold on which the data lie, from 1 to {}, or `auto`; found \
                     none, and none in a config",
                    d - 1
                );
                Err(Error::Request { field: "manifold_dim", reason })
            }
            _ => Ok(()),
        }
    }

    /// Defaults for these data. A chart and a schedule that the request names stand in the place of the default ones.
    fn defaults(&self, kind: Kind, data: &DataUnits, file: &[Setting]) -> Result<Table> {
        let mut model = kind.defaults(data.data_dim()).with_context(data.context_dim());
        // A known manifold is given in data units.
        if kind != Kind::Fom {
            model = model.with_normalization(data.data.clone());
        }
        if let Some(context) = &data.context {
            model = model.with_context_normalization(context.clone());
        }
        let schedule = Schedule::of(&model);
        let mut base = settings::table(&FitConfig {
            seed: 0,
            dtype: DTypeName::of(&model),
            device: DeviceName::Cpu,
            train: schedule.config(&model, Schedule::default_epochs(&model))?,
            model,
        })?;
        if self.has_chart()
            && let Some(model) = base.get_mut("model").and_then(toml::Value::as_table_mut)
        {
            // The chart says all of it.
            for field in ["chart", "manifold_dim", "inner"] {
                model.remove(field);
            }
            if let Some(chart) = self.chart.value() {
                model.insert("chart".to_owned(), settings::table(chart)?.into());
            }
        }
        if file.iter().any(|setting| setting.is_at("train.schedule"))
            && let Some(train) = base.get_mut("train").and_then(toml::Value::as_table_mut)
        {
            train.remove("phases");
        }
        Ok(base)
    }

    /// The fields of this request, over what defaults and file say.
    fn lay_fields_over(&self, config: &mut FitConfig, data: &DataUnits) -> Result<()> {
        config.seed = self.seed.unwrap_or(config.seed);
        config.dtype = self.dtype.unwrap_or(config.dtype);
        config.device = self.device.unwrap_or(config.device);
        let image = config.model.image().is_some();
        let sizes = &mut config.model.sizes;
        sizes.manifold_dim = *self.manifold_dim.value().unwrap_or(&sizes.manifold_dim);
        sizes.conditional_manifold |= self.conditional_manifold;
        let said =
            |s: &Setting| s.is_under("model.normalization") || s.is_at("model.normalization");
        let of_image = image && !self.settings().any(said);
        let normalize = self.normalize.or(of_image.then_some(Normalize::Together));
        if let Some(normalize) = normalize {
            sizes.normalization = Some(normalize.units(&data.data));
        }
        if let Some(normalize) = self.normalize_context {
            let Some(context) = &data.context else {
                let reason = "expected it beside a context, found no context".to_owned();
                return Err(Error::Request { field: "normalize_context", reason });
            };
            sizes.context_normalization = Some(normalize.units(context));
        }
        if let Some(schedule) = self.schedule {
            let epochs = Schedule::default_epochs(&config.model);
            config.train.phases = schedule.config(&config.model, epochs)?.phases;
        }
        let train = &mut config.train;
        if let Some(epochs) = self.epochs {
            train.set_epochs(epochs);
        }
        if let Some(restarts) = self.restarts {
            train.set_restarts(restarts)?;
        }
        for phase in train.phases.iter_mut().flat_map(Stage::phases_mut) {
            phase.batch_size = self.batch_size.unwrap_or(phase.batch_size);
            if let Some(rate) = self.learning_rate {
                phase.optimizer.set_learning_rate(rate);
            }
        }
        Ok(())
    }

    /// The charts of a run's config, and its frame, lie near its data, in units of its normalisation: other ones are
    /// placed anew.
    fn leave_places(&self, config: &mut FitConfig) -> Result<()> {
        if !self.set.iter().any(|s| s.is_under("model.charts")) {
            config.model = config.model.clone().without_places();
        }
        if config.model.sizes.frame.is_some() && self.start != Ask::For(Start::Flat) {
            let reason = "expected `flat` beside another dimension or normalisation, as the frame of the config is for \
                          those that it had; found none"
                .to_owned();
            return Err(Error::Request { field: "start", reason });
        }
        Ok(())
    }

    /// This request on the resolved config of a run, which says all that it leaves open. What shapes the phases is not read
    /// again: those of the config have that shape, and what was chosen besides.
    pub(super) fn continuing(&self, config: Vec<Setting>) -> Self {
        let of_phases = |setting: &&Setting| !setting.is_under("train.phases");
        Self {
            config: Some(config),
            start: Ask::Nothing,
            schedule: None,
            epochs: None,
            restarts: None,
            manifold_dim: match self.manifold_dim {
                Ask::Auto => Ask::Nothing,
                said => said,
            },
            chart: match &self.chart {
                Ask::Auto => Ask::Nothing,
                said => said.clone(),
            },
            set: self.set.iter().filter(of_phases).cloned().collect(),
            ..self.clone()
        }
    }

    /// This request for another model on another chart.
    pub(super) fn with(&self, model: Option<Kind>, chart: Ask<ChartConfig>) -> Self {
        Self { model, chart, ..self.clone() }
    }
}

/// What the places of charts and frame depend on.
fn units(config: &FitConfig) -> (usize, Option<mflow_bijectors::FeatureAffineConfig>) {
    let sizes = &config.model.sizes;
    (sizes.manifold_dim, sizes.normalization.clone())
}

/// That a chart was given to a model which takes none.
pub(super) fn no_chart() -> Error {
    let reason = "expected for the models m-flow and fom only, found another".to_owned();
    Error::Request { field: "chart", reason }
}
