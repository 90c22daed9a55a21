//! What is timed on a device: `xtask/devices/cases.toml`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bench::{compare, turns::Target};
use crate::files;

const FILE: &str = "xtask/devices/cases.toml";

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Preset {
    /// All of it
    Full,
    /// A dry run: little of each part, small enough for CI
    Toy,
}

impl Preset {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Toy => "toy",
        }
    }
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    pub(super) case: Vec<Case>,
}

/// An architecture and a quantity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) batches: Vec<usize>,
    /// Those that our two threads on the CPU time as well.
    #[serde(default)]
    pub(super) cpu: Vec<usize>,
    /// Those of the dry run.
    #[serde(default)]
    toy: Vec<usize>,
    set: Map<String, Value>,
    /// Least ratios.
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    /// Least speeds.
    #[serde(default)]
    pub(super) speeds: Vec<Least>,
}

/// A least speed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Least {
    pub(super) batch: usize,
    pub(super) points_per_second: f64,
}

/// A case with one of its batches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct One {
    pub(super) name: String,
    pub(super) batch: usize,
    /// All that workers need to know but the device.
    pub(super) set: Value,
    /// Whether our threads on the CPU time it too.
    pub(super) cpu: bool,
    /// Whether something was aimed at.
    pub(super) has_target: bool,
}

impl One {
    /// For people.
    pub(super) fn title(&self) -> String {
        format!("{}, batch {}", self.name, self.batch)
    }

    /// What a worker gets to read.
    pub(super) fn on(&self, device: &str) -> Value {
        let mut case = self.set.clone();
        case["device"] = device.into();
        case
    }
}

impl Cases {
    pub(super) fn read() -> Result<Self> {
        toml::from_str(&files::read(Path::new(FILE))?).with_context(|| format!("in {FILE}"))
    }

    /// What a preset times: what has a target first.
    pub(super) fn plan(&self, preset: Preset) -> Result<Vec<One>> {
        let defaults = compare::Cases::read()?.defaults;
        let one = |case: &Case, batch: usize| {
            let mut set = defaults.clone();
            set.extend(case.set.clone());
            set.insert("batch".to_owned(), batch.into());
            let has_target = case.targets.iter().any(|target| target.batch == batch)
                || case.speeds.iter().any(|least| least.batch == batch);
            let (name, cpu) = (case.name.clone(), case.cpu.contains(&batch));
            One { name, batch, set: Value::Object(set), cpu, has_target }
        };
        let batches = |case: &Case| match preset {
            Preset::Full => case.batches.clone(),
            Preset::Toy => case.toy.clone(),
        };
        let all =
            self.case.iter().flat_map(|case| batches(case).into_iter().map(move |b| (case, b)));
        let mut all: Vec<One> = all.map(|(case, batch)| one(case, batch)).collect();
        all.sort_by_key(|one| !one.has_target);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::turns::{BEST, PEERS};
    use crate::shell;

    #[test]
    fn the_cases_in_the_repository_are_sound() {
        shell::enter_repository().unwrap();
        let cases = Cases::read().unwrap();
        for case in &cases.case {
            for Target { batch, against, .. } in &case.targets {
                assert!(case.batches.contains(batch), "{}: no batch {batch}", case.name);
                let known = PEERS.contains(&&**against) || against == BEST || against == "cpu";
                assert!(known, "{}: against {against}?", case.name);
                assert!(against != "cpu" || case.cpu.contains(batch), "{}: {batch}", case.name);
            }
            let batches = case.speeds.iter().map(|least| least.batch).chain(case.cpu.clone());
            for batch in batches {
                assert!(case.batches.contains(&batch), "{}: no batch {batch}", case.name);
            }
        }
    }

    #[test]
    fn targets_come_first() {
        shell::enter_repository().unwrap();
        let plan = Cases::read().unwrap().plan(Preset::Full).unwrap();
        let others = plan.iter().skip_while(|one| one.has_target);
        assert!(plan[0].has_target && others.clone().count() > 0);
        assert!(others.clone().all(|one| !one.has_target));
        let case = plan[0].on("cuda");
        assert_eq!((&case["device"], &case["hidden"]), (&"cuda".into(), &100.into()));
        assert!(!Cases::read().unwrap().plan(Preset::Toy).unwrap().is_empty());
    }
}
