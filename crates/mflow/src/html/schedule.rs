//! Schedules in words.
use mflow_train::{Stage, TrainConfig};

/// The schedule as its phases, one after the other or in turns: a run has no other name for it.
pub(super) fn schedule(train: &TrainConfig) -> String {
    let names = |stage: &Stage| {
        let names: Vec<&str> = stage.phases().iter().map(|phase| phase.name.as_str()).collect();
        names.join(" ⇄ ")
    };
    train.phases.iter().map(names).collect::<Vec<_>>().join(" → ")
}

/// Its epochs, or cycles of an alternation: `50 → 25 cycles`.
pub(super) fn epochs(train: &TrainConfig) -> String {
    let rounds = |stage: &Stage| match stage {
        Stage::Alternate(a) => format!("{} cycles", a.cycles),
        _ => stage.rounds().to_string(),
    };
    train.phases.iter().map(rounds).collect::<Vec<_>>().join(" → ")
}
