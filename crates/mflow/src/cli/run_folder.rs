//! The folder of a run: opening it, and its resolved config.
use super::options::Resume;
use super::ranks::Ranks;
use anyhow::Result;
use clap::Args;
use mflow::fit::kept_shards;
use mflow::tensorboard::EventFile;
use mflow::train::{CONFIG_FILE, Pool, RunDir, TrainConfig};
use serde::Serialize;
use std::path::PathBuf;

/// `--out` and `--resume`.
#[derive(Clone, Debug, Args)]
pub(super) struct RunOptions {
    /// Folder for the run: model.safetensors, config.toml, metrics.jsonl, checkpoint
    #[arg(long, value_name = "RUN")]
    pub(super) out: PathBuf,
    /// Continue the run in RUN if there is one, else start it
    #[arg(long, value_enum)]
    pub(super) resume: Option<Resume>,
    /// Also write the losses as `tensorboard --logdir RUN/tensorboard` reads them, epoch by epoch
    #[arg(long)]
    tensorboard: bool,
    #[command(flatten)]
    pub(super) ranks: Ranks,
}

impl RunOptions {
    /// The resolved config of the run that is to be continued, if there is one.
    pub(super) fn earlier_config(&self) -> Option<PathBuf> {
        let path = self.out.join(CONFIG_FILE);
        (self.resume.is_some() && path.is_file()).then_some(path)
    }

    /// Settle the number of shards, on which the bits of the result depend: that of the run that
    /// is continued, else one for each thread of all processes.
    pub(super) fn settle_shards(&self, train: &mut TrainConfig, pool: &Pool) {
        if train.shards == 0 {
            let earlier = self.earlier_config().and_then(|path| kept_shards(&path));
            train.shards = earlier.unwrap_or_else(|| pool.workers());
        }
    }

    /// Start or continue the run.
    pub(super) fn open(&self, pool: &Pool) -> Result<RunDir> {
        Ok(RunDir::open_together(&self.out, self.resume.is_some(), pool.team())?)
    }

    /// The file for `TensorBoard`, if it is wished for.
    pub(super) fn events(&self, run: &RunDir) -> Result<Option<EventFile>> {
        Ok(match self.tensorboard && run.writes() {
            true => Some(EventFile::create(&run.file("tensorboard"))?),
            false => None,
        })
    }

    /// Start or continue the run, and keep its config.
    pub(super) fn open_with(&self, config: &impl Serialize, pool: &Pool) -> Result<RunDir> {
        let run = self.open(pool)?;
        mflow::fit::keep_config(&run, config)?;
        Ok(run)
    }
}
