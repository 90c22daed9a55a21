//! Training lowers losses, of the parts it should. Oracle: the data's own geometry, and comparisons
//! of whole runs.
use crate::toy::{Record, Toy, bits, density, device, likelihood, manifold, numbers};
use mflow_core::Model;
use mflow_core::candle::DType;
use mflow_train::{Keep, Loss, LrSchedule, Phase, RowSource, Rows, WeightedLoss};

/// Mean squared distance to the projection in normalised units.
fn reconstruction(toy: &Toy, model: &dyn Model) -> f64 {
    let all = toy.data.all();
    let difference = (model.project(&all.x, all.context.as_ref()).unwrap() - &all.x).unwrap();
    let scale = toy.model.normalization().map(|n| n.scale.clone());
    let d = toy.data.data_dim();
    let scaled = numbers(&difference).into_iter().enumerate().map(|(i, v)| match &scale {
        Some(scale) => v / scale[i % d],
        None => v,
    });
    let squares: f64 = scaled.map(|v| v * v).sum();
    squares / (toy.data.rows() * d) as f64
}

/// Mean distance to the projection.
pub(crate) fn reconstruction_errors(toy: &Toy, model: &dyn Model) -> f64 {
    let errors = numbers(&model.reconstruction_error(&toy.data.all().x, None).unwrap());
    errors.iter().sum::<f64>() / errors.len() as f64
}

pub(crate) fn quick(mut phase: Phase, rate: f64) -> Phase {
    phase.optimizer.set_learning_rate(rate);
    phase.batch_size = 50;
    phase
}

#[test]
fn a_parabola_is_learned() {
    let toy = Toy::parabola(500, vec![quick(manifold(50), 0.01), quick(density(15), 0.01)]);
    let mut store = toy.store();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let before = reconstruction(&toy, model.as_ref());
    let (mut store, record) = toy.finish();
    let model = toy.model.build(&mut store, |_| false).unwrap();
    let after = reconstruction(&toy, model.as_ref());
    assert!(after < before / 10., "mean square {before} at the start, {after} at the end");
    // The best straight line leaves the smaller eigenvalue of the covariance, here that of
    // standardised, nearly uncorrelated columns: about 1, over two features 0.5.
    let x = numbers(&toy.data.all().x);
    let n = toy.model.normalization().unwrap();
    let mut covariance = 0.;
    for row in x.chunks(2) {
        covariance += (row[0] - n.shift[0]) * (row[1] - n.shift[1]) / (n.scale[0] * n.scale[1]);
    }
    let line = 0.5 * (1. - (covariance / toy.data.rows() as f64).abs());
    assert!(after < line / 10., "a line leaves {line}, the curve {after}");
    let density: Vec<f64> =
        record.epochs.iter().filter(|e| e.phase == "density").map(|e| e.validation_loss).collect();
    let (first, last) = (density[0], density[density.len() - 1]);
    assert!(last < first, "the density phase lowers its loss from {first} to {last}");
    // Losses that observers see are those of batches, metrics their means.
    let of_first_epoch = &record.losses[..9];
    let mean = of_first_epoch.iter().sum::<f64>() / 9.;
    let reported = record.epochs[0].train_loss;
    assert!((mean - reported).abs() < 1e-9 * mean, "mean loss {reported}, of batches {mean}");
}

#[test]
fn a_sheet_that_moves_with_its_context_is_learned() {
    let toy = Toy::sheet(500, vec![quick(manifold(40), 0.01), quick(density(3), 0.01)]);
    let mut store = toy.store();
    let before = reconstruction(&toy, toy.model.build(&mut store, |_| false).unwrap().as_ref());
    let (mut store, _) = toy.finish();
    let after = reconstruction(&toy, toy.model.build(&mut store, |_| false).unwrap().as_ref());
    assert!(after < before / 10., "mean square {before} at the start, {after} at the end");
}

#[test]
fn a_phase_moves_its_own_groups_only() {
    for (phase, moves, rests) in [(manifold(2), "outer", "inner"), (density(2), "inner", "outer")] {
        let toy = Toy::parabola(60, vec![phase]);
        let mut start = toy.store();
        toy.model.build(&mut start, |_| true).unwrap();
        let (end, _) = toy.finish();
        assert_ne!(bits(&start, moves), bits(&end, moves), "{moves} trains");
        assert_eq!(bits(&start, rests), bits(&end, rests), "{rests} rests to the bit");
    }
}

/// One huge, constant learning rate: the loss jumps about and the last epoch is not the best.
fn jumpy(keep: Keep) -> Toy {
    let mut phase = quick(manifold(6), 0.3);
    (phase.keep, phase.lr_schedule, phase.clip_norm) = (keep, LrSchedule::Constant, 0.);
    Toy::parabola(100, vec![phase])
}

fn best_epoch(record: &Record) -> usize {
    let losses = record.epochs.iter().map(|e| e.validation_loss);
    losses.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0 + 1
}

#[test]
fn the_best_epoch_or_the_last_is_kept() {
    let (best, record) = jumpy(Keep::Best).finish();
    let chosen = best_epoch(&record);
    assert!(chosen < 6, "the last epoch is not the best, or the test shows nothing: {record:?}");
    let (last, same) = jumpy(Keep::Last).finish();
    assert_eq!(record.epochs, same.epochs, "what is kept changes nothing on the way");
    assert_ne!(bits(&best, "outer"), bits(&last, "outer"), "the two ends differ");
    // The weights after `chosen` epochs, by a run that ends there.
    let mut short = jumpy(Keep::Last);
    short.config.phases[0].phases_mut()[0].epochs = chosen;
    let (short, _) = short.finish();
    assert_eq!(bits(&best, ""), bits(&short, ""), "the weights of epoch {chosen}");
}

#[test]
fn a_phase_starts_from_what_the_one_before_kept() {
    let mut toy = jumpy(Keep::Best);
    let (kept, _) = toy.finish();
    toy.config.phases.push(density(2).into());
    let (end, _) = toy.finish();
    assert_eq!(
        bits(&kept, "outer"),
        bits(&end, "outer"),
        "the density phase sees the best manifold"
    );
}

#[test]
fn cached_coordinates_give_the_losses_of_the_data() {
    // A reconstruction loss of no weight makes the trainer compute coordinates at each batch.
    for toy in [Toy::parabola(150, vec![density(3)]), Toy::sheet(150, vec![density(3)])] {
        let mut slow = Toy { data: toy.data.clone(), config: toy.config.clone(), ..toy };
        let (cached, fast) = slow.finish();
        let mut losses = likelihood();
        losses.push(WeightedLoss { loss: Loss::reconstruction(), weight: 1e-300 });
        slow.config.phases[0].phases_mut()[0].losses = losses;
        let (computed, slow) = slow.finish();
        for (a, b) in fast.losses.iter().zip(&slow.losses) {
            assert!((a - b).abs() < 1e-9 * (1. + b.abs()), "batch loss {a} cached, {b} computed");
        }
        for (a, b) in fast.epochs.iter().zip(&slow.epochs) {
            let gap = (a.validation_loss - b.validation_loss).abs();
            assert!(gap < 1e-9 * (1. + b.validation_loss.abs()), "validation: {a:?}, {b:?}");
        }
        for (a, b) in cached.parameters().zip(computed.parameters()) {
            let pairs = numbers(a.var.as_tensor()).into_iter().zip(numbers(b.var.as_tensor()));
            let gap = pairs.map(|(a, b)| (a - b).abs()).fold(0., f64::max);
            assert!(gap < 1e-7, "{}: weights differ by {gap:.1e}", a.name);
        }
    }
}

#[test]
fn the_reconstruction_loss_is_in_units_of_the_normalised_data() {
    // The same data in other units, with its own normalisation: the same losses.
    let toy = Toy::parabola(120, vec![manifold(2)]);
    let (_, expected) = toy.finish();
    let x: Vec<f64> = numbers(&toy.data.all().x).iter().map(|v| 64. * v).collect();
    let normalization = mflow_core::standardize(&x, 2).unwrap();
    let model = toy.model.clone().with_normalization(normalization);
    let data = Rows::new(x, 2, None, DType::F64, device()).unwrap();
    let (_, found) = Toy { model, data, ..toy }.finish();
    for (a, b) in found.losses.iter().zip(&expected.losses) {
        assert!((a - b).abs() < 1e-9 * b, "loss {a} in other units, {b} in the first");
    }
}

#[test]
fn losses_add_with_their_weights() {
    let of = |losses: Vec<WeightedLoss>| {
        let mut phase = Phase::new("both", &["outer", "inner"], losses, 1);
        let mut optimizer = mflow_train::AdamWConfig::default();
        (optimizer.learning_rate, optimizer.weight_decay) = (0., 0.);
        (phase.optimizer, phase.batch_size) = (optimizer.into(), 200);
        Toy::parabola(150, vec![phase]).finish().1.losses[0]
    };
    let r = |weight| WeightedLoss { loss: Loss::reconstruction(), weight };
    let l = |weight| WeightedLoss { loss: Loss::coordinate_likelihood(), weight };
    let (a, b, both) = (of(vec![r(1.)]), of(vec![l(1.)]), of(vec![r(7.), l(0.5)]));
    assert!((both - 7. * a - 0.5 * b).abs() < 1e-10, "7 {a} + 0.5 {b} is {both}");
}

#[test]
fn large_gradients_are_scaled_down_to_the_clip_norm() {
    // The first moments after one update are (1 - beta1) times the clipped gradient; they are what a
    // checkpoint keeps.
    let folder = tempfile::tempdir().unwrap();
    let norm_of = |name: &str, clip: f64| {
        let mut phase = manifold(1);
        (phase.clip_norm, phase.batch_size) = (clip, 1000);
        let toy = Toy::parabola(60, vec![phase]);
        let run = mflow_train::RunDir::open(&folder.path().join(name), false).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut store = toy.store();
        // The second epoch is interrupted: within a phase a checkpoint has moments.
        let mut toy = toy;
        toy.config.phases[0].phases_mut()[0].epochs = 2;
        let mut observer = crate::toy::StopAfter { batches: 1, stop: &stop };
        toy.train(&mut store, Some(&run), &mut observer, &stop).unwrap();
        let file = mflow_core::read_tensors(&run.file("checkpoint.safetensors")).unwrap();
        let first = file.tensors.iter().filter(|(n, _)| n.starts_with("moments/0/moment1/"));
        let squares: f64 = first.flat_map(|(_, t)| numbers(t)).map(|v| (v / 0.1).powi(2)).sum();
        (squares.sqrt(), run.metrics().unwrap()[0].gradient_norm)
    };
    let (free, reported) = norm_of("off", 0.);
    assert!((free / reported - 1.).abs() < 1e-9, "unclipped {free}, reported {reported}");
    let clip = reported / 8.;
    let (clipped, same) = norm_of("clipped", clip);
    assert_eq!(same, reported, "metrics have the norm before clipping");
    assert!((clipped / clip - 1.).abs() < 1e-9, "clipped to {clip}, found {clipped}");
    let (loose, _) = norm_of("loose", 2. * reported);
    assert_eq!(loose, free, "a norm below the limit stays");
}
