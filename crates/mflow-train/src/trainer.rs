//! The trainer: one loop for every schedule.
use crate::checkpoint::{Best, Checkpoint, EpochSums, Position};
use crate::loss::{RowKind, Scale, total};
use crate::optim::{Optimizer, adamw};
use crate::progress::{EpochMetrics, Observer, Progress};
use crate::run_dir::{Identity, RunDir};
use crate::schedule::{Keep, Phase, TrainConfig};
use crate::shards::{EVALUATION_ROWS, Pool, cut, shards};
use crate::source::{Batch, RowSource, Rows};
use crate::{Error, Result};
use candle_core::{DType, Tensor, Var};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::{Model, ModelConfig};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a call of [`Trainer::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All phases are done.
    Finished,
    /// The stop flag was raised; a checkpoint was written if the run has a directory.
    Interrupted,
}

/// Trains one model on one data set.
#[derive(Debug)]
pub struct Trainer<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Its parameters, trained in place.
    pub store: &'a mut ParamStore,
    /// The training data; a part is held out for validation.
    pub data: &'a dyn RowSource,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Seed of the held-out part and of shuffling.
    pub seed: u64,
    /// Threads.
    pub pool: &'a Pool,
    /// Where checkpoints and metrics go; none keeps nothing.
    pub run: Option<&'a RunDir>,
}

const CHECKPOINT: &str = "checkpoint.safetensors";

/// What stays the same during a phase.
struct Stage<'a> {
    phase: &'a Phase,
    index: usize,
    model: Box<dyn Model>,
    kind: RowKind,
    train: Rows,
    validation: Rows,
    scale: Scale,
    vars: Vec<Var>,
    shards: usize,
}

/// What changes during a phase.
struct State {
    position: Position,
    sums: EpochSums,
    optimizer: Box<dyn Optimizer>,
    best: Option<Best>,
}

impl Trainer<'_> {
    /// Train until the schedule is done or `stop` is raised. With a run directory that holds a
    /// checkpoint, training goes on from there, to the same bits as without the interruption.
    ///
    /// # Errors
    /// If config, data and model do not fit, a loss is not finite, a checkpoint cannot be written, or
    /// a resumed run was started differently.
    pub fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome> {
        self.config.validate()?;
        let shards = match self.config.shards {
            0 => self.pool.threads(),
            n => n,
        };
        self.check_groups()?;
        let resumed = self.identify(shards)?;
        let mut start = resumed.as_ref().map_or(Position::default(), |c| c.position);
        let (mut sums, mut best) = (EpochSums::default(), None);
        let mut restore = None;
        if let Some(run) = self.run {
            // A run that died before its first checkpoint may have left metrics.
            run.truncate_metrics(resumed.as_ref().map_or(0, |c| c.metrics_len))?;
        }
        if let Some(checkpoint) = resumed {
            self.store.assign(&checkpoint.weights)?;
            (sums, best) = (checkpoint.sums, checkpoint.best);
            restore =
                (!checkpoint.moments.is_empty()).then_some((checkpoint.moments, checkpoint.steps));
        }
        while let Some(phase) = self.config.phases.get(start.phase) {
            let stage = self.stage(phase, start.phase, shards)?;
            let trained = |p: &&mflow_bijectors::Parameter| phase.trains_parameter(&p.name);
            let parameters = self.store.parameters().filter(trained).cloned().collect();
            let mut optimizer = adamw(&phase.optimizer, parameters);
            if let Some((moments, steps)) = restore.take() {
                optimizer.restore(&moments, steps)?;
            }
            let mut state = State { position: start, sums, optimizer, best: best.take() };
            if self.train_phase(&stage, &mut state, observer, stop)? == Outcome::Interrupted {
                self.checkpoint(&state, true)?;
                return Ok(Outcome::Interrupted);
            }
            if let (Keep::Best, Some(best)) = (phase.keep, &state.best) {
                self.store.assign(&best.weights)?;
            }
            start = Position { phase: start.phase + 1, ..Position::default() };
            sums = EpochSums::default();
            state = State { position: start, sums, best: None, ..state };
            self.checkpoint(&state, false)?;
        }
        Ok(Outcome::Finished)
    }

    /// Every group of a phase must exist: a misspelt one would train nothing.
    fn check_groups(&mut self) -> Result<()> {
        self.model.build(self.store, |_| false)?;
        for (i, phase) in self.config.phases.iter().enumerate() {
            for group in &phase.trains {
                let prefix = format!("{group}.");
                if !self.store.parameters().any(|p| p.name.starts_with(&prefix)) {
                    let reason = format!("names the group `{group}`, which the model lacks");
                    return Err(Error::config(format!("train.phases[{i}].trains"), reason));
                }
            }
        }
        Ok(())
    }

    /// Settle what a resumed run must share, and load its checkpoint if there is one.
    fn identify(&self, shards: usize) -> Result<Option<Checkpoint>> {
        let Some(run) = self.run else { return Ok(None) };
        let config = serde_json::json!({
            "model": self.model,
            "train": self.config,
            "seed": self.seed,
            "dtype": self.store.dtype().as_str(),
        });
        run.identify(&Identity {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            data: format!("{:016x}", self.data.fingerprint()),
            shards,
        })?;
        let path = run.file(CHECKPOINT);
        if path.exists() { Checkpoint::load(&path).map(Some) } else { Ok(None) }
    }

    fn stage<'b>(&mut self, phase: &'b Phase, index: usize, shards: usize) -> Result<Stage<'b>> {
        let model: Box<dyn Model> =
            Box::new(self.model.build(self.store, |name| phase.trains_parameter(name))?);
        let signature = model.signature();
        self.check_data(signature.data_dim, signature.context_dim.unwrap_or(0))?;
        let n = self.data.rows();
        let held_out = (n as f64 * self.config.validation_fraction).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=n")]
        let held_out = (held_out as usize).clamp(1, n - 1);
        let order = Stream::new(self.seed, "validation split").permutation(n);
        let (validation, train) = order.split_at(held_out);
        // With the manifold at rest a point is no more than its coordinates: find them once.
        let fixed = !phase.trains.iter().any(|g| g == "outer")
            && phase.losses.iter().all(|w| w.loss.needs_only_coordinates());
        let kind = if fixed { RowKind::Coordinates } else { RowKind::Data };
        let rows = |index: &[usize]| -> Result<Rows> {
            let batch = self.data.gather(index)?;
            if kind == RowKind::Data {
                return Ok(Rows::with_data(batch));
            }
            let u = self.pool.by_rows(batch.rows(), |r| {
                let part = batch.narrow(r.start, r.len())?;
                Ok::<_, Error>(model.coordinates(&part.x, part.context.as_ref())?)
            })?;
            Ok(Rows::with_data(Batch { x: u, ..batch }))
        };
        let (train, validation) = (rows(train)?, rows(validation)?);
        let scale = Scale::new(self.model, model.as_ref())?;
        let trained = self.store.parameters().filter(|p| phase.trains_parameter(&p.name));
        let vars = trained.map(|p| p.var.clone()).collect();
        let shards = if self.store.device().is_cpu() { shards } else { 1 };
        Ok(Stage { phase, index, model, kind, train, validation, scale, vars, shards })
    }

    fn check_data(&self, data_dim: usize, context_dim: usize) -> Result<()> {
        let check = |what, expected: usize, found: usize| {
            if expected == found {
                return Ok(());
            }
            let (expected, found) = (expected.to_string(), found.to_string());
            Err(Error::Data { what, expected, found })
        };
        check("number of features", data_dim, self.data.data_dim())?;
        check("number of context features", context_dim, self.data.context_dim())?;
        if self.data.rows() < 2 {
            let (expected, found) = ("at least 2".to_owned(), self.data.rows().to_string());
            return Err(Error::Data { what: "number of rows", expected, found });
        }
        Ok(())
    }

    fn train_phase(
        &mut self,
        stage: &Stage<'_>,
        state: &mut State,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let phase = stage.phase;
        let rows = stage.train.rows();
        let batches = rows.div_ceil(phase.batch_size);
        let total_steps = batches * phase.epochs;
        let interval = Duration::from_secs_f64(self.config.checkpoint_seconds.min(1e9));
        // A function of the step alone: a run may be resumed right before the end of an epoch.
        let rate = |step: usize| {
            let factor = phase.lr_schedule.factor(step as f64 / total_steps as f64);
            phase.optimizer.learning_rate * factor
        };
        let mut saved = Instant::now();
        while state.position.epoch < phase.epochs {
            let epoch = state.position.epoch;
            let name = format!("shuffle phase {} epoch {epoch}", stage.index);
            let order = Stream::new(self.seed, &name).permutation(rows);
            while state.position.batch < batches {
                if stop.load(Ordering::Relaxed) {
                    return Ok(Outcome::Interrupted);
                }
                let i = state.position.batch;
                let steps = epoch * batches + i;
                let end = rows.min((i + 1) * phase.batch_size);
                let batch = stage.train.gather(&order[i * phase.batch_size..end])?;
                let loss = self.update(stage, state, &batch, rate(steps))?;
                state.sums.loss += loss * batch.rows() as f64;
                state.sums.rows += batch.rows();
                state.sums.batches += 1;
                state.position.batch += 1;
                let (epochs, steps) = (phase.epochs, steps + 1);
                observer.batch(Progress {
                    phase: &phase.name,
                    epoch: epoch + 1,
                    epochs,
                    steps,
                    total_steps,
                    loss,
                });
                if saved.elapsed() >= interval {
                    self.checkpoint(state, true)?;
                    saved = Instant::now();
                }
            }
            let metrics = self.end_epoch(stage, state, rate((epoch + 1) * batches - 1))?;
            observer.epoch(&metrics);
            self.checkpoint(state, true)?;
            saved = Instant::now();
        }
        Ok(Outcome::Finished)
    }

    /// One update; returns the mean loss of the batch.
    fn update(
        &self,
        stage: &Stage<'_>,
        state: &mut State,
        batch: &Batch,
        rate: f64,
    ) -> Result<f64> {
        let diverged = |quantity, value| Error::Diverged {
            phase: stage.phase.name.clone(),
            epoch: state.position.epoch + 1,
            batch: state.position.batch + 1,
            quantity,
            value,
        };
        let rows = batch.rows();
        let n = shards(rows, stage.shards);
        let parts = self.pool.map(n, |i| -> Result<(f64, Vec<Option<Tensor>>)> {
            let range = cut(rows, n, i);
            let shard = batch.narrow(range.start, range.len())?;
            let loss = total(
                &stage.phase.losses,
                stage.model.as_ref(),
                stage.kind,
                &stage.scale,
                &shard,
                rows,
            )?;
            let mut gradients = loss.backward()?;
            let gradients = stage.vars.iter().map(|v| gradients.remove(v)).collect();
            Ok((scalar(&loss)?, gradients))
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        let loss: f64 = parts.iter().map(|(loss, _)| loss).sum();
        if !loss.is_finite() {
            return Err(diverged("the training loss", loss));
        }
        let gradients: Vec<_> = parts.into_iter().map(|(_, gradients)| gradients).collect();
        let norm = state.optimizer.accumulate(self.pool, &gradients)?;
        if !norm.is_finite() {
            return Err(diverged("the gradient norm", norm));
        }
        let clip = stage.phase.clip_norm;
        let factor = if clip > 0. && norm > clip { clip / norm } else { 1. };
        state.optimizer.step(self.pool, rate, factor)?;
        state.sums.norm += norm;
        Ok(loss)
    }

    /// Validate, record, and move to the next epoch.
    fn end_epoch(&self, stage: &Stage<'_>, state: &mut State, rate: f64) -> Result<EpochMetrics> {
        let epoch = state.position.epoch;
        let validation_loss = self.validation_loss(stage)?;
        if !validation_loss.is_finite() {
            return Err(Error::Diverged {
                phase: stage.phase.name.clone(),
                epoch: epoch + 1,
                batch: 0,
                quantity: "the validation loss",
                value: validation_loss,
            });
        }
        let metrics = EpochMetrics {
            phase: stage.phase.name.clone(),
            epoch: epoch + 1,
            train_loss: state.sums.loss / state.sums.rows as f64,
            validation_loss,
            learning_rate: rate,
            gradient_norm: state.sums.norm / state.sums.batches as f64,
        };
        if stage.phase.keep == Keep::Best
            && state.best.as_ref().is_none_or(|best| validation_loss < best.loss)
        {
            // Named tensors are copies or views; views must not follow the next update.
            let weights = self.store.to_named()?;
            let copies = weights.into_iter().map(|(name, t)| Ok((name, t.copy()?)));
            let weights = copies.collect::<Result<_>>()?;
            state.best = Some(Best { epoch, loss: validation_loss, weights });
        }
        if let Some(run) = self.run {
            run.append_metrics(&metrics)?;
        }
        state.position = Position { epoch: epoch + 1, batch: 0, ..state.position };
        state.sums = EpochSums::default();
        Ok(metrics)
    }

    fn validation_loss(&self, stage: &Stage<'_>) -> Result<f64> {
        let all = stage.validation.all();
        let rows = all.rows();
        let blocks = rows.div_ceil(EVALUATION_ROWS);
        let parts = self.pool.map(blocks, |i| {
            let range = cut(rows, blocks, i);
            let block = all.narrow(range.start, range.len())?;
            let (losses, model) = (&stage.phase.losses, stage.model.as_ref());
            scalar(&total(losses, model, stage.kind, &stage.scale, &block, rows)?)
        });
        parts.into_iter().sum()
    }

    fn checkpoint(&self, state: &State, within_phase: bool) -> Result<()> {
        let Some(run) = self.run else { return Ok(()) };
        let moments = if within_phase { state.optimizer.to_named()? } else { Default::default() };
        let checkpoint = Checkpoint {
            position: state.position,
            sums: state.sums,
            steps: state.optimizer.steps(),
            metrics_len: run.metrics_len(),
            weights: self.store.to_named()?,
            moments,
            best: state.best.clone(),
        };
        checkpoint.save(&run.file(CHECKPOINT))
    }
}

fn scalar(t: &Tensor) -> Result<f64> {
    Ok(t.detach().to_dtype(DType::F64)?.to_scalar::<f64>()?)
}
