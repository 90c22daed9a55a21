//! The same bits for any number of threads. Oracle: the run on one thread.
use crate::toy::{Toy, bits, density, manifold, numbers};
use mflow_core::candle::DType;
use mflow_train::Rows;

fn toy(rows: usize) -> Toy {
    let mut toy = Toy::parabola(rows, vec![manifold(2), density(2)]);
    toy.config.validation_fraction = 0.4; // more than one block of evaluation
    toy
}

#[test]
fn threads_do_not_change_the_bits() {
    for dtype in [DType::F64, DType::F32] {
        let run = |threads: usize| {
            let mut toy = toy(700);
            let x = numbers(&toy.data.all().x);
            toy.data = Rows::new(x, 2, None, dtype, crate::toy::device()).unwrap();
            let (store, record) = Toy { threads, dtype, ..toy }.finish();
            (bits(&store, ""), record.losses, record.epochs)
        };
        let one = run(1);
        for threads in [2, 3] {
            assert_eq!(run(threads), one, "{dtype:?}: {threads} threads");
        }
    }
}

#[test]
fn shards_change_rounding_only() {
    // One update with all rows in one batch; both from the same start.
    let run = |shards: usize| {
        let mut toy = toy(400);
        toy.config.shards = shards;
        for stage in &mut toy.config.phases {
            let phase = &mut stage.phases_mut()[0];
            (phase.epochs, phase.batch_size) = (1, 1000);
        }
        let (store, record) = toy.finish();
        let weights: Vec<f64> =
            store.parameters().flat_map(|p| numbers(p.var.as_tensor())).collect();
        (weights, record)
    };
    let (whole, of_whole) = run(1);
    for shards in [2, 3, 4] {
        let (cut, of_cut) = run(shards);
        for (a, b) in of_cut.epochs.iter().zip(&of_whole.epochs) {
            let gap = (a.gradient_norm / b.gradient_norm - 1.).abs();
            assert!(gap < 1e-10, "{shards} shards: gradient norm off by {gap:.1e}");
            let gap = (a.train_loss - b.train_loss).abs();
            assert!(gap < 1e-10 * (1. + b.train_loss.abs()), "{shards} shards: loss, {gap:.1e}");
        }
        let gap = cut.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(gap < 1e-8, "{shards} shards: weights differ by {gap:.1e}");
    }
}

#[test]
fn seeds_and_epochs_shuffle_differently() {
    // With one row per batch and no learning, batch losses show the order of the rows.
    let order = |seed: u64, phases: usize| {
        let mut phase = manifold(2);
        let mut optimizer = mflow_train::AdamWConfig::default();
        (optimizer.learning_rate, optimizer.weight_decay) = (0., 0.);
        (phase.batch_size, phase.optimizer) = (1, optimizer.into());
        let toy = Toy::parabola(30, vec![phase; phases]);
        let (_, record) = Toy { seed, ..toy }.finish();
        record.losses.chunks(27).map(<[f64]>::to_vec).collect::<Vec<_>>()
    };
    let first = order(3, 2);
    assert_eq!(first.len(), 4, "two phases of two epochs");
    let sorted = |epoch: &[f64]| {
        let mut epoch = epoch.to_vec();
        epoch.sort_by(f64::total_cmp);
        epoch
    };
    for (i, a) in first.iter().enumerate() {
        assert_eq!(sorted(a), sorted(&first[0]), "epoch {i} has the same rows");
        for b in &first[..i] {
            assert_ne!(a, b, "epoch {i} has an order of its own");
        }
    }
    assert_eq!(order(3, 2), first, "the same seed gives the same order");
    assert_ne!(order(4, 1)[0], first[0], "another seed gives another");
}
