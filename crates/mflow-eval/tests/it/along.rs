//! Densities along learned curves and sections. Oracle: closed forms of flows on manifolds that are known.

use mflow_bijectors::{BijectorConfig, FeatureAffineConfig, ParamStore, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{ChartConfig, Model, ModelConfig};
use mflow_data::Lorenz;
use mflow_eval::Error;
use mflow_eval::metrics::{
    Evaluated, LORENZ_SLAB, Section, decoded, lorenz_sections, total_variation,
};
use mflow_train::Pool;
use statrs::distribution::{ContinuousCDF, Normal};
use std::f64::consts::TAU;

/// A standard normal, stretched and moved, as the density of coordinates on a known manifold.
fn on(chart: ChartConfig, (shift, scale): (Vec<f64>, Vec<f64>)) -> Box<dyn Model> {
    let affine = BijectorConfig::FeatureAffine(FeatureAffineConfig::new(shift, scale));
    let config = ModelConfig::fom(chart).with_inner(affine);
    config.build(&mut ParamStore::new(1, DType::F64, &Device::Cpu), |_| true).unwrap()
}

#[test]
fn decoded_points_have_the_density_of_a_circle() {
    // Stereographic: at the coordinate t the point is c + r (2t, t² - 1)/(t² + 1), and dt has the length
    // 2r/(1 + t²) dt. Here t = 0.2 + 0.5 ũ.
    let (radius, center) = (1.5, [0.5, -1.]);
    let chart = ChartConfig::Stereographic { radius, center: center.to_vec() };
    let model = on(chart, (vec![0.2], vec![0.5]));
    let pool = Pool::new(1).unwrap();
    let latents: Vec<f64> = (0..50).map(|k| -3. + 0.12 * f64::from(k)).collect();
    let found = decoded(Evaluated { model: model.as_ref(), pool: &pool }, &latents, &[]).unwrap();
    for ((latent, point), log_density) in
        latents.iter().zip(found.points.as_chunks::<2>().0).zip(found.log_density)
    {
        let t = 0.2 + 0.5 * latent;
        let on_circle = [2. * t, t * t - 1.].map(|x| x / (t * t + 1.));
        for k in 0..2 {
            let expected = center[k] + radius * on_circle[k];
            assert!((point[k] - expected).abs() < 1e-12, "latent {latent}: {point:?}");
        }
        let stretch = 0.5 * 2. * radius / (1. + t * t);
        let expected = -0.5 * latent * latent - 0.5 * TAU.ln() - stretch.ln();
        assert!(
            (log_density - expected).abs() < 1e-10,
            "latent {latent}: {log_density}, {expected}"
        );
    }
}

/// The plane through 0 that (1, 0.5, 0.8) and (-0.4, 1, 0.3) span, with a standard normal on it.
fn tilted() -> Box<dyn Model> {
    let basis = vec![vec![1., 0.5, 0.8], vec![-0.4, 1., 0.3]];
    let offset = vec![0.; 3];
    on(ChartConfig::LinearSubspace { basis, offset }, (vec![0.; 2], vec![1.; 2]))
}

#[test]
fn a_section_of_a_gaussian_is_a_gaussian() {
    let model = tilted();
    let pool = Pool::new(1).unwrap();
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    // The decoder is linear: what it makes of the unit vectors has the covariance of (x_1, x_3).
    let rows = decoded(of, &[1., 0., 0., 1.], &[]).unwrap().points;
    let dot = |a: usize, b: usize| rows[a] * rows[b] + rows[3 + a] * rows[3 + b];
    let height = 0.4;
    let mean = dot(0, 2) / dot(2, 2) * height;
    let width = (dot(0, 0) - dot(0, 2).powi(2) / dot(2, 2)).sqrt();
    let section = Section::new(height, [mean - 1.5 * width, mean + 2. * width], 25).unwrap();
    let normal = Normal::new(mean, width).unwrap();
    let edges = &section.edges;
    let total = normal.cdf(edges[25]) - normal.cdf(edges[0]);
    let expected: Vec<f64> =
        edges.windows(2).map(|e| (normal.cdf(e[1]) - normal.cdf(e[0])) / total).collect();
    let found = section.of_model(of, 120).unwrap();
    let distance = total_variation(&found, &expected);
    assert!(distance < 2e-3, "by the decoder: {distance}");

    let latents = Stream::new(3, "samples").normal_tensor(&[400_000, 2], DType::F64, &Device::Cpu);
    let latents = latents.unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let points: Vec<[f64; 3]> = latents
        .as_chunks::<2>()
        .0
        .iter()
        .map(|u| [0, 1, 2].map(|k| u[0] * rows[k] + u[1] * rows[3 + k]))
        .collect();
    let counted = section.of_points(&points, 0.05).unwrap();
    let distance = total_variation(&counted, &expected);
    assert!(distance < 0.03, "by counts: {distance}");
    let off = Section { height: 0.9, ..section.clone() }.of_points(&points, 0.05).unwrap();
    let distance = total_variation(&off, &expected);
    assert!(distance > 0.1, "another height is noticed: {distance}");
    let away = Section { height: 50., ..section }.of_model(of, 50).unwrap_err();
    assert!(matches!(away, Error::NoSamples), "a plane that does not meet it gave {away:?}");
}

#[test]
fn a_section_of_a_sphere_weighs_by_the_slope() {
    // At the height of a circle of latitude |u| = rho in stereographic coordinates, u = shift + scale ũ. By
    // symmetry the circle has the density of u there, per angle.
    let (radius, center, rho) = (1.5, [0.2, -1., 0.4], 1.3_f64);
    let (shift, scale) = ([0.3, -0.2], [0.5, 1.1]);
    let chart = ChartConfig::Stereographic { radius, center: center.to_vec() };
    let model = on(chart, (shift.to_vec(), scale.to_vec()));
    let pool = Pool::new(1).unwrap();
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let height = center[2] + radius * (rho * rho - 1.) / (rho * rho + 1.);
    let reach = 2. * radius * rho / (rho * rho + 1.);
    let section = Section::new(height, [center[0] - reach, center[0] + reach], 20).unwrap();
    let mut expected = vec![0.; 20];
    for k in 0..200_000 {
        let (sin, cos) = (TAU * (f64::from(k) + 0.5) / 200_000.).sin_cos();
        let latent = [(rho * cos - shift[0]) / scale[0], (rho * sin - shift[1]) / scale[1]];
        let bin = section.edges.partition_point(|&edge| edge <= center[0] + reach * cos);
        expected[bin.clamp(1, 20) - 1] += (-0.5 * (latent[0].powi(2) + latent[1].powi(2))).exp();
    }
    let total: f64 = expected.iter().sum();
    expected.iter_mut().for_each(|mass| *mass /= total);
    let found = section.of_model(of, 150).unwrap();
    let distance = total_variation(&found, &expected);
    assert!(distance < 3e-3, "{distance}: {found:?}, {expected:?}");
}

#[test]
fn both_wings_of_the_attractor_are_mirror_images() {
    let [left, right] = lorenz_sections().unwrap();
    let (first, second) = Lorenz::trajectories().split_at(500_000);
    let of =
        |section: &Section, points: &[[f64; 3]]| section.of_points(points, LORENZ_SLAB).unwrap();
    let (l, r) = (of(&left, Lorenz::trajectories()), of(&right, Lorenz::trajectories()));
    // The system is symmetric under a half turn round its third axis.
    let mirrored: Vec<f64> = l.iter().rev().copied().collect();
    let distance = total_variation(&mirrored, &r);
    assert!(distance < 0.06, "the mirror image: {distance}");
    assert!(total_variation(&l, &r) > 0.2, "which is not the same");
    let distance = total_variation(&of(&right, first), &of(&right, second));
    assert!(distance < 0.05, "two halves: {distance}");
    assert_eq!((l[0], r[r.len() - 1]), (0., 0.), "the wings end before the bins do");
}
