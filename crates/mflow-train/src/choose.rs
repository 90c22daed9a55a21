//! Which of several candidates finds the manifold: a short trial of each.
use crate::attempt::{self, Attempt};
use crate::loss::Scale;
use crate::schedule::{Stage, TrainConfig};
use crate::shards::Pool;
use crate::source::{RowSource, Rows};
use crate::trainer::{Outcome, Trainer};
use crate::{Error, Result, Silent};
use candle_core::DType;
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::ModelConfig;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A model with its start, and how it is to be trained.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What tells it from the others, in messages and in the attempts of a run.
    pub name: String,
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub train: TrainConfig,
}

/// What came of the trials.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The position of the candidate that won.
    pub winner: usize,
    /// The trials in the order of the candidates, as attempts at the stage [`TRIAL`]. All but the winner's count as
    /// failed, whatever their limits say. Empty if there was one candidate only.
    pub trials: Vec<Attempt>,
}

/// What the trials of all candidates share; [`Trials::choose`] runs them.
#[derive(Debug)]
pub struct Trials<'a> {
    /// The training data.
    pub data: &'a dyn RowSource,
    /// Data to judge by; none holds out a tenth of the training data, 2000 rows at most.
    pub validation: Option<&'a dyn RowSource>,
    /// Precision of the models.
    pub dtype: DType,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Threads.
    pub pool: &'a Pool,
    /// Updates of each candidate, about. There are more only if one round of each stage has more.
    pub updates: usize,
}

/// Name of the stage of attempts that are trials.
pub const TRIAL: &str = "trial";
/// Training rows of a trial, at most.
const ROWS: usize = 10_000;
/// Rows to judge by, at most.
const VALIDATION_ROWS: usize = 2000;
/// Errors within this factor of the smallest are equal: a short trial tells which candidates find a manifold, but not
/// which of two that find it ends nearer to the data.
const CLEARLY: f64 = 3.;

impl Trials<'_> {
    /// Train each candidate for a short time, on the same rows, and choose by the reconstruction error on held-out rows.
    ///
    /// A trial ends with the last stage that learns the manifold by that error. The first candidate wins whose error is
    /// at most three times the smallest. Errors below 1e-4, in units of the normalised data, count as equal. A candidate
    /// that diverges has an infinite error. `tell` hears of each trial as it ends. One candidate alone wins without a
    /// trial. None if `stop` was raised.
    ///
    /// # Errors
    /// If there is no candidate or there are fewer than 2 rows, all candidates diverge, or one of them cannot be trained
    /// for another reason.
    pub fn choose(
        &self,
        candidates: &[Candidate],
        mut tell: impl FnMut(&Attempt),
        stop: &AtomicBool,
    ) -> Result<Option<Choice>> {
        if candidates.is_empty() {
            return Err(Error::config("start", "leaves nothing to choose from"));
        }
        if candidates.len() == 1 {
            return Ok(Some(Choice { winner: 0, trials: vec![] }));
        }
        let (train, validation) = self.rows()?;
        let mut trials: Vec<Attempt> = vec![];
        for (number, candidate) in candidates.iter().enumerate() {
            let started = Instant::now();
            let (error, limit, updates) = match self.attempt(candidate, &train, &validation, stop) {
                // A NaN is no small error.
                Ok(Some((error, limit, updates))) if error.is_finite() => (error, limit, updates),
                Ok(Some((_, limit, updates))) => (f64::INFINITY, limit, updates),
                Ok(None) => return Ok(None),
                Err(Error::Diverged { .. }) => (f64::INFINITY, None, 0),
                Err(error) => return Err(error),
            };
            let attempt = Attempt {
                stage: TRIAL.to_owned(),
                attempt: number,
                start: Some(candidate.name.clone()),
                error,
                limit,
                failed: true,
                updates,
                seconds: started.elapsed().as_secs_f64(),
            };
            tell(&attempt);
            trials.push(attempt);
        }
        let errors: Vec<f64> = trials.iter().map(|trial| trial.error).collect();
        let Some(winner) = first_of_the_best(&errors) else {
            let reason = "none of the candidates could be trained: all of them diverged";
            return Err(Error::config("start", reason));
        };
        trials.get_mut(winner).into_iter().for_each(|trial| trial.failed = false);
        Ok(Some(Choice { winner, trials }))
    }

    /// The trial of a candidate: its error on held-out rows, the limit below which a manifold counts as found, and the
    /// number of updates; none if `stop` was raised.
    fn attempt(
        &self,
        candidate: &Candidate,
        train: &Rows,
        validation: &Rows,
        stop: &AtomicBool,
    ) -> Result<Option<(f64, Option<f64>, u64)>> {
        let Candidate { model, train: config, .. } = candidate;
        config.validate()?;
        let (config, updates) = shortened(config, train.rows(), self.updates);
        let mut store = ParamStore::new(self.seed, self.dtype, train.device());
        let mut trainer = Trainer {
            model,
            store: &mut store,
            data: train,
            validation: Some(validation),
            config: &config,
            seed: self.seed,
            pool: self.pool,
            run: None,
        };
        // Not the flag: of a team another process may have raised its own.
        if trainer.run(&mut Silent, stop)? == Outcome::Interrupted {
            return Ok(None);
        }
        let built = model.build(&mut store, |_| false)?;
        let scale = Scale::new(model, built.as_ref())?;
        let all: Vec<usize> = (0..validation.rows()).collect();
        let rows = attempt::rows(&all);
        let error = attempt::error(self.pool, built.as_ref(), &scale, validation, &rows)?;
        let n = model.sizes.manifold_dim;
        let limit = attempt::limit(self.pool, &scale, validation, &rows, n)?;
        Ok(Some((error, limit, updates)))
    }

    /// Rows to train on and to judge by, in memory.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "evenly spread positions, of one row or more"
    )]
    fn rows(&self) -> Result<(Rows, Rows)> {
        let rows = self.data.rows();
        if rows < 2 {
            let (expected, found) = ("at least 2".to_owned(), rows.to_string());
            return Err(Error::Data { what: "number of rows", expected, found });
        }
        let mut train = Stream::new(self.seed, "trial rows").permutation(rows);
        let mut held_out = vec![];
        if self.validation.is_none() {
            held_out = train.split_off(rows - (rows / 10).clamp(1, VALIDATION_ROWS));
        }
        train.truncate(ROWS);
        let train = Rows::with_data(self.data.gather(&train)?)?;
        let validation = match self.validation {
            None => Rows::with_data(self.data.gather(&held_out)?)?,
            Some(source) => {
                let count = source.rows().min(VALIDATION_ROWS);
                let index: Vec<usize> = (0..count).map(|i| i * source.rows() / count).collect();
                Rows::with_data(source.gather(&index)?)?
            }
        };
        Ok((train, validation))
    }
}

/// Errors below this one, in units of the normalised data, count as equal.
const EQUAL: f64 = 1e-4;

/// The position of the first error that is as good as equal to the smallest. What is not finite is no error; none if all
/// are like that.
fn first_of_the_best(errors: &[f64]) -> Option<usize> {
    let known = |error: &f64| error.is_finite().then(|| error.max(EQUAL));
    let least = errors.iter().filter_map(known).reduce(f64::min)?;
    errors.iter().position(|error| known(error).is_some_and(|error| error <= CLEARLY * least))
}

/// The schedule up to its last stage that learns a manifold by its reconstruction error, shortened to about `updates`
/// updates, without restarts; and how many updates that is. Without such a stage, the first stage alone.
fn shortened(config: &TrainConfig, rows: usize, updates: usize) -> (TrainConfig, u64) {
    let mut config = config.clone();
    let last = config.phases.iter().rposition(Stage::reconstructs).unwrap_or(0);
    config.phases.truncate(last + 1);
    let of = |stage: &Stage| -> usize {
        let passes = |p: &crate::Phase| stage.passes(p) * rows.div_ceil(p.batch_size);
        stage.rounds() * stage.phases().iter().map(passes).sum::<usize>()
    };
    let all: usize = config.phases.iter().map(of).sum();
    for stage in &mut config.phases {
        let rounds = stage.rounds();
        *stage.rounds_mut() = (rounds.saturating_mul(updates) / all.max(1)).clamp(1, rounds.max(1));
        stage.set_restarts(0);
    }
    let updates: usize = config.phases.iter().map(of).sum();
    (config, updates as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_near_the_smallest_is_the_best() {
        for (errors, expected) in [
            (vec![0.2, 0.1], Some(0)),
            (vec![0.31, 0.1], Some(1)),
            (vec![9e-5, 1e-9], Some(0)),
            (vec![f64::NAN, 0.5, 0.2], Some(1)),
            (vec![f64::INFINITY, 0.5], Some(1)),
            (vec![f64::NAN, f64::INFINITY], None),
            (vec![], None),
        ] {
            assert_eq!(first_of_the_best(&errors), expected, "{errors:?}");
        }
    }
}
