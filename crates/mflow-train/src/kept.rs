//! Where the weights come from that the stages of a training ended with.
use crate::attempt::Attempt;
use crate::progress::EpochMetrics;
use crate::schedule::{Keep, Stage, TrainConfig};

/// What a phase ended with.
#[derive(Clone, Debug)]
pub struct KeptEpoch<'a> {
    /// The epoch whose weights were kept; those of an alternation keep one epoch in common, the best by the sum of
    /// their validation losses.
    pub metrics: &'a EpochMetrics,
    /// Epochs of the phase in all attempts together.
    pub epochs: usize,
}

impl KeptEpoch<'_> {
    /// Which epoch it is, in words: `7`, or `7 of attempt 2`.
    pub fn place(&self) -> String {
        match self.metrics.attempt {
            0 => self.metrics.epoch.to_string(),
            attempt => format!("{} of attempt {}", self.metrics.epoch, attempt + 1),
        }
    }
}

/// Of each phase that has epochs in `metrics`, in the order of the schedule.
pub fn kept_epochs<'a>(
    train: &TrainConfig,
    metrics: &'a [EpochMetrics],
    attempts: &[Attempt],
) -> Vec<KeptEpoch<'a>> {
    train.phases.iter().flat_map(|stage| of_stage(stage, metrics, attempts)).collect()
}

fn of_stage<'a>(
    stage: &Stage,
    metrics: &'a [EpochMetrics],
    attempts: &[Attempt],
) -> Vec<KeptEpoch<'a>> {
    let of_stage = attempts.iter().filter(|attempt| attempt.stage == stage.name());
    let best = of_stage.min_by(|a, b| a.error.total_cmp(&b.error));
    let attempt = best.map_or(0, |attempt| attempt.attempt);
    let phases = stage.phases();
    let is_of = |m: &&EpochMetrics| {
        m.attempt == attempt && phases.iter().any(|phase| phase.name == m.phase)
    };
    let chosen: Vec<&EpochMetrics> = metrics.iter().filter(is_of).collect();
    let loss = |epoch: usize| -> f64 {
        chosen.iter().filter(|m| m.epoch == epoch).map(|m| m.validation_loss).sum()
    };
    let epochs = chosen.iter().map(|m| m.epoch);
    let epoch = match stage.ending().keep {
        Keep::Best => epochs.min_by(|a, b| loss(*a).total_cmp(&loss(*b))),
        Keep::Last => epochs.max(),
    };
    let kept = chosen.iter().filter(|m| Some(m.epoch) == epoch).map(|&kept| KeptEpoch {
        metrics: kept,
        epochs: metrics.iter().filter(|m| m.phase == kept.phase).count(),
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;
    use crate::schedule::{Alternate, Phase};

    fn phase(name: &str) -> Phase {
        Phase::new(name, &["*"], vec![Loss::reconstruction().weighted(1.)], 3)
    }

    fn metrics(phase: &str, attempt: usize, losses: &[f64]) -> Vec<EpochMetrics> {
        let one = |(i, loss): (usize, &f64)| EpochMetrics {
            phase: phase.to_owned(),
            attempt,
            epoch: i + 1,
            train_loss: 0.,
            validation_loss: *loss,
            learning_rate: 0.,
            gradient_norm: 0.,
        };
        losses.iter().enumerate().map(one).collect()
    }

    fn epochs(stage: impl Into<Stage>, metrics: &[EpochMetrics], errors: &[f64]) -> Vec<usize> {
        let stage = stage.into();
        let attempt = |(attempt, error): (usize, &f64)| Attempt {
            stage: stage.name(),
            attempt,
            start: None,
            error: *error,
            limit: None,
            failed: false,
            updates: 0,
            seconds: 0.,
        };
        let attempts: Vec<Attempt> = errors.iter().enumerate().map(attempt).collect();
        let train = TrainConfig::new(vec![stage.clone()]);
        kept_epochs(&train, metrics, &attempts).iter().map(|kept| kept.metrics.epoch).collect()
    }

    #[test]
    fn a_phase_keeps_its_best_epoch_or_its_last() {
        let of_phase = metrics("a", 0, &[3., 1., 2.]);
        assert_eq!(epochs(phase("a"), &of_phase, &[]), [2]);
        let mut last = phase("a");
        last.keep = Keep::Last;
        assert_eq!(epochs(last, &of_phase, &[]), [3]);
        assert!(epochs(phase("b"), &of_phase, &[]).is_empty(), "it has not begun");
    }

    #[test]
    fn the_epoch_is_one_of_the_attempt_with_the_least_error() {
        let both = [metrics("a", 0, &[0.1, 0.3]), metrics("a", 1, &[0.5, 0.4])].concat();
        assert_eq!(epochs(phase("a"), &both, &[0.9, 0.2]), [2], "epoch 1 is of the other one");
        let train = TrainConfig::new(vec![phase("a")]);
        let kept = kept_epochs(&train, &both, &[]);
        assert_eq!((kept[0].epochs, kept[0].place()), (4, "1".to_owned()));
    }

    #[test]
    fn an_alternation_keeps_one_epoch_of_all_phases() {
        let both = [metrics("a", 0, &[5., 4., 1.]), metrics("b", 0, &[1., 2., 3.])].concat();
        let alternate = Alternate::new(vec![phase("a"), phase("b")], 3);
        assert_eq!(epochs(alternate, &both, &[]), [3, 3], "the sums are 6, 6 and 4");
    }
}
