//! Events: what they are, and that the simulator's statements about them agree.

use std::sync::LazyLock;

use mflow_data::wbf::{
    Amplitudes, COORDINATES, Cuts, FeatureSet, Generator, M_H, Momenta, Settings, WeakBosonFusion,
    coordinates, objects,
};
use mflow_data::{Error, Simulator};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Tuned once for all tests.
pub(super) static WBF: LazyLock<WeakBosonFusion> = LazyLock::new(|| {
    // Rates to half a per cent: in a tenth of the time.
    let generator = Generator::with_survey(Settings::default(), 24);
    WeakBosonFusion::with_generator(FeatureSet::Smooth, generator)
});

pub(super) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Mean and standard deviation of each of `d` columns.
fn moments(x: &[f64], d: usize) -> Vec<(f64, f64)> {
    let n = (x.len() / d) as f64;
    (0..d)
        .map(|k| {
            let column = || x.iter().skip(k).step_by(d);
            let mean = column().sum::<f64>() / n;
            let variance = column().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (mean, variance.sqrt())
        })
        .collect()
}

/// Standardised features of events at parameters from the prior.
fn standardised(n: usize) -> Vec<(f64, f64)> {
    let generator = WBF.generator().clone();
    let wbf = WeakBosonFusion::with_generator(FeatureSet::WithAzimuths, generator);
    let rng = &mut rng(11);
    let theta = wbf.sample_prior(n, rng);
    moments(&wbf.sample(n, &theta, rng).unwrap(), wbf.data_dim())
}

#[test]
fn the_standardization_is_that_of_events() {
    for (name, (mean, deviation)) in
        FeatureSet::WithAzimuths.names().iter().zip(standardised(20_000))
    {
        assert!(mean.abs() < 0.04, "{name}: a mean of {mean} standard deviations");
        assert!((deviation - 1.0).abs() < 0.1, "{name}: a standard deviation of {deviation}");
    }
}

/// Prints what `standardization.rs` should have.
#[test]
#[ignore = "prints a table of the source code"]
fn print_standardization() {
    let [means, scales] = FeatureSet::WithAzimuths.standardization();
    let found = standardised(200_000);
    for (k, name) in FeatureSet::WithAzimuths.names().iter().enumerate() {
        let mean = means[k] + scales[k] * found[k].0;
        println!("{name:12} {mean:10.4} {:10.4}", scales[k] * found[k].1);
    }
}

#[test]
fn features_are_those_of_the_paper() {
    let names = FeatureSet::Smooth.names();
    let of_object = ["E", "px", "py", "pz", "pT", "eta"];
    let of_pair = ["E", "px", "py", "pz", "pT", "m", "eta", "deltaeta"];
    let objects = ["a1", "a2", "j1", "j2"].map(|o| of_object.map(|f| format!("{f}_{o}"))).concat();
    let pairs = ["aa", "jj"].map(|o| of_pair.map(|f| format!("{f}_{o}"))).concat();
    assert_eq!(names, [objects, pairs].concat());
    assert_eq!(FeatureSet::WithAzimuths.count(), 48);
}

/// Momenta of an event, the features by hand, and those of the simulator.
#[test]
fn features_are_functions_of_momenta() {
    let generator = WBF.generator();
    let [means, scales] = FeatureSet::Smooth.standardization();
    for event in generator.events(200, |_| [0.5, -0.3], &mut rng(1)) {
        let z = event.coordinates;
        let p = objects(&z);
        let again = coordinates(p);
        assert!(z.iter().zip(again).all(|(a, b)| {
            let turns = (a - b) / std::f64::consts::TAU;
            (turns - turns.round()).abs() < 1e-9
        }));
        let of = |p: mflow_data::wbf::FourVector| {
            let size = (p.x * p.x + p.y * p.y + p.z * p.z).sqrt();
            let eta = 0.5 * ((size + p.z) / (size - p.z)).ln();
            vec![p.e, p.x, p.y, p.z, (p.x * p.x + p.y * p.y).sqrt(), eta]
        };
        let mut expected: Vec<f64> = p.into_iter().flat_map(of).collect();
        for [a, b] in [[p[0], p[1]], [p[2], p[3]]] {
            let pair = of(a + b);
            expected.extend(&pair[..5]);
            expected.push((a + b).mass());
            expected.push(pair[5]);
            expected.push(of(a)[5] - of(b)[5]);
        }
        let x = WBF.embed(&z);
        for (k, (x, expected)) in x.iter().zip(expected).enumerate() {
            let found = scales[k] * x + means[k];
            assert!(
                (found - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{k}: {found} {expected}"
            );
        }
    }
}

#[test]
fn momentum_is_conserved_and_particles_have_their_masses() {
    for event in WBF.generator().events(300, |_| [1.0, 1.0], &mut rng(2)) {
        let [a, b] = event.incoming;
        let [c, d] = event.outgoing;
        let [e, f] = event.photons;
        let lost = a + b - c - d - e - f;
        let scale = a.e + b.e;
        for component in [lost.e, lost.x, lost.y, lost.z] {
            assert!(component.abs() < 1e-10 * scale, "{lost:?} is lost");
        }
        assert!(((e + f).mass() - M_H).abs() < 1e-6 * M_H);
        for p in [a, b, c, d, e, f] {
            assert!(p.dot(p).abs() < 1e-9 * p.e * p.e, "{p:?} has a mass");
        }
        let momenta = Momenta { incoming: event.incoming, outgoing: event.outgoing };
        let again = Amplitudes::new(momenta).squared(event.flavours.lines());
        assert_eq!(again, event.squared_amplitude);
        let charge = |pdg: i32| match (pdg.abs() % 2, pdg.signum()) {
            (0, sign) => 2 * sign,
            (_, sign) => -sign,
        };
        let total =
            |of: [mflow_data::wbf::Parton; 2]| of.map(|p| charge(p.pdg())).iter().sum::<i32>();
        assert_eq!(total(event.flavours.incoming), total(event.flavours.outgoing()));
        assert_ne!(event.flavours.incoming, event.flavours.outgoing());
    }
}

#[test]
fn cuts_hold_and_objects_are_in_order() {
    let cuts = Cuts { jets_mass: 400.0, jets_delta_eta: 2.0, ..Cuts::default() };
    let settings = Settings { cuts, ..Settings::default() };
    let generator = Generator::with_survey(settings, 16);
    for event in generator.events(300, |_| [0.2, 0.0], &mut rng(3)) {
        let [a1, a2, j1, j2] = objects(&event.coordinates);
        assert!(a1.pt() >= a2.pt() && a2.pt() > 10.0);
        assert!(j1.pt() >= j2.pt() && j2.pt() > 20.0);
        assert!((j1 + j2).mass() >= 400.0 && (j1.eta() - j2.eta()).abs() >= 2.0);
    }
    let (all, _) = WBF.generator().selected().at([0.2, 0.0]);
    let (some, error) = generator.selected().at([0.2, 0.0]);
    assert!(some < all - 3.0 * error, "{some} of {all} pb");
}

#[test]
fn threads_make_no_difference() {
    let draw = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| WBF.sample(1000, &[0.3; 2000], &mut rng(4)).unwrap())
    };
    let (one, three) = (draw(1), draw(3));
    assert_eq!(one, three);
}

#[test]
fn parts_of_a_sequence_are_its_events() {
    let generator = WBF.generator();
    let theta = |row: usize| [row as f64 * 1e-3, 0.1];
    let all = generator.events_of(9, 0..700, theta);
    for part in [0..256, 256..700, 300..310, 511..513, 5..5] {
        assert_eq!(generator.events_of(9, part.clone(), theta), all[part.clone()], "{part:?}");
    }
    assert!(generator.excess() <= 1e-4, "{}", generator.excess());
    assert!(all.iter().filter(|event| event.weight > 1.0).count() < 5);
    assert!(all.iter().all(|event| event.weight >= 1.0));
}

#[test]
fn joint_samples_are_the_same_points() {
    let theta: Vec<f64> = (0..600).map(|i| f64::from(i) / 300.0 - 1.0).collect();
    let x = WBF.sample(300, &theta, &mut rng(5)).unwrap();
    let joint = WBF.sample_joint(300, &theta, &theta, &mut rng(5)).unwrap();
    assert_eq!(joint.x, x);
    // Scores and ratios fit: differences of log-ratios between hypotheses.
    let step = 1e-5;
    for k in 0..2 {
        let moved = |by: f64| {
            let mut other = theta.clone();
            other.iter_mut().skip(k).step_by(2).for_each(|t| *t += by);
            WBF.sample_joint(300, &theta, &other, &mut rng(5)).unwrap().log_ratios
        };
        for (i, (up, down)) in moved(step).iter().zip(moved(-step)).enumerate() {
            let difference = (up - down) / (2.0 * step);
            let score = joint.scores[2 * i + k];
            assert!(
                (score - difference).abs() < 1e-4 * (1.0 + score.abs()),
                "{score} {difference}"
            );
        }
    }
}

/// The mean of the joint score is 0, and joint ratios are those of the events.
#[test]
fn scores_have_the_mean_zero() {
    let n = 10_000;
    for theta in [[0.0, 0.0], [0.5, 0.0], [-1.0, -1.0], [0.1, 1.5]] {
        let rows = theta.repeat(n);
        let joint = WBF.sample_joint(n, &rows, &rows, &mut rng(6)).unwrap();
        for (k, (mean, deviation)) in moments(&joint.scores, 2).into_iter().enumerate() {
            let error = deviation / (n as f64).sqrt();
            assert!(mean.abs() < 4.0 * error, "theta {theta:?}, score {k}: {mean} +- {error}");
        }
        // The integral of p q / (p + q), for p at theta and q at the reference, by samples of either. Ratios alone have
        // tails that are too heavy for their means.
        let at_reference = WBF.sample_joint(n, &[0.0; 2].repeat(n), &rows, &mut rng(60)).unwrap();
        let share = |sign: f64, log_ratio: &f64| (1.0 + (sign * log_ratio).exp()).recip();
        let here: Vec<f64> = joint.log_ratios.iter().map(|r| share(1.0, r)).collect();
        let there: Vec<f64> = at_reference.log_ratios.iter().map(|r| share(-1.0, r)).collect();
        let [here, there] = [here, there].map(|values| moments(&values, 1)[0]);
        let error = here.1.hypot(there.1) / (n as f64).sqrt();
        let difference = here.0 - there.0;
        assert!(difference.abs() <= 4.0 * error, "theta {theta:?}: {difference} +- {error}");
    }
}

#[test]
fn parameters_out_of_order_are_refused() {
    let error = WBF.sample(2, &[0.0; 3], &mut rng(7)).unwrap_err();
    assert!(matches!(error, Error::BatchSize { .. }), "{error}");
    let error = WBF.sample(1, &[0.0, f64::NAN], &mut rng(7)).unwrap_err();
    assert!(error.to_string().contains("theta_2"), "{error}");
}

/// Fourteen directions in which features can move, no more.
#[test]
fn the_manifold_has_fourteen_dimensions() {
    let wbf = &*WBF;
    let d = wbf.data_dim();
    for event in wbf.generator().events(20, |_| [0.0, 0.5], &mut rng(8)) {
        let column = |k: usize| -> Vec<f64> {
            let moved = |by: f64| {
                let mut z = event.coordinates;
                z[k] += by;
                wbf.embed(&z)
            };
            moved(1e-6).iter().zip(moved(-1e-6)).map(|(a, b)| (a - b) / 2e-6).collect()
        };
        let mut columns: Vec<Vec<f64>> = (0..COORDINATES).map(column).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for j in 0..COORDINATES {
            let before = dot(&columns[j], &columns[j]).sqrt();
            for k in 0..j {
                let along = dot(&columns[j], &columns[k]) / dot(&columns[k], &columns[k]);
                let other = columns[k].clone();
                columns[j].iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let left = dot(&columns[j], &columns[j]).sqrt();
            assert!(left > 1e-5 * before, "coordinate {j}: {left} of {before} is new");
        }
        assert_eq!(columns[0].len(), d);
    }
}

#[test]
fn points_of_the_manifold_stay_and_others_go_to_the_nearest() {
    let wbf = &*WBF;
    let d = wbf.data_dim();
    let x = wbf.sample(20, &[0.0; 40], &mut rng(9)).unwrap();
    let distance = wbf.distance(&x).unwrap();
    assert!(distance.iter().all(|d| *d < 1e-7), "{distance:?}");
    let off = wbf.sample_out_of_distribution(20, &[0.0; 40], &mut rng(9)).unwrap();
    let on = wbf.project(&off).unwrap();
    let again = wbf.project(&on).unwrap();
    assert!(on.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-6), "idempotent");
    // Residuals are at right angles to the manifold.
    let coordinates = wbf.coordinates(&on).unwrap();
    for (i, z) in coordinates.iter().enumerate() {
        let residual: Vec<f64> = (0..d).map(|k| off[i * d + k] - on[i * d + k]).collect();
        for k in 0..COORDINATES {
            let moved = |by: f64| {
                let mut z = *z;
                z[k] += by;
                wbf.embed(&z)
            };
            let (up, down) = (moved(1e-6), moved(-1e-6));
            let column = up.iter().zip(down).map(|(a, b)| (a - b) / 2e-6);
            let (mut along, mut size) = (0.0, 0.0);
            column.zip(&residual).for_each(|(c, r)| {
                along += c * r;
                size += c * c;
            });
            // Where a jet would have less than no mass, the manifold ends.
            let ends = [9, 13].contains(&k) && z[k] < -2.9 && along < 0.0;
            let is_right = along.abs() < 1e-4 * size.sqrt().max(1e-2);
            assert!(is_right || ends, "row {i}, coordinate {k} at {}: {along}", z[k]);
        }
    }
}
