//! Processes that train one model together.
use super::exit::Done;
#[cfg(not(feature = "mpi"))]
use super::exit::Usage;
use anyhow::Result;
use clap::Args;
use mflow::train::Pool;

/// `--mpi`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Ranks {
    /// Train together with the other processes that `mpirun` started, each with a part of every batch
    ///
    /// The result has the same bits as that of one process with as many shards. The first process writes and speaks. Needs a
    /// program that was built with the feature `mpi`.
    #[arg(long)]
    mpi: bool,
}

impl Ranks {
    /// `work` by the threads of this process, in its team.
    pub(super) fn together(
        self,
        pool: Pool,
        work: impl FnOnce(Pool) -> Result<Done>,
    ) -> Result<Done> {
        if self.mpi { by_mpi(pool, work) } else { work(pool) }
    }
}

#[cfg(feature = "mpi")]
fn by_mpi(pool: Pool, work: impl FnOnce(Pool) -> Result<Done>) -> Result<Done> {
    use super::{exit, output};
    use mflow::train::{Mpi, Team};
    use std::sync::Arc;
    use std::time::Duration;

    /// The first rank speaks for all, if it fails too.
    const FIRST_SPEAKS: Duration = Duration::from_secs(2);
    let (team, session) = Mpi::start()?;
    let team = Arc::new(team);
    if !team.is_first() {
        output::fall_silent();
    }
    let together = Arc::clone(&team) as Arc<dyn Team>;
    #[cfg(feature = "nccl")]
    let together = Arc::new(mflow::train::Nccl::over(together));
    let done = work(pool.with_team(together));
    if let Err(error) = &done {
        let rank = team.rank();
        if rank > 0 {
            std::thread::sleep(FIRST_SPEAKS);
        }
        let code = exit::tell(error, format_args!("rank {rank} of {}: ", team.size()));
        // The others would wait for this one.
        team.abort(code.into());
    }
    drop(session);
    done
}

#[cfg(not(feature = "mpi"))]
fn by_mpi(_pool: Pool, _work: impl FnOnce(Pool) -> Result<Done>) -> Result<Done> {
    let reason = "--mpi needs a program with MPI: build it with `cargo build --release -p mflow --features mpi`, \
                  for which an MPI library with its headers and libclang must be installed";
    Err(Usage(reason.to_owned()).into())
}
