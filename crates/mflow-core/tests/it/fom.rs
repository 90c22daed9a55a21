//! Flows on known manifolds. Oracle: lengths and areas of decoded grids, closed forms where `h` is the
//! identity or affine, counts of samples.
use crate::kinds::{Kind, circle, log_normal};
use crate::numbers::{close, device, numbers};
use crate::subject::small_flow;
use crate::volume::{bin_of, check_counts, check_total};
use mflow_bijectors::{
    AngleShiftConfig, BijectorConfig, FeatureAffineConfig, LinearKind, ParamStore, Stream,
};
use mflow_core::candle::DType;
use mflow_core::{ChartConfig, Model, ModelConfig};
use std::f64::consts::{PI, TAU};

const CENTER: [f64; 3] = [1., 0., -0.3];

fn torus() -> ChartConfig {
    ChartConfig::Torus { major: 2., minor: 0.6 }
}
fn stereographic() -> ChartConfig {
    ChartConfig::Stereographic { radius: 1.5, center: CENTER.to_vec() }
}
fn subspace() -> ChartConfig {
    let basis = vec![vec![1., 2., 0., -1.], vec![0.5, 0., 3., 1.]];
    ChartConfig::LinearSubspace { basis, offset: vec![1., 0., 2., -1.] }
}

fn with_flow(chart: ChartConfig, flow: BijectorConfig) -> Box<dyn Model> {
    let config = ModelConfig::fom(chart).with_inner(flow);
    config.build(&mut ParamStore::new(1, DType::F64, device()), |_| true).unwrap()
}

/// Densities of samples, and the samples, from a model and a stream.
fn sampled(model: &dyn Model) -> (Vec<f64>, Vec<f64>) {
    let x = model.sample(30, None, &mut Stream::new(7, "closed form")).unwrap();
    (numbers(&model.log_prob(&x, None).unwrap()), numbers(&x))
}

#[test]
fn without_a_flow_angles_are_uniform() {
    let angles = |n| BijectorConfig::AngleShift(AngleShiftConfig::new(n));
    let (found, _) = sampled(with_flow(circle(2.), angles(1)).as_ref());
    close("circle: -ln 2πr", &found, &[-(TAU * 2.).ln(); 30], 1e-12);
    let (found, x) = sampled(with_flow(torus(), angles(2)).as_ref());
    // The area of du dv is minor (distance from the axis) du dv.
    let expected: Vec<f64> =
        x.chunks(3).map(|x| -2. * TAU.ln() - (0.6 * x[0].hypot(x[1])).ln()).collect();
    close("torus", &found, &expected, 1e-12);
    let flat = ChartConfig::FlatTorus { radii: vec![1., 0.5, 2.] };
    let (found, _) = sampled(with_flow(flat, angles(3)).as_ref());
    close("flat torus", &found, &[-3. * TAU.ln(); 30], 1e-12);
}

#[test]
fn a_normal_density_on_a_sphere_by_stereographic_projection() {
    let (shift, scale) = ([0.3, -0.2], [0.7, 1.4]);
    let affine = FeatureAffineConfig::new(shift.to_vec(), scale.to_vec());
    let (found, x) =
        sampled(with_flow(stereographic(), BijectorConfig::FeatureAffine(affine)).as_ref());
    let expected = x.chunks(3).map(|x| {
        // From the sphere to the plane, by hand: u = y/(1 - y_3), area (2r/(1 + |u|²))².
        let y: Vec<f64> = x.iter().zip(CENTER).map(|(x, c)| (x - c) / 1.5).collect();
        let u = [y[0] / (1. - y[2]), y[1] / (1. - y[2])];
        let latent = [0, 1].map(|k| (u[k] - shift[k]) / scale[k]);
        let slope = 2. * 1.5 / (1. + u[0] * u[0] + u[1] * u[1]);
        log_normal(&latent) - scale.iter().map(|s| s.ln()).sum::<f64>() - 2. * slope.ln()
    });
    close("stereographic", &found, &expected.collect::<Vec<_>>(), 1e-11);
}

#[test]
fn a_logistic_density_on_a_circle_with_a_seam() {
    let affine = FeatureAffineConfig::new(vec![0.4], vec![0.9]);
    let (found, x) = sampled(with_flow(circle(2.), BijectorConfig::FeatureAffine(affine)).as_ref());
    let expected = x.chunks(2).map(|x| {
        let share = ((x[1] + 1.).atan2(x[0] - 0.5) + PI) / TAU;
        let y = (share / (1. - share)).ln();
        // dφ/dy = 2π share (1 - share), ds = r dφ.
        let volume = (2. * TAU * share * (1. - share)).ln();
        log_normal(&[(y - 0.4) / 0.9]) - 0.9_f64.ln() - volume
    });
    close("logistic-normal", &found, &expected.collect::<Vec<_>>(), 1e-10);
}

#[test]
fn a_flow_on_a_subspace_is_normal_in_space() {
    // A standard normal of coordinates has the density exp(-|u|²/2)/2π over the area of the basis.
    let affine = FeatureAffineConfig::new(vec![0.; 2], vec![1.; 2]);
    let (found, x) = sampled(with_flow(subspace(), BijectorConfig::FeatureAffine(affine)).as_ref());
    // |a|² = 6, |b|² = 10.25, a·b = -0.5.
    let area = f64::sqrt(6. * 10.25 - 0.25);
    let expected: Vec<f64> =
        x.chunks(4).map(|x| log_normal(&[x[1] / 2., (x[2] - 2.) / 3.]) - area.ln()).collect();
    close("subspace", &found, &expected, 1e-11);
}

#[test]
fn samples_on_a_circle_fall_where_the_density_says() {
    let seamed = ModelConfig::fom(circle(2.)).with_inner(small_flow(LinearKind::Permutation));
    for config in [ModelConfig::fom(circle(2.)), seamed] {
        let kind = Kind::new(config, 0.8);
        let (bins, fine, rows) = (24, 200, 20_000);
        // Pieces of the circle itself, by their angle in space.
        let step = TAU / (bins * fine) as f64;
        let place = |i: usize| -PI + (i as f64 + 0.5) * step;
        let points =
            (0..bins * fine).map(place).flat_map(|a| [0.5 + 2. * a.cos(), 2. * a.sin() - 1.]);
        let points = crate::numbers::tensor(points.collect(), &[bins * fine, 2]);
        let log_prob = numbers(&kind.model.log_prob(&points, None).unwrap());
        let shares: Vec<f64> = log_prob
            .chunks(fine)
            .map(|piece| piece.iter().map(|v| v.exp() * 2. * step).sum())
            .collect();
        check_total(&kind.what, shares.iter().sum());
        let x = kind.model.sample(rows, None, &mut Stream::new(3, "circle")).unwrap();
        let mut counts = vec![0.; bins];
        for x in numbers(&x).chunks(2) {
            counts[bin_of((x[1] + 1.).atan2(x[0] - 0.5), PI + 1e-12, bins).unwrap()] += 1.;
        }
        check_counts(&kind.what, &counts, &shares, rows);
    }
}
