//! Processes that train together, as threads that hand tensors around. Oracle: one process, to the bit.
//!
//! With the feature `nccl`, what is on a GPU goes by NCCL, which needs a GPU for each rank, or the rehearsal.
use crate::toy::{Toy, bits, density, device, manifold};
use mflow_bijectors::host;
use mflow_core::candle::{DType, Tensor};
use mflow_train::{
    Compare, Error, Loss, Observer, Phase, Pool, Progress, Result, RunDir, Stage, Team,
};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};

/// Where the members of a team leave what the others take.
#[derive(Debug)]
struct Table {
    places: Vec<Mutex<Vec<Tensor>>>,
    all_are_here: Barrier,
}

#[derive(Debug)]
struct Member {
    rank: usize,
    table: Arc<Table>,
}

impl Member {
    /// Leave `own`, and take something of everyone.
    fn meet<R>(&self, own: Vec<Tensor>, take: impl Fn(&[Tensor]) -> R) -> Vec<R> {
        *self.table.places[self.rank].lock().unwrap() = own;
        self.table.all_are_here.wait();
        let taken = self.table.places.iter().map(|place| take(&place.lock().unwrap())).collect();
        self.table.all_are_here.wait();
        taken
    }
}

fn check(parts: &[Tensor], lengths: &[usize]) {
    let found: Vec<usize> = parts.iter().map(Tensor::elem_count).collect();
    assert_eq!(found, lengths, "everyone knows what the others send");
}

impl Team for Member {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.table.places.len()
    }
    fn gather(&self, own: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let parts = self.meet(vec![own.copy()?], |of_rank| of_rank[0].clone());
        check(&parts, lengths);
        Ok(Tensor::cat(&parts, 0)?)
    }
    fn exchange(&self, own: &[Tensor], lengths: &[usize]) -> Result<Vec<Tensor>> {
        let parts = self.meet(own.to_vec(), |of_rank| of_rank[self.rank].clone());
        check(&parts, lengths);
        Ok(parts)
    }
}

fn team(rank: usize, table: &Arc<Table>) -> Arc<dyn Team> {
    let team = Arc::new(Member { rank, table: Arc::clone(table) });
    #[cfg(feature = "nccl")]
    let team = Arc::new(mflow_train::Nccl::over(team));
    team
}

/// `f` by each of so many ranks, with two threads each; what each gives, in order.
fn together<R: Send>(ranks: usize, f: impl Fn(&Pool) -> R + Sync) -> Vec<R> {
    let places = (0..ranks).map(|_| Mutex::default()).collect();
    let table = Arc::new(Table { places, all_are_here: Barrier::new(ranks) });
    std::thread::scope(|scope| {
        let start = |rank| {
            let team = team(rank, &table);
            let f = &f;
            scope.spawn(move || f(&Pool::new(2).unwrap().with_team(team)))
        };
        let all: Vec<_> = (0..ranks).map(start).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Batches of 400 rows in eight shards, and one of the 140 rows that are left in two.
fn toy() -> Toy {
    let mut toy = Toy::parabola(600, vec![manifold(3), density(3)]);
    for stage in &mut toy.config.phases {
        let Stage::Phase(phase) = stage else { continue };
        phase.batch_size = 400;
    }
    toy.config.shards = 8;
    toy
}

/// The same with a loss of all samples of a batch.
fn divergence() -> Toy {
    let loss = Loss::Sinkhorn { blur: 0.1, scaling: 0.8, compare: Compare::X };
    let phase = Phase::new("divergence", &["outer", "inner"], vec![loss.weighted(1.)], 2);
    let mut toy = toy();
    toy.config.phases = vec![phase.into()];
    toy
}

type End = (Vec<(String, Vec<u64>)>, Vec<u8>);

fn trained(toy: &Toy, pool: &Pool, path: &Path, resume: bool, batches: usize) -> Result<End> {
    let run = RunDir::open_together(path, resume, pool.team())?;
    let stop = AtomicBool::new(false);
    // One rank alone is told to stop.
    let batches = if pool.team().rank() + 1 == pool.team().size() { batches } else { usize::MAX };
    let (mut store, mut observer) = (toy.store(), StopAt { batches, stop: &stop });
    toy.train_by(pool, &mut store, Some(&run), &mut observer, &stop)?;
    Ok((bits(&store, ""), fs::read(path.join("metrics.jsonl")).unwrap_or_default()))
}

struct StopAt<'a> {
    batches: usize,
    stop: &'a AtomicBool,
}

impl Observer for StopAt<'_> {
    fn batch(&mut self, _: Progress<'_>) {
        self.batches = self.batches.saturating_sub(1);
        if self.batches == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn any_number_of_ranks_trains_to_the_bits_of_one() {
    for (name, toy) in [("likelihood", toy()), ("divergence", divergence())] {
        let folder = tempfile::tempdir().unwrap();
        let alone = Pool::new(1).unwrap();
        let expected =
            trained(&toy, &alone, &folder.path().join("alone"), false, usize::MAX).unwrap();
        // More ranks than shards, too: some have nothing to do.
        for ranks in [1, 2, 3, 9] {
            let path = folder.path().join(ranks.to_string());
            for end in
                together(ranks, |pool| trained(&toy, pool, &path, false, usize::MAX).unwrap())
            {
                assert_eq!(end.0, expected.0, "{name}, {ranks} ranks: weights of each");
            }
            let metrics = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
            assert_eq!(metrics.into_bytes(), expected.1, "{name}, {ranks} ranks: written once");
        }
    }
}

#[test]
fn a_stop_of_one_rank_stops_all_and_another_number_goes_on() {
    let (toy, folder) = (toy(), tempfile::tempdir().unwrap());
    let alone = Pool::new(1).unwrap();
    let expected = trained(&toy, &alone, &folder.path().join("alone"), false, usize::MAX).unwrap();
    for (first, then) in [(2, 3), (3, 1), (1, 2)] {
        let path = folder.path().join(format!("{first} {then}"));
        together(first, |pool| trained(&toy, pool, &path, false, 4).unwrap());
        for end in together(then, |pool| trained(&toy, pool, &path, true, usize::MAX).unwrap()) {
            assert_eq!(end.0, expected.0, "{first} ranks, then {then}");
        }
    }
}

#[test]
fn ranks_that_differ_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let errors = together(3, |pool| {
        let mut toy = toy();
        toy.seed += u64::from(pool.team().rank() == 2);
        trained(&toy, pool, &path, false, usize::MAX).unwrap_err()
    });
    for error in errors {
        assert!(matches!(error, Error::Ranks { rank: 2, .. }), "found {error}");
    }
}

#[test]
fn a_folder_is_opened_by_the_first_rank() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let writes = together(3, |pool| {
        let run = RunDir::open_together(&path, false, pool.team()).unwrap();
        (run.writes(), run.resumed())
    });
    assert_eq!(writes, [(true, false), (false, false), (false, false)], "one writes");
}

#[test]
fn messages_of_any_lengths_arrive() {
    // Nothing, a number, many; from a storage that has more before and behind.
    let length = |from: usize, to: usize| [0, 1, 1000][(from + 2 * to) % 3];
    let value = |from: usize, to: usize| (10 * from + to) as f64 + 0.5;
    for dtype in [DType::F32, DType::F64] {
        together(4, |pool| {
            let team = pool.team();
            let (rank, size) = (team.rank(), team.size());
            let part = |to: usize| {
                let filled = Tensor::full(value(rank, to), length(rank, to) + 2, device());
                filled.unwrap().to_dtype(dtype).unwrap().narrow(0, 1, length(rank, to)).unwrap()
            };
            let own: Vec<Tensor> = (0..size).map(part).collect();
            let lengths: Vec<usize> = (0..size).map(|from| length(from, rank)).collect();
            let came = team.exchange(&own, &lengths).unwrap();
            for (from, part) in came.iter().enumerate() {
                assert_eq!(part.dtype(), dtype);
                let expected = vec![value(from, rank); length(from, rank)];
                assert_eq!(host::values_f64(part).unwrap(), expected, "{from} to {rank}");
            }
            let lengths: Vec<usize> = (0..size).map(|from| length(from, 0)).collect();
            let all = host::values_f64(&team.gather(&part(0), &lengths).unwrap()).unwrap();
            let expected = (0..size).flat_map(|from| vec![value(from, 0); length(from, 0)]);
            assert_eq!(all, expected.collect::<Vec<_>>(), "gathered by {rank}");
        });
    }
}
