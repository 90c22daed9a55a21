//! One phase at work: its view of the model, its rows, its optimizer, and the update of a batch.
use crate::checkpoint::{EpochSums, PhaseState};
use crate::ema::Ema;
use crate::guide::guided;
use crate::loss::{RowKind, Scale, Shard, divergence};
use crate::optim::{Optimizer, optimizer};
use crate::schedule::Phase;
use crate::shards::{Pool, block_rows, cut, shards};
use crate::source::{Batch, RowSource, Rows};
use crate::team;
use crate::weights::{Mass, systematic};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use mflow_bijectors::{Noise, ParamStore, Parameter, Stream, gradients, host};
use mflow_core::{Model, ModelConfig};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What all phases of a stage share.
#[derive(Clone)]
pub(crate) struct Setting<'a> {
    pub(crate) model: &'a ModelConfig,
    pub(crate) pool: &'a Pool,
    pub(crate) seed: u64,
    pub(crate) shards: usize,
    pub(crate) train: View<'a>,
    pub(crate) validation: View<'a>,
    /// Whether no phase of the stage moves the manifold.
    pub(crate) manifold_rests: bool,
    /// Raised to end all work.
    pub(crate) stop: &'a AtomicBool,
}

/// Some rows of a source.
#[derive(Clone, Debug)]
pub(crate) struct View<'a> {
    pub(crate) source: &'a dyn RowSource,
    pub(crate) index: Arc<[usize]>,
}

impl View<'_> {
    /// At most `most` of the rows, evenly spread.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    pub(crate) fn spread(&self, most: usize) -> Result<Batch> {
        let (rows, kept) = (self.index.len(), self.index.len().min(most));
        let index: Vec<usize> = (0..kept).map(|i| self.index[i * rows / kept]).collect();
        self.source.gather(&index)
    }

    /// At most `most` rows for statistics: each as often as its weight's size says, or evenly spread where all count the
    /// same.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    pub(crate) fn in_proportion(&self, most: usize) -> Result<Batch> {
        let sizes = self
            .source
            .weights()
            .map(|weights| self.index.iter().map(|&row| weights[row].abs()).collect::<Vec<_>>());
        match sizes.and_then(|sizes| systematic(&sizes, most)) {
            Some(drawn) => {
                let index: Vec<usize> = drawn.into_iter().map(|i| self.index[i]).collect();
                self.source.gather(&index)
            }
            None => self.spread(most),
        }
    }

    /// The weight of all rows.
    pub(crate) fn mass(&self) -> Mass {
        self.mass_of(0..self.index.len())
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    fn mass_of(&self, rows: Range<usize>) -> Mass {
        Mass::of(self.source.weights(), self.index[rows].iter().copied())
    }
}

/// The step whose noise validation has: no training comes so far.
const VALIDATION: u64 = u64::MAX;

/// What the weights of the rows are called that a phase trains on, and validates on.
pub(crate) const TRAINING_WEIGHTS: &str = "weights of the training rows";
/// See [`TRAINING_WEIGHTS`].
pub(crate) const VALIDATION_WEIGHTS: &str = "weights of the validation rows";

/// What a phase trains on: rows of the data, or rows that it holds in memory. Those are the coordinates of all rows, or
/// some rows with the coordinates that guide them.
enum Feed<'a> {
    Rows(View<'a>),
    Held(Rows),
}

impl Feed<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Rows(view) => view.index.len(),
            Self::Held(rows) => rows.rows(),
        }
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    fn gather(&self, rows: &[usize]) -> Result<Batch> {
        match self {
            Self::Rows(view) => {
                let index: Vec<usize> = rows.iter().map(|&i| view.index[i]).collect();
                view.source.gather(&index)
            }
            Self::Held(all) => all.gather(rows),
        }
    }
    /// The weight of rows.
    fn mass_of(&self, rows: Range<usize>) -> Mass {
        match self {
            Self::Rows(view) => view.mass_of(rows),
            Self::Held(all) => Mass::of(all.weights(), rows),
        }
    }
    /// The weight of all rows, over which the losses of a phase are means.
    fn mass(&self, what: &'static str, phase: &Phase) -> Result<Mass> {
        let mass = self.mass_of(0..self.len());
        let each = phase.losses.iter().map(|w| mass.check(what, w.loss.weighing()));
        each.collect::<Result<()>>()?;
        Ok(mass)
    }
}

/// A phase at work.
pub(crate) struct Member<'a> {
    pub(crate) phase: &'a Phase,
    pub(crate) state: PhaseState,
    setting: Setting<'a>,
    /// What tells its random streams from those of other phases and attempts.
    tag: String,
    model: Box<dyn Model>,
    /// Whether the model differs while it trains.
    noisy: bool,
    kind: RowKind,
    train: Feed<'a>,
    validation: Feed<'a>,
    /// The mean weight of the rows that train.
    mass_of_row: Mass,
    /// The weight of all rows that validate.
    mass_of_validation: Mass,
    scale: Scale,
    vars: Vec<Var>,
    optimizer: Box<dyn Optimizer>,
    ema: Option<Ema>,
    /// The order of the rows in a pass, with the number of the pass.
    order: Option<(usize, Vec<usize>)>,
    /// Updates that the phase makes in its stage.
    updates: u64,
}

impl<'a> Member<'a> {
    /// Set a phase up that makes `passes` over the rows in its stage.
    pub(crate) fn new(
        phase: &'a Phase,
        tag: String,
        passes: usize,
        setting: Setting<'a>,
        store: &mut ParamStore,
    ) -> Result<Self> {
        let model = setting.model.build(store, |name| phase.trains_parameter(name))?;
        let conditional = setting.model.sizes.conditional_manifold;
        let only_coordinates =
            phase.losses.iter().all(|w| w.loss.needs_only_coordinates(conditional));
        // With the manifold at rest a point is no more than its coordinates: find them once.
        // Those of an atlas are drawn anew in each epoch, with their charts; a ratio estimator has none.
        let has_coordinates = model.embedding().is_some();
        let kind = match setting.manifold_rests && only_coordinates && has_coordinates {
            true => RowKind::Coordinates,
            false => RowKind::Data,
        };
        let scale = Scale::new(setting.model, model.as_ref())?;
        let feed = |view: &View<'a>| match kind {
            RowKind::Data => Ok(Feed::Rows(view.clone())),
            RowKind::Coordinates => {
                Ok::<_, Error>(Feed::Held(coordinates(setting.pool, model.as_ref(), view)?))
            }
        };
        let (train, validation) = match phase.losses.iter().find_map(|w| w.loss.guide()) {
            Some(guide) => {
                let updates = passes * setting.train.index.len().div_ceil(phase.batch_size);
                let (train, validation) = guided(guide, &setting, &scale, updates)?;
                (Feed::Held(train), Feed::Held(validation))
            }
            None => (feed(&setting.train)?, feed(&setting.validation)?),
        };
        let trained = |p: &&Parameter| phase.trains_parameter(&p.name);
        let parameters: Vec<Parameter> = store.parameters().filter(trained).cloned().collect();
        let batches = train.len().div_ceil(phase.batch_size);
        let of_train = train.mass(TRAINING_WEIGHTS, phase)?;
        Ok(Self {
            mass_of_row: of_train.divided_by(train.len()),
            mass_of_validation: validation.mass(VALIDATION_WEIGHTS, phase)?,
            phase,
            state: PhaseState::default(),
            scale,
            setting,
            tag,
            noisy: model.training(&Noise::new(0, 0, 0))?.is_some(),
            model,
            kind,
            train,
            validation,
            vars: parameters.iter().map(|p| p.var.clone()).collect(),
            ema: (phase.ema > 0.).then(|| Ema::new(phase.ema, parameters.clone())).transpose()?,
            optimizer: optimizer(&phase.optimizer, parameters),
            order: None,
            updates: (passes * batches) as u64,
        })
    }

    /// Updates in one pass over the rows.
    pub(crate) fn batches(&self) -> usize {
        self.train.len().div_ceil(self.phase.batch_size)
    }
    /// Updates that the phase makes in its stage.
    pub(crate) fn updates(&self) -> u64 {
        self.updates
    }

    /// The learning rate of update `step`: a function of it and of the validation losses alone, so that a
    /// resumed run has the same.
    pub(crate) fn rate(&self, step: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "2^52 steps are never reached")]
        let progress = step as f64 / self.updates as f64;
        let factor = self.phase.lr_schedule.factor(progress, &self.state.validation);
        self.phase.optimizer.learning_rate() * factor
    }

    /// The rows of a batch of a pass, shuffled.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    pub(crate) fn batch(&mut self, pass: usize, batch: usize) -> Result<Batch> {
        let rows = self.train.len();
        if self.order.as_ref().is_none_or(|(of, _)| *of != pass) {
            let name = format!("shuffle phase {} epoch {pass}", self.tag);
            self.order = Some((pass, Stream::new(self.setting.seed, &name).permutation(rows)));
        }
        let (start, end) =
            (batch * self.phase.batch_size, rows.min((batch + 1) * self.phase.batch_size));
        match &self.order {
            Some((_, order)) => self.train.gather(&order[start..end]),
            None => self.train.gather(&[]),
        }
    }

    /// One update; returns the mean loss of the batch.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are drawn, cut or spread below the number of rows"
    )]
    pub(crate) fn update(&mut self, batch: &Batch, diverged: Place) -> Result<f64> {
        let (pool, rows, step) = (self.setting.pool, batch.rows(), self.state.updates);
        let mass = self.mass_of_row.times(rows);
        let n = shards(rows, self.setting.shards);
        // Of the shards this process has some, its team all.
        let own = team::own(pool.team(), n);
        let noise = self.noise(rows, &format!("step {step}"))?;
        let latent = self.latent(rows, &format!("step {step}"))?;
        // First what is a sum over rows, and the samples for what is not; then, through both, backward.
        let forward = |i: usize| -> Result<Forward> {
            let range = cut(rows, n, i);
            let part = batch.narrow(range.start, range.len())?;
            let narrow = |t: &Option<Tensor>| -> Result<Option<Tensor>> {
                Ok(t.as_ref().map(|t| t.narrow(0, range.start, range.len())).transpose()?)
            };
            let training = match self.noisy {
                true => self.model.training(&Noise::new(self.setting.seed, step, range.start))?,
                false => None,
            };
            let model = training.as_deref().unwrap_or(self.model.as_ref());
            let noise = narrow(&noise)?;
            let (kind, scale) = (self.kind, &self.scale);
            let shard = Shard { model, kind, scale, batch: &part, noise: noise.as_ref() };
            let loss = shard.total(&self.phase.losses, mass)?;
            let sample = |u: &Tensor| model.decode(u, part.context.as_ref());
            Ok(Forward { loss, samples: narrow(&latent)?.as_ref().map(sample).transpose()? })
        };
        let backward = |part: &Forward, pull: Option<&Tensor>| -> Result<(f64, Gradients)> {
            let value = part.loss.as_ref().map(scalar).transpose()?.unwrap_or(0.);
            let pulled = match (&part.samples, pull) {
                (Some(samples), Some(pull)) => Some((samples * pull)?.sum_all()?),
                _ => None,
            };
            let loss = match (&part.loss, pulled) {
                (Some(loss), Some(pulled)) => (loss + pulled)?,
                (Some(loss), None) => loss.clone(),
                (None, Some(pulled)) => pulled,
                (None, None) => return Err(Error::config("losses", "must not be empty")),
            };
            Ok((value, gradients(&loss, &self.vars)?))
        };
        let (coupled, parts) = if latent.is_none() {
            let parts = pool.map(own.len(), |i| backward(&forward(own.start + i)?, None));
            (0., parts.into_iter().collect::<Result<Vec<_>>>()?)
        } else {
            let parts = pool.map(own.len(), |i| forward(own.start + i));
            let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
            let (value, pull) = self.couple(&self.samples(&parts, rows, n)?, batch)?;
            let gradients = pool.map(own.len(), |i| {
                let range = cut(rows, n, own.start + i);
                backward(&parts[i], Some(&pull.narrow(0, range.start, range.len())?))
            });
            (value, gradients.into_iter().collect::<Result<Vec<_>>>()?)
        };
        let (losses, gradients) = parts.into_iter().unzip();
        let loss = coupled + team::numbers(pool.team(), losses, n)?.iter().sum::<f64>();
        if !loss.is_finite() {
            return Err(diverged.error(self.phase, "the training loss", loss));
        }
        let gradients = team::summed(pool.team(), gradients, n, &self.vars)?;
        let norm = self.optimizer.accumulate(pool, &gradients)?;
        if !norm.is_finite() {
            return Err(diverged.error(self.phase, "the gradient norm", norm));
        }
        let clip = self.phase.clip_norm;
        let factor = if clip > 0. && norm > clip { clip / norm } else { 1. };
        self.optimizer.step(pool, self.rate(step), factor)?;
        if let Some(ema) = &mut self.ema {
            ema.update(pool)?;
        }
        let PhaseState { updates, sums, .. } = &mut self.state;
        *updates += 1;
        sums.loss += loss * rows as f64;
        sums.rows += rows;
        sums.norm += norm;
        sums.batches += 1;
        Ok(loss)
    }

    /// The samples of all `n` shards of `rows` rows, of which `parts` are those of this process.
    fn samples(&self, parts: &[Forward], rows: usize, n: usize) -> Result<Tensor> {
        let own: Vec<Tensor> =
            parts.iter().filter_map(|p| p.samples.as_ref().map(Tensor::detach)).collect();
        let own = match own.is_empty() {
            true => {
                let signature = self.model.signature();
                host::zeros((0, signature.data_dim), signature.dtype, &signature.device)?
            }
            false => Tensor::cat(&own, 0)?,
        };
        team::rows(self.setting.pool.team(), &own, n, |i| cut(rows, n, i).len())
    }

    /// Weighted value of the divergence of all samples from the batch, and what to pull back through
    /// each sample.
    fn couple(&self, samples: &Tensor, batch: &Batch) -> Result<(f64, Tensor)> {
        let mut total = (0., samples.zeros_like()?);
        for weighted in &self.phase.losses {
            let Some((config, compare)) = weighted.loss.divergence() else { continue };
            let (value, gradient) =
                divergence(&config, compare, &self.scale, samples, batch, self.setting.pool)?;
            total = (total.0 + weighted.weight * value, (total.1 + (gradient * weighted.weight)?)?);
        }
        Ok(total)
    }

    /// The noise that the model's surrogate asks for, if any.
    fn noise(&self, rows: usize, when: &str) -> Result<Option<Tensor>> {
        let signature = self.model.signature();
        if signature.noise_dim == 0 {
            return Ok(None);
        }
        let name = format!("noise phase {} {when}", self.tag);
        let shape = [rows, signature.noise_dim];
        let mut stream = Stream::new(self.setting.seed, &name);
        Ok(Some(stream.normal_tensor(&shape, signature.dtype, &signature.device)?))
    }

    /// Latents of the samples that a divergence compares with the batch, if there is one.
    fn latent(&self, rows: usize, when: &str) -> Result<Option<Tensor>> {
        if !self.phase.losses.iter().any(|w| w.loss.divergence().is_some()) {
            return Ok(None);
        }
        let name = format!("samples phase {} {when}", self.tag);
        let mut stream = Stream::new(self.setting.seed, &name);
        Ok(Some(self.model.sample_latent(rows, &mut stream)?))
    }

    /// Mean loss over the validation rows, with random numbers that are the same every time. A divergence
    /// is taken batch by batch, each of which counts by its weight.
    pub(crate) fn validate(&self) -> Result<f64> {
        let (rows, mass) = (self.validation.len(), self.mass_of_validation);
        let whole = self.phase.losses.iter().any(|w| w.loss.divergence().is_some());
        let device = &self.model.signature().device;
        let size = if whole { self.phase.batch_size } else { block_rows(device) };
        let blocks = rows.div_ceil(size);
        let team = self.setting.pool.team();
        let own = team::own(team, blocks);
        let parts = self.setting.pool.map_on(device, own.len(), |i| -> Result<f64> {
            let i = own.start + i;
            let block: Vec<usize> = cut(rows, blocks, i).collect();
            let batch = self.validation.gather(&block)?;
            let when = format!("validation {i}");
            let noise = self.noise(block.len(), &when)?;
            // By the nearest charts alone a good density looks bad where charts overlap.
            let first = cut(rows, blocks, i).start;
            let drawn = self.model.drawing(&Noise::new(self.setting.seed, VALIDATION, first))?;
            let model = drawn.as_deref().unwrap_or(self.model.as_ref());
            let (kind, scale) = (self.kind, &self.scale);
            let shard = Shard { model, kind, scale, batch: &batch, noise: noise.as_ref() };
            let of_rows = shard.total(&self.phase.losses, mass)?;
            let of_rows = of_rows.as_ref().map(scalar).transpose()?.unwrap_or(0.);
            let Some(latent) = self.latent(block.len(), &when)? else { return Ok(of_rows) };
            let samples = model.decode(&latent, batch.context.as_ref())?;
            let (value, _) = self.couple(&samples.detach(), &batch)?;
            let of_block = self.validation.mass_of(cut(rows, blocks, i));
            Ok(of_rows + value * of_block.size() / mass.size())
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(team::numbers(team, parts, blocks)?.iter().sum())
    }

    /// Exchange the weights with their moving averages, if there are any; twice is not at all.
    pub(crate) fn swap_averages(&mut self) -> Result<()> {
        self.ema.as_mut().map_or(Ok(()), Ema::swap)
    }

    /// Start the sums of a new round.
    pub(crate) fn end_round(&mut self, validation: f64) -> EpochSums {
        self.state.validation.push(validation);
        std::mem::take(&mut self.state.sums)
    }

    /// What optimizer and averages keep, as named tensors.
    pub(crate) fn moments(&self, member: usize) -> Result<BTreeMap<String, Tensor>> {
        let mut named = self.optimizer.to_named()?;
        if let Some(ema) = &self.ema {
            named.extend(ema.to_named()?);
        }
        Ok(named.into_iter().map(|(n, t)| (format!("{member}/{n}"), t)).collect())
    }

    /// The inverse of [`Member::moments`].
    pub(crate) fn restore(
        &mut self,
        member: usize,
        state: PhaseState,
        moments: &BTreeMap<String, Tensor>,
    ) -> Result<()> {
        let prefix = format!("{member}/");
        let own = moments.iter().filter_map(|(n, t)| Some((n.strip_prefix(&prefix)?, t)));
        let own: BTreeMap<String, Tensor> = own.map(|(n, t)| (n.to_owned(), t.clone())).collect();
        self.optimizer.restore(&own, state.updates)?;
        if let Some(ema) = &mut self.ema {
            ema.restore(&own, state.updates)?;
        }
        self.state = state;
        Ok(())
    }
}

type Gradients = Vec<Option<Tensor>>;

/// A shard on its way through the model.
struct Forward {
    loss: Option<Tensor>,
    /// For the divergence of the whole batch, if there is one.
    samples: Option<Tensor>,
}

/// Where something happened, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Epoch or cycle, counted from 1.
    pub(crate) round: usize,
    /// Update in the round, counted from 1; 0 is the validation.
    pub(crate) batch: usize,
}

impl Place {
    pub(crate) fn error(self, phase: &Phase, quantity: &'static str, value: f64) -> Error {
        let (phase, epoch, batch) = (phase.name.clone(), self.round, self.batch);
        Error::Diverged { phase, epoch, batch, quantity, value }
    }
}

/// The coordinates of all rows of a view, with their contexts, scores and weights.
#[expect(
    clippy::indexing_slicing,
    reason = "positions are drawn, cut or spread below the number of rows"
)]
fn coordinates(pool: &Pool, model: &dyn Model, view: &View<'_>) -> Result<Rows> {
    let rows = view.index.len();
    let device = view.source.device();
    let blocks = rows.div_ceil(block_rows(device)).max(1);
    let parts = pool.map_on(device, blocks, |i| -> Result<Batch> {
        let batch = view.source.gather(&view.index[cut(rows, blocks, i)])?;
        let u = model.coordinates(&batch.x, batch.context.as_ref())?;
        Ok(Batch { x: u, ..batch })
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
    let all = |f: fn(&Batch) -> Option<&Tensor>| -> Result<Option<Tensor>> {
        let some: Option<Vec<&Tensor>> = parts.iter().map(f).collect();
        Ok(some.map(|some| Tensor::cat(&some, 0)).transpose()?)
    };
    let x = all(|b| Some(&b.x))?.ok_or_else(|| Error::config("data", "must not be empty"))?;
    let (context, score) = (all(|b| b.context.as_ref())?, all(|b| b.score.as_ref())?);
    let weights = all(|b| b.weights.as_ref())?;
    Rows::with_data(Batch { score, weights, ..Batch::new(x, context) })
}

fn scalar(t: &Tensor) -> Result<f64> {
    Ok(host::scalar(t)?)
}
