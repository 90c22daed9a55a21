//! The trainer: one loop for every schedule.
use crate::attempt::{self, Attempt, judge};
use crate::checkpoint::{Best, Checkpoint, PhaseState, Position};
use crate::loss::Scale;
use crate::member::{Member, Place, Setting, TRAINING_WEIGHTS, VALIDATION_WEIGHTS, View};
use crate::progress::{EpochMetrics, Observer, Progress, Silent};
use crate::run_dir::{Identity, RunDir};
use crate::schedule::{Keep, Phase, Stage, TrainConfig, Turn};
use crate::shards::Pool;
use crate::source::RowSource;
use crate::team;
use crate::weights::Weighing;
use crate::{Error, Result};
use candle_core::Tensor;
use mflow_bijectors::{ParamStore, Stream, fnv1a};
use mflow_core::{DeviceName, ModelConfig, Part};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a call of [`Trainer::run`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All stages are done.
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
    /// The training data.
    pub data: &'a dyn RowSource,
    /// Data to choose weights by; none holds out a part of the training data.
    pub validation: Option<&'a dyn RowSource>,
    /// How to train.
    pub config: &'a TrainConfig,
    /// Seed of the held-out part, of shuffling, of samples and noise.
    pub seed: u64,
    /// Threads.
    pub pool: &'a Pool,
    /// Where checkpoints and metrics go; none keeps nothing.
    pub run: Option<&'a RunDir>,
}

const CHECKPOINT: &str = "checkpoint.safetensors";

/// Which rows train and which validate.
struct Split {
    train: Arc<[usize]>,
    validation: Arc<[usize]>,
}

/// A stage at work.
struct Work<'a> {
    stage: &'a Stage,
    members: Vec<Member<'a>>,
    /// Whose update it is, one after the other through a round.
    turns: Vec<Slot>,
    position: Position,
    best: Option<Best>,
    /// What earlier attempts left.
    past: Past,
}

/// One update of a round.
#[derive(Clone, Copy)]
struct Slot {
    member: usize,
    /// Pass of the member in the round.
    pass: usize,
    /// Batch in the pass.
    batch: usize,
}

/// The attempts that have ended, and the weights of the best one at the present stage.
#[derive(Clone, Default)]
struct Past {
    attempts: Vec<Attempt>,
    chosen: Option<BTreeMap<String, Tensor>>,
}

/// The rows to train on and those that are held out for validation, where no data are given for it: `fraction` of `rows`, at
/// least one of each, drawn by `seed`.
///
/// There must be 2 rows at least; of fewer, none is held out.
pub fn validation_split(rows: usize, fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let held_out = (rows as f64 * fraction).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=rows")]
    let held_out = (held_out as usize).max(1).min(rows.saturating_sub(1));
    let mut validation = Stream::new(seed, "validation split").permutation(rows);
    let train = validation.split_off(held_out);
    (train, validation)
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
        let shards = self.shards();
        self.model.build(self.store, |_| false)?;
        self.check_groups()?;
        self.check_data()?;
        let mut resumed = self.identify(shards)?;
        if let Some(run) = self.run {
            // A run that died before its first checkpoint may have left metrics.
            run.truncate_metrics(resumed.as_ref().map_or(0, |c| c.metrics_len))?;
        }
        let mut position = Position::default();
        let mut past = Past::default();
        match &mut resumed {
            Some(checkpoint) => {
                position = checkpoint.position;
                past.attempts = std::mem::take(&mut checkpoint.attempts);
                past.chosen = checkpoint.chosen.take();
                self.replace_weights(std::mem::take(&mut checkpoint.weights))?;
            }
            None => {
                if let Some(run) = self.run {
                    past.attempts = run.trials()?;
                }
            }
        }
        let split = self.split();
        let config = self.config;
        while let Some(stage) = config.phases.get(position.stage) {
            let started = Instant::now();
            // In the middle of a stage the layers have seen their rows.
            if resumed.as_ref().is_none_or(|checkpoint| checkpoint.phases.is_empty()) {
                self.observe(stage)?;
            }
            let mut work = self.work(stage, position, shards, &split, past, stop)?;
            // Between stages there is nothing to restore.
            if let Some(checkpoint) = resumed.take().filter(|c| !c.phases.is_empty()) {
                for (i, (member, state)) in
                    work.members.iter_mut().zip(checkpoint.phases).enumerate()
                {
                    member.restore(i, state, &checkpoint.moments)?;
                }
                work.best = checkpoint.best;
            }
            if self.train_stage(&mut work, observer, stop)? == Outcome::Interrupted {
                self.checkpoint(&work)?;
                return Ok(Outcome::Interrupted);
            }
            self.keep(&mut work)?;
            let again = self.end_attempt(&mut work, &split, observer, started.elapsed())?;
            let Work { position: at, past: left, .. } = work;
            position = match again {
                true => Position { attempt: at.attempt + 1, round: 0, update: 0, ..at },
                false => Position { stage: at.stage + 1, ..Position::default() },
            };
            past = left;
            self.save(position, vec![], BTreeMap::new(), None, &past)?;
        }
        Ok(Outcome::Finished)
    }

    /// The updates of one node of the schedule, one by one and without end, from the weights as they are:
    /// for whoever has a loop of their own, or times them. Nothing is validated, recorded or restored.
    ///
    /// # Errors
    /// If config, data and model do not fit, or there is no such node.
    pub fn updates(&mut self, stage: usize) -> Result<Updates<'_>> {
        self.config.validate()?;
        self.model.build(self.store, |_| false)?;
        self.check_groups()?;
        self.check_data()?;
        let config = self.config;
        let Some(node) = config.phases.get(stage) else {
            let reason = format!("has {} nodes, asked for number {stage}", config.phases.len());
            return Err(Error::config("train.phases", reason));
        };
        let position = Position { stage, ..Position::default() };
        let (split, shards) = (self.split(), self.shards());
        Ok(Updates(self.work(node, position, shards, &split, Past::default(), &NEVER)?))
    }

    /// Number of row shards of a batch.
    fn shards(&self) -> usize {
        match self.config.shards {
            0 => self.pool.workers(),
            n => n,
        }
    }

    /// Every group of a phase must exist: a misspelt one would train nothing.
    fn check_groups(&self) -> Result<()> {
        let check = |phase: &Phase, path: String| {
            for group in phase.named_groups() {
                let is_in = |name: &str| name.split('.').next() == Some(group.as_str());
                if !self.store.parameters().any(|p| is_in(&p.name)) {
                    let reason = format!("names the group `{group}`, which the model lacks");
                    return Err(Error::config(path, reason));
                }
            }
            Ok(())
        };
        for (i, stage) in self.config.phases.iter().enumerate() {
            for (k, phase) in stage.phases().iter().enumerate() {
                let inside = match stage {
                    Stage::Phase(_) => String::new(),
                    Stage::Alternate(_) => format!(".alternate[{k}]"),
                };
                check(phase, format!("train.phases[{i}]{inside}.trains"))?;
            }
        }
        Ok(())
    }

    fn check_data(&self) -> Result<()> {
        let sizes = &self.model.sizes;
        let check = |what, expected: usize, found: usize| {
            if expected == found {
                return Ok(());
            }
            let (expected, found) = (expected.to_string(), found.to_string());
            Err(Error::Data { what, expected, found })
        };
        check("number of features", sizes.data_dim, self.data.data_dim())?;
        check("number of context features", sizes.context_dim, self.data.context_dim())?;
        let mut least = 2;
        for source in [Some(self.data), self.validation].into_iter().flatten() {
            if !source.device().same_device(self.store.device()) {
                let name = |device| DeviceName::of(device).to_string();
                let (expected, found) = (name(self.store.device()), name(source.device()));
                return Err(Error::Data { what: "device, opened once", expected, found });
            }
        }
        if let Some(validation) = self.validation {
            check("number of features for validation", sizes.data_dim, validation.data_dim())?;
            let what = "number of context features for validation";
            check(what, sizes.context_dim, validation.context_dim())?;
            least = 1;
            if validation.rows() == 0 {
                let (expected, found) = ("at least 1".to_owned(), "0".to_owned());
                return Err(Error::Data { what: "number of rows for validation", expected, found });
            }
        }
        if self.data.rows() < least {
            let (expected, found) = (format!("at least {least}"), self.data.rows().to_string());
            return Err(Error::Data { what: "number of rows", expected, found });
        }
        // Before the first epoch, not when it comes to the rows that lack them.
        if self.config.uses_scores() {
            for (source, what) in [(Some(self.data), "data"), (self.validation, "validation data")]
            {
                let Some(source) = source else { continue };
                if source.gather(&[0])?.score.is_none() {
                    let expected = "the joint score of each row, for the loss `score`".to_owned();
                    return Err(Error::Data { what, expected, found: "none".to_owned() });
                }
            }
        }
        self.check_weights()
    }

    /// Weights must make sense in all losses, and those of rows that are held out and of the rest must have a sum.
    fn check_weights(&self) -> Result<()> {
        if self.data.weights().or(self.validation.and_then(RowSource::weights)).is_none() {
            return Ok(());
        }
        let split = self.split();
        for (source, index, what) in [
            (self.data, split.train, TRAINING_WEIGHTS),
            (self.validation.unwrap_or(self.data), split.validation, VALIDATION_WEIGHTS),
        ] {
            let Some(weights) = source.weights() else { continue };
            self.config.check_weights_in(weights, source.rows(), " times the mean size")?;
            if source.gather(&[0])?.weights.is_none() {
                let expected = "weights with the rows that are gathered".to_owned();
                return Err(Error::Data { what, expected, found: "none".to_owned() });
            }
            View { source, index }.mass().check(what, Weighing::Signed)?;
        }
        Ok(())
    }

    /// Settle what a resumed run must share, and load its checkpoint if there is one.
    fn identify(&self, shards: usize) -> Result<Option<Checkpoint>> {
        let team = self.pool.team();
        if self.run.is_none() && team.size() == 1 {
            return Ok(None);
        }
        let config = serde_json::json!({
            "model": self.model,
            "train": self.config,
            "seed": self.seed,
            "dtype": self.store.dtype().as_str(),
        });
        let fingerprint = |source: &dyn RowSource| format!("{:016x}", source.fingerprint());
        let identity = Identity {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
            data: fingerprint(self.data),
            validation: self.validation.map(fingerprint),
            shards,
            device: DeviceName::of(self.store.device()),
        };
        team::agree(team, "a version, config or data", identity.hash())?;
        let checkpoint = match self.run {
            None => None,
            Some(run) => {
                run.identify(&identity)?;
                let path = run.file(CHECKPOINT);
                let checkpoint = path.exists().then(|| Checkpoint::load(&path)).transpose()?;
                if checkpoint.as_ref().is_some_and(|c| !c.fits(&self.config.phases)) {
                    let reason =
                        "says that the run stands where its schedule never comes; start it anew";
                    return Err(Error::run(&path, reason));
                }
                checkpoint
            }
        };
        let position = checkpoint.as_ref().map(|c| c.position);
        team::agree(team, "a checkpoint", fnv1a(format!("{position:?}").as_bytes()))?;
        Ok(checkpoint)
    }

    /// Show rows to the layers that a stage trains: the initialisation of those that depend on data. The flow of the
    /// coordinates sees them in a stage that leaves the manifold as it is, since then they are those that it trains on.
    /// Rows with weights are shown in proportion to their sizes.
    #[expect(clippy::integer_division_remainder_used, reason = "a model has 1 feature or more")]
    fn observe(&mut self, stage: &Stage) -> Result<()> {
        /// Enough for means and deviations.
        const LEAST: usize = 1000;
        /// Enough for the ends of distributions.
        const MOST: usize = 10_000;
        /// What so many may cost, of images for instance.
        const NUMBERS: usize = 1_000_000;
        let most = (NUMBERS / self.model.sizes.data_dim).clamp(LEAST, MOST);
        let train = View { source: self.data, index: self.split().train };
        let batch = train.in_proportion(most)?;
        let part = if self.moves_manifold(stage) { Part::Manifold } else { Part::Density };
        let model = self.model.build(self.store, |_| false)?;
        Ok(model.observe(&batch.x, batch.context.as_ref(), part)?)
    }

    /// Whether a stage trains anything but the density of the coordinates.
    fn moves_manifold(&self, stage: &Stage) -> bool {
        let groups = self.model.groups();
        let is_density = |g: &String| match groups.manifold {
            // There is no other parameter.
            [] => true,
            _ => groups.density.contains(&g.as_str()),
        };
        stage.phases().iter().any(|phase| !phase.trains.iter().all(is_density))
    }

    fn split(&self) -> Split {
        let n = self.data.rows();
        if let Some(validation) = self.validation {
            let train: Arc<[usize]> = (0..n).collect();
            return Split { train, validation: (0..validation.rows()).collect() };
        }
        let (train, validation) = validation_split(n, self.config.validation_fraction, self.seed);
        Split { train: train.into(), validation: validation.into() }
    }

    /// All parameters and buffers anew, so that an attempt may have other ones than the first.
    fn replace_weights(&mut self, named: BTreeMap<String, Tensor>) -> Result<()> {
        let (dtype, device) = (self.store.dtype(), self.store.device().clone());
        *self.store = ParamStore::from_named(named, dtype, &device);
        self.model.build(self.store, |_| false)?;
        Ok(())
    }

    fn work<'b>(
        &mut self,
        stage: &'b Stage,
        position: Position,
        shards: usize,
        split: &Split,
        past: Past,
        stop: &'b AtomicBool,
    ) -> Result<Work<'b>>
    where
        Self: 'b,
    {
        let validation = self.validation.unwrap_or(self.data);
        let setting = Setting {
            model: self.model,
            pool: self.pool,
            seed: self.seed,
            shards: if self.store.device().is_cpu() { shards } else { self.pool.team().size() },
            train: View { source: self.data, index: split.train.clone() },
            validation: View { source: validation, index: split.validation.clone() },
            manifold_rests: !self.moves_manifold(stage),
            stop,
        };
        let phases = stage.phases();
        let members = phases.iter().enumerate().map(|(i, phase)| {
            let mut tag = position.stage.to_string();
            if phases.len() > 1 {
                tag = format!("{tag}.{i}");
            }
            if position.attempt > 0 {
                tag = format!("{tag} attempt {}", position.attempt);
            }
            let passes = stage.rounds() * stage.passes(phase);
            Member::new(phase, tag, passes, setting.clone(), self.store)
        });
        let members = members.collect::<Result<Vec<_>>>()?;
        let turns = turns(stage, &members);
        Ok(Work { stage, members, turns, position, best: None, past })
    }

    fn train_stage(
        &self,
        work: &mut Work<'_>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let interval = Duration::from_secs_f64(self.config.checkpoint_seconds.min(1e9));
        let mut saved = Instant::now();
        while work.position.round < work.stage.rounds() && !work.is_out_of_patience() {
            while work.position.update < work.turns.len() {
                if team::any(self.pool.team(), stop.load(Ordering::Relaxed))? {
                    return Ok(Outcome::Interrupted);
                }
                work.update(observer)?;
                if saved.elapsed() >= interval {
                    self.checkpoint(work)?;
                    saved = Instant::now();
                }
            }
            self.end_round(work, observer)?;
            self.checkpoint(work)?;
            saved = Instant::now();
        }
        Ok(Outcome::Finished)
    }

    /// Validate, record, and move to the next round.
    fn end_round(&self, work: &mut Work<'_>, observer: &mut dyn Observer) -> Result<()> {
        let round = work.position.round;
        work.swap_averages()?;
        let mut total = 0.;
        for member in &mut work.members {
            let validation_loss = member.validate()?;
            if !validation_loss.is_finite() {
                let place = Place { round: round + 1, batch: 0 };
                return Err(place.error(member.phase, "the validation loss", validation_loss));
            }
            total += validation_loss;
            // The rate of the last update.
            let learning_rate = member.rate(member.state.updates.saturating_sub(1));
            let sums = member.end_round(validation_loss);
            let metrics = EpochMetrics {
                phase: member.phase.name.clone(),
                attempt: work.position.attempt,
                epoch: round + 1,
                train_loss: sums.loss / sums.rows as f64,
                validation_loss,
                learning_rate,
                gradient_norm: sums.norm / sums.batches as f64,
            };
            if let Some(run) = self.run {
                run.append_metrics(&metrics)?;
            }
            observer.epoch(&metrics);
        }
        if work.stage.ending().keep == Keep::Best
            && work.best.as_ref().is_none_or(|best| total < best.loss)
        {
            work.best = Some(Best { round, loss: total, weights: copies(self.store)? });
        }
        work.swap_averages()?;
        work.position = Position { round: round + 1, update: 0, ..work.position };
        Ok(())
    }

    /// The weights that the stage ends with.
    fn keep(&self, work: &mut Work<'_>) -> Result<()> {
        match &work.best {
            Some(best) => Ok(self.store.assign(&best.weights)?),
            None => work.swap_averages(),
        }
    }

    /// Judge a stage that was to learn a manifold, put the best weights in place, and say whether to try
    /// again.
    #[expect(
        clippy::indexing_slicing,
        reason = "as many attempts as this one has number are there, as `Checkpoint::fits` asks of what was resumed"
    )]
    fn end_attempt(
        &mut self,
        work: &mut Work<'_>,
        split: &Split,
        observer: &mut dyn Observer,
        elapsed: Duration,
    ) -> Result<bool> {
        let stage = work.stage;
        if !stage.reconstructs() {
            return Ok(false);
        }
        let model = self.model.build(self.store, |_| false)?;
        let scale = Scale::new(self.model, model.as_ref())?;
        let source = self.validation.unwrap_or(self.data);
        let rows = attempt::rows(&split.validation);
        let n = self.model.sizes.manifold_dim;
        let (number, past) = (work.position.attempt, &mut work.past);
        past.attempts.push(Attempt {
            stage: stage.name(),
            attempt: number,
            start: None,
            error: attempt::error(self.pool, model.as_ref(), &scale, source, &rows)?,
            limit: attempt::limit(self.pool, &scale, source, &rows, n)?,
            failed: false,
            updates: work.members.iter().map(|m| m.state.updates).sum(),
            seconds: elapsed.as_secs_f64(),
        });
        let first = past.attempts.len() - 1 - number;
        let attempts = &mut past.attempts[first..];
        judge(attempts);
        let last = &attempts[number];
        observer.attempt(last);
        let again = last.failed && number < stage.ending().restarts;
        let best = attempts.iter().all(|a| last.error <= a.error);
        if best || past.chosen.is_none() {
            past.chosen = Some(copies(self.store)?);
        }
        if let Some(run) = self.run {
            run.write_attempts(&past.attempts)?;
        }
        if again {
            let fresh = self.fresh_weights(stage, work.position)?;
            self.replace_weights(fresh)?;
        } else if let Some(chosen) = past.chosen.take().filter(|_| number > 0) {
            self.replace_weights(chosen)?;
        }
        Ok(again)
    }

    /// The present weights, but those that the stage trains from another seed, permutations included.
    fn fresh_weights(&self, stage: &Stage, position: Position) -> Result<BTreeMap<String, Tensor>> {
        let purpose = format!("stage {} attempt {}", position.stage, position.attempt + 1);
        let seed = self.seed ^ fnv1a(purpose.as_bytes());
        let mut store = ParamStore::new(seed, self.store.dtype(), self.store.device());
        self.model.build(&mut store, |_| false)?;
        let trained = |name: &str| stage.phases().iter().any(|p| p.trains_parameter(name));
        let mut named = store.to_named()?;
        let old = copies(self.store)?;
        named.extend(old.into_iter().filter(|(name, _)| !trained(name)));
        Ok(named)
    }

    fn checkpoint(&self, work: &Work<'_>) -> Result<()> {
        if !self.run.is_some_and(RunDir::writes) {
            return Ok(());
        }
        let mut moments = BTreeMap::new();
        for (i, member) in work.members.iter().enumerate() {
            moments.extend(member.moments(i)?);
        }
        let phases = work.members.iter().map(|m| m.state.clone()).collect();
        self.save(work.position, phases, moments, work.best.clone(), &work.past)
    }

    fn save(
        &self,
        position: Position,
        phases: Vec<PhaseState>,
        moments: BTreeMap<String, Tensor>,
        best: Option<Best>,
        past: &Past,
    ) -> Result<()> {
        let Some(run) = self.run.filter(|run| run.writes()) else { return Ok(()) };
        let checkpoint = Checkpoint {
            position,
            phases,
            metrics_len: run.sync_metrics()?,
            weights: self.store.to_named()?,
            moments,
            best,
            attempts: past.attempts.clone(),
            chosen: past.chosen.clone(),
        };
        checkpoint.save(&run.file(CHECKPOINT))
    }
}

/// The flag of work that nothing ends.
static NEVER: AtomicBool = AtomicBool::new(false);

/// The updates of a node of a schedule; see [`Trainer::updates`].
#[expect(missing_debug_implementations, reason = "holds closures of the model at work")]
pub struct Updates<'a>(Work<'a>);

impl Updates<'_> {
    /// Make one update; returns the mean loss of its batch.
    ///
    /// # Errors
    /// If rows cannot be read or a number is not finite.
    pub fn step(&mut self) -> Result<f64> {
        let Work { position, turns, .. } = &mut self.0;
        if position.update == turns.len() {
            *position = Position { round: position.round + 1, update: 0, ..*position };
        }
        self.0.update(&mut Silent)
    }
}

impl Work<'_> {
    /// The next update of the round; returns the mean loss of its batch.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a turn or more, and whoever asks stays below their number"
    )]
    fn update(&mut self, observer: &mut dyn Observer) -> Result<f64> {
        let Position { round, update, .. } = self.position;
        let Slot { member, pass, batch } = self.turns[update];
        let passes = self.stage.passes(self.members[member].phase);
        let member = &mut self.members[member];
        let rows = member.batch(round * passes + pass, batch)?;
        let loss = member.update(&rows, Place { round: round + 1, batch: update + 1 })?;
        self.position.update += 1;
        let steps: u64 = self.members.iter().map(|m| m.state.updates).sum();
        let total_steps: u64 = self.members.iter().map(Member::updates).sum();
        let (phase, epochs) = (self.turns[update].member, self.stage.rounds());
        let phase = self.members[phase].phase.name.as_str();
        observer.batch(Progress { phase, epoch: round + 1, epochs, steps, total_steps, loss });
        Ok(loss)
    }

    fn swap_averages(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::swap_averages)
    }

    /// Whether so many rounds have passed without a smaller validation loss that the stage ends.
    #[expect(
        clippy::indexing_slicing,
        reason = "a loss for each round, as `Checkpoint::fits` asks of what was resumed"
    )]
    fn is_out_of_patience(&self) -> bool {
        let patience = self.stage.ending().patience;
        let rounds = self.position.round;
        let total = |i: usize| -> f64 { self.members.iter().map(|m| m.state.validation[i]).sum() };
        let best = (0..rounds).min_by(|&a, &b| total(a).total_cmp(&total(b)));
        patience > 0 && best.is_some_and(|best| rounds - 1 - best >= patience)
    }
}

/// The updates of one round: the phases pass over their rows one after the other, or take turns.
#[expect(clippy::indexing_slicing, reason = "counted by the members")]
fn turns(stage: &Stage, members: &[Member<'_>]) -> Vec<Slot> {
    let of = |member: usize| {
        let (passes, batches) = (stage.passes(members[member].phase), members[member].batches());
        (0..passes)
            .flat_map(move |pass| (0..batches).map(move |batch| Slot { member, pass, batch }))
    };
    let mut queues: Vec<_> = (0..members.len()).map(of).collect();
    let at_once = match stage.turn() {
        Turn::Epoch => usize::MAX,
        Turn::Batches(k) => k,
    };
    let mut turns = vec![];
    loop {
        let before = turns.len();
        for queue in &mut queues {
            turns.extend(queue.take(at_once));
        }
        if turns.len() == before {
            return turns;
        }
    }
}

/// All weights, by value: what is kept must not follow the next update.
fn copies(store: &ParamStore) -> Result<BTreeMap<String, Tensor>> {
    let copies = store.to_named()?.into_iter().map(|(name, t)| Ok((name, t.copy()?)));
    copies.collect()
}
