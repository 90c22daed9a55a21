//! One run: its settings, its files, and whether it is done.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::experiment::{Experiment, Model};
use super::record::{Place, Record};
use crate::files;
use crate::provenance::Provenance;

/// A model with a seed, under a preset.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// What it belongs to.
    pub(super) experiment: &'a Experiment,
    /// The row it belongs to.
    pub(super) model: &'a Model,
    /// The size of the run.
    pub(super) preset: &'a str,
    /// The seed.
    pub(super) seed: u64,
    /// The settings, as `mflow run` reads them.
    config: String,
}

/// All runs that an experiment asks for, seed by seed so that a cut suite still compares models.
pub(super) fn plan<'a>(
    experiment: &'a Experiment,
    preset: &'a str,
    seeds: Range<u64>,
) -> Result<Vec<Job<'a>>> {
    let rows = experiment.rows(preset)?;
    let pairs = seeds.flat_map(|seed| rows.iter().map(move |&model| (seed, model)));
    let jobs = pairs.map(|(seed, model)| {
        let config = experiment.resolve(preset, model, seed)?;
        Ok(Job { experiment, model, preset, seed, config })
    });
    jobs.collect()
}

impl Job<'_> {
    /// Hash of the settings: what makes a record stale when it differs.
    pub(super) fn config_hash(&self) -> String {
        fnv1a(&self.config)
    }

    /// The file with the settings, beside the run's directory, which must be mflow's own.
    pub(super) fn config_path(&self) -> PathBuf {
        self.path("toml")
    }

    /// Where the program's output goes when it is not shown.
    pub(super) fn log_path(&self) -> PathBuf {
        self.path("log")
    }

    /// The file that says who is at the run.
    pub(super) fn claim_path(&self) -> PathBuf {
        self.path("claim")
    }

    /// The run's directory.
    pub(super) fn directory(&self) -> PathBuf {
        self.path("")
    }

    /// The file in it that the program locks while it runs.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.directory().join("lock")
    }

    fn path(&self, extension: &str) -> PathBuf {
        let folder = Path::new("target/reproduce").join(&self.experiment.name).join(self.preset);
        let dot = if extension.is_empty() { "" } else { "." };
        folder.join(format!("{}-{}{dot}{extension}", self.model.name, self.seed))
    }

    /// The file of the run's record.
    pub(super) fn record_path(&self, place: Place) -> PathBuf {
        let folder = place.folder(&self.experiment.name, self.preset);
        folder.join(format!("{}-{}.json", self.model.name, self.seed))
    }

    /// The record of a run with the present settings, if there is one.
    pub(super) fn record(&self, place: Place) -> Result<Option<Record>> {
        let record = Record::load(&self.record_path(place))?;
        Ok(record.filter(|record| record.config_hash == self.config_hash()))
    }

    /// The folder of the run's figures, if it is done with the present settings and drew all that the
    /// experiment shows.
    pub(super) fn figures(&self) -> Result<Option<PathBuf>> {
        let wanted = self.experiment.figures_of.as_ref().is_none_or(|row| *row == self.model.name);
        let done = wanted && self.record(Place::Target)?.is_some_and(|record| record.is_done());
        let folder = self.directory().join("figures");
        let mut files =
            self.experiment.figures.iter().map(|name| folder.join(Experiment::figure_file(name)));
        let is_there = done && !self.experiment.figures.is_empty() && files.all(|f| f.is_file());
        Ok(is_there.then_some(folder))
    }

    /// Whether the run is done. A done run beside the others is taken into the docs if it was made
    /// of just the commit that is checked out.
    pub(super) fn settle(&self, place: Place, now: &Provenance) -> Result<bool> {
        if self.record(place)?.is_some_and(|record| record.is_done()) {
            return Ok(true);
        }
        let current = |record: &Record| {
            record.is_done() && record.commit == now.commit && !record.dirty && !now.dirty
        };
        match self.record(Place::Target)?.filter(current) {
            Some(record) => record.save(&self.record_path(place)).map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes the settings, and removes what is left of a run that cannot be gone on with: one
    /// with other settings, or one that is done but by other sources.
    pub(super) fn prepare(&self) -> Result<()> {
        let path = self.config_path();
        let same = files::read(&path).is_ok_and(|earlier| earlier == self.config);
        let done = self.record(Place::Target)?.is_some_and(|record| record.is_done());
        if !same || done {
            files::remove_folder(&self.directory())?;
        }
        files::write(&path, self.config.as_bytes())
    }
}

impl fmt::Display for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { experiment, model, preset, seed, .. } = self;
        write!(f, "{} {preset} {} seed {seed}", experiment.name, model.name)
    }
}

/// FNV-1a with 64 bits: the same on every machine and with every compiler.
pub(super) fn fnv1a(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::super::experiment::tests::TEXT;
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(""), "cbf29ce484222325");
        assert_eq!(fnv1a("foobar"), "85944171f73967e8");
    }

    #[test]
    fn changed_settings_change_the_hash() {
        let hashes = |text: &str| -> Vec<String> {
            let experiment = Experiment::parse("example", text).unwrap();
            let jobs = plan(&experiment, "quick", 1..2).unwrap();
            jobs.iter().map(Job::config_hash).collect()
        };
        let now = hashes(TEXT);
        assert_ne!(now[0], now[1], "models differ");
        // What does not reach `mflow run` leaves records valid; what does makes them stale.
        assert_eq!(now, hashes(&TEXT.replace("distance = 0.1", "distance = 0.2")));
        assert_eq!(now, hashes(&TEXT.replace("steps = 100", "steps = 101")));
        let changed = hashes(&TEXT.replace("steps = 10\n", "steps = 11\n"));
        assert!(now[0] != changed[0] && now[1] != changed[1], "both records are stale");
    }

    #[test]
    fn seeds_come_before_models() {
        let experiment = Experiment::parse("example", TEXT).unwrap();
        let jobs = plan(&experiment, "quick", 4..6).unwrap();
        let order: Vec<String> =
            jobs.iter().map(|job| job.directory().display().to_string()).collect();
        let expected = ["a-4", "b-4", "a-5", "b-5"];
        assert_eq!(order, expected.map(|run| format!("target/reproduce/example/quick/{run}")));
    }
}
