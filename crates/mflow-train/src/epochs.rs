//! How the epochs of a schedule are divided among its stages.
use crate::schedule::{Stage, TrainConfig};

impl TrainConfig {
    /// Divide `epochs` among the stages in the proportions that they have, at least one each; a cycle of an alternation
    /// counts as many as one phase of it passes over the data, times the number of phases.
    #[expect(clippy::integer_division_remainder_used, reason = "every stage counts 1 or more")]
    pub fn set_epochs(&mut self, epochs: usize) {
        let weight = |stage: &Stage| match stage {
            Stage::Alternate(a) => {
                a.alternate.iter().fold(0_usize, |all, phase| all.saturating_add(phase.epochs))
            }
            Stage::Phase(_) => 1,
        };
        let length = |stage: &Stage| stage.rounds().saturating_mul(weight(stage).max(1));
        let sum = |stages: &[Stage]| {
            stages.iter().fold(0_usize, |all, stage| all.saturating_add(length(stage)))
        };
        let total = sum(&self.phases);
        let (mut before, mut given) = (0_usize, 0_usize);
        for stage in &mut self.phases {
            let each = weight(stage).max(1);
            before = before.saturating_add(length(stage));
            let until = epochs.saturating_mul(before).checked_div(total).unwrap_or(0);
            let until = until.max(given.saturating_add(each));
            *stage.rounds_mut() = ((until - given) / each).max(1);
            given = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Schedule;
    use mflow_core::ModelConfig;

    /// Epochs of each stage, an alternation's in cycles, of a model whose schedule has `epochs`.
    fn divided(schedule: Schedule, model: &ModelConfig, epochs: usize) -> Vec<usize> {
        let mut train = schedule.config(model, 90).expect("a schedule");
        train.set_epochs(epochs);
        train.phases.iter().map(crate::Stage::rounds).collect()
    }

    #[test]
    fn stages_keep_their_shares() {
        let m_flow = ModelConfig::m_flow(3, 2);
        assert_eq!(divided(Schedule::Sequential, &m_flow, 20), [10, 10]);
        assert_eq!(divided(Schedule::Sequential, &m_flow, 7), [3, 4]);
        assert_eq!(divided(Schedule::Simultaneous, &m_flow, 30), [10; 3]);
        assert_eq!(divided(Schedule::Alternating, &m_flow, 20), [10], "each cycle is two epochs");
        let free = ModelConfig::free_form(3, 2);
        assert_eq!(divided(Schedule::Sequential, &free, 10), [8, 2]);
    }

    #[test]
    fn each_stage_has_one_at_least() {
        let m_flow = ModelConfig::m_flow(3, 2);
        assert_eq!(divided(Schedule::Simultaneous, &m_flow, 1), [1; 3]);
        assert_eq!(divided(Schedule::Alternating, &m_flow, 1), [1]);
    }
}
