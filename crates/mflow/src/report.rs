//! The outcome of an experiment.
use mflow_eval::Estimate;
use mflow_train::Attempt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Wall time of an experiment's parts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Training, in this process: after a resume, since then.
    pub train: f64,
    /// Everything, in this process.
    pub total: f64,
}

/// Name of the file in a run directory with the [`Report`] of its experiment, as JSON.
pub const RESULT_FILE: &str = "result.json";

/// What an experiment measured; [`RESULT_FILE`] in its run directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the experiment.
    pub name: String,
    /// The model.
    pub model: String,
    /// The seed.
    pub seed: u64,
    /// The metrics by name.
    pub metrics: BTreeMap<String, Estimate>,
    /// The attempts at learning a manifold that the failure detector judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Wall time.
    pub seconds: Seconds,
    /// Largest resident memory of the process in MiB, where the system tells.
    pub peak_memory_mib: Option<f64>,
    /// Worst `|project(project(x)) - project(x)|` over the test data: how exactly the flow inverts
    /// at the precision of the run. None of a model without a projection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_error: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} · {} · seed {}", self.name, self.model, self.seed)?;
        for (name, estimate) in &self.metrics {
            writeln!(f, "  {name:<30} {estimate}")?;
        }
        if let Some(error) = self.round_trip_error {
            writeln!(f, "  {:<30} {error:.1e}", "round-trip error")?;
        }
        let Seconds { train, total } = self.seconds;
        write!(f, "  trained in {train:.0} s, {total:.0} s in all")?;
        match self.peak_memory_mib {
            Some(mib) => write!(f, ", at most {mib:.0} MiB of memory"),
            None => Ok(()),
        }
    }
}

/// The process's largest resident memory so far, in MiB; Linux only.
pub(crate) fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.)
}
