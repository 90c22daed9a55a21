//! How fast processes train together, and what their messages cost: `cargo xtask mpi` calls it with `mpirun`.
//!
//! Its arguments are DATA_DIM MANIFOLD_DIM BATCH SHARDS THREADS. The first process prints a line of JSON.
#![expect(clippy::print_stdout, reason = "an example, whose output is its result")]
use mflow::bijectors::{ParamStore, Stream};
use mflow::core::ModelConfig;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::train::{Loss, Mpi, Phase, Pool, Rows, Team, TrainConfig, Trainer, cut};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

/// Updates that are timed, and those before them.
const UPDATES: usize = 20;
const WARM: usize = 5;
/// Numbers of the messages that are timed.
const NUMBERS: [usize; 5] = [1, 1 << 10, 1 << 14, 1 << 18, 1 << 20];
/// Times that each is sent.
const TIMES: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let [d, n, batch, shards, threads] = arguments[..] else {
        return Err("expected DATA_DIM MANIFOLD_DIM BATCH SHARDS THREADS".into());
    };
    let (team, _session) = Mpi::start()?;
    let team = Arc::new(team);
    let pool = Pool::new(threads)?.with_team(Arc::clone(&team) as Arc<dyn Team>);
    let (update, gradient) = updates(d, n, batch, shards, &pool)?;
    let messages = NUMBERS
        .map(|numbers| {
            let seconds = [gathered(team.as_ref(), numbers)?, exchanged(team.as_ref(), numbers)?];
            Ok::<_, mflow::train::Error>((numbers, seconds))
        })
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    if team.is_first() {
        let messages: Vec<String> = messages
            .iter()
            .map(|(numbers, [gather, exchange])| format!("[{numbers},{gather:e},{exchange:e}]"))
            .collect();
        println!(
            "{{\"ranks\":{},\"threads\":{threads},\"update\":{update:e},\"gradient\":{gradient},\"messages\":[{}]}}",
            team.size(),
            messages.join(",")
        );
    }
    Ok(())
}

/// The median time of an update of an M-flow's manifold, and how many numbers its gradient has.
fn updates(
    d: usize,
    n: usize,
    batch: usize,
    shards: usize,
    pool: &Pool,
) -> Result<(f64, usize), Box<dyn Error>> {
    let rows = 10 * batch;
    let x = Stream::new(1, "rows").normal(rows * d);
    let data = Rows::new(x, d, None, DType::F32, &Device::Cpu)?;
    let model = ModelConfig::m_flow(d, n);
    let losses = vec![Loss::reconstruction().weighted(1.)];
    let mut phase = Phase::new("manifold", &["outer"], losses, 1000);
    phase.batch_size = batch;
    let mut config = TrainConfig::new(vec![phase]);
    config.shards = shards;
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let mut trainer = Trainer {
        model: &model,
        store: &mut store,
        data: &data,
        validation: None,
        config: &config,
        seed: 1,
        pool,
        run: None,
    };
    let mut updates = trainer.updates(0)?;
    let mut seconds = vec![];
    for _ in 0..WARM + UPDATES {
        let start = Instant::now();
        updates.step()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    drop(updates);
    let outer = store.parameters().filter(|p| p.name.starts_with("outer"));
    Ok((median(seconds.split_off(WARM)), outer.map(|p| p.var.elem_count()).sum()))
}

/// The time in which all ranks get so many numbers, of which each has a part.
fn gathered(team: &dyn Team, numbers: usize) -> Result<f64, mflow::train::Error> {
    let parts: Vec<usize> =
        (0..team.size()).map(|rank| cut(numbers, team.size(), rank).len()).collect();
    let own = Tensor::zeros(parts[team.rank()], DType::F32, &Device::Cpu)?;
    timed(|| team.gather(&own, &parts).map(drop))
}

/// The time in which each rank deals out so many numbers.
fn exchanged(team: &dyn Team, numbers: usize) -> Result<f64, mflow::train::Error> {
    let parts: Vec<usize> =
        (0..team.size()).map(|rank| cut(numbers, team.size(), rank).len()).collect();
    let own = parts.iter().map(|part| Tensor::zeros(*part, DType::F32, &Device::Cpu));
    let own = own.collect::<Result<Vec<_>, _>>()?;
    let come = vec![parts[team.rank()]; team.size()];
    timed(|| team.exchange(&own, &come).map(drop))
}

fn timed(
    mut message: impl FnMut() -> Result<(), mflow::train::Error>,
) -> Result<f64, mflow::train::Error> {
    let mut seconds = vec![];
    for _ in 0..TIMES {
        let start = Instant::now();
        message()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
