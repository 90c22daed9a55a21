//! Rendered scenes. Oracles: centres of mass, central differences, and another renderer, tiny-skia, at 16 times the resolution.

use std::f64::consts::PI;

use mflow_bijectors::Stream;
use mflow_data::{Scenes, Simulator, simulator_by_name};
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Transform};

use crate::files::assert_error;

fn stream() -> Stream {
    Stream::new(7, "scenes")
}

/// Every size and colour that tests look at.
fn kinds() -> Vec<[usize; 2]> {
    let channels = |size| [1, 3].map(|channels| [size, channels]);
    [16, 23, 32, 64].into_iter().flat_map(channels).collect()
}

/// Weight and centre of mass, in pixels, of `[size, size]` numbers.
fn mass(image: &[f64], size: usize) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (i, value) in image.iter().enumerate() {
        let at = [1.0, (i % size) as f64 + 0.5, (i / size) as f64 + 0.5];
        sums.iter_mut().zip(at).for_each(|(sum, at)| *sum += value * at);
    }
    [sums[0], sums[1] / sums[0], sums[2] / sums[0]]
}

#[test]
fn the_centre_of_mass_of_a_disc_follows_its_position() {
    for size in [16, 32, 64] {
        let scenes = Scenes::new(2, size, 1).unwrap();
        let side = size as f64;
        let factors = scenes.draw_factors(200, &mut stream());
        let images = scenes.render(&factors).unwrap();
        for (image, z) in images.chunks(size * size).zip(factors.chunks(2)) {
            // White is 185 on 65.
            let cover: Vec<f64> = image.iter().map(|value| (value - 65.0) / 120.0).collect();
            let [area, right, down] = mass(&cover, size);
            let expected = [z[0], z[1]].map(|z| side * (0.5 + 0.22 * z));
            for (found, expected) in [right, down].into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.01, "{size}: {found} at {expected}");
            }
            // A soft edge adds the curvature's share: 1 % at a radius of 2.7 pixels.
            let disc = PI * (0.17 * side).powi(2);
            assert!((area / disc - 1.0).abs() < 0.03, "{size}: {area} of {disc}");
        }
    }
}

/// How much of each pixel an ellipse covers, by 16 x 16 points of tiny-skia.
fn ellipse(size: u32, centre: [f64; 2], axes: [f64; 2], degrees: f64) -> Vec<f64> {
    const FINE: u32 = 16;
    #[expect(clippy::cast_possible_truncation, reason = "as tiny-skia has numbers")]
    let single = |value: f64| value as f32;
    let mut pixmap = Pixmap::new(size * FINE, size * FINE).unwrap();
    let path = PathBuilder::from_circle(0.0, 0.0, 1.0).unwrap();
    let fine = f64::from(FINE);
    let [x, y] = centre.map(|at| single(at * fine));
    let [a, b] = axes.map(|axis| single(axis * fine));
    let turn = Transform::from_rotate(single(degrees));
    let place = Transform::from_scale(a, b).post_concat(turn).post_translate(x, y);
    let mut paint = Paint::default();
    paint.set_color_rgba8(255, 255, 255, 255);
    pixmap.fill_path(&path, &paint, FillRule::Winding, place, None);
    let mut cover = vec![0.0; (size * size) as usize];
    for (i, pixel) in pixmap.pixels().iter().enumerate() {
        let (size, fine) = (size as usize, FINE as usize);
        let (x, y) = (i % (size * fine) / fine, i / (size * fine) / fine);
        cover[y * size + x] += f64::from(pixel.alpha()) / 255.0 / f64::from(FINE * FINE);
    }
    cover
}

/// The root of the mean square of the difference.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

#[test]
fn a_scene_is_what_another_renderer_draws_but_for_the_softness_of_edges() {
    for size in [16_u32, 32, 64] {
        let (scenes, side) = (Scenes::new(8, size as usize, 1).unwrap(), f64::from(size));
        let factors = scenes.draw_factors(20, &mut stream());
        let images = scenes.render(&factors).unwrap();
        for (image, z) in images.chunks((size * size) as usize).zip(factors.chunks(8)) {
            let centre = [z[0], z[1]].map(|z| side * (0.5 + 0.22 * z));
            let radius = 0.17 * side * 1.25_f64.powf(z[2]);
            let elongation = (1.4 * 1.15_f64.powf(z[3])).sqrt();
            let axes = [radius * elongation, radius / elongation];
            let drawn = |degrees: f64| -> Vec<f64> {
                let cover = ellipse(size, centre, axes, degrees);
                let at = |(i, cover): (usize, &f64)| {
                    let down = (2 * (i / size as usize) + 1) as f64 / side - 1.0;
                    let background = 65.0 + 35.0 * z[6] + 25.0 * z[7] * down;
                    background + (185.0 + 25.0 * z[5] - background) * cover
                };
                cover.iter().enumerate().map(at).collect()
            };
            let found = apart(image, &drawn(60.0 * z[4]));
            // Edges are 4 radii of a third of a pixel or so, and up to 0.1 of the contrast off.
            assert!(found < 150.0 * 0.1 * (4.0 * radius * 1.5).sqrt() / side, "{size}: {found}");
            // Another angle is not the same picture.
            if z[4].abs() > 0.3 {
                let mirrored = apart(image, &drawn(-60.0 * z[4]));
                assert!(mirrored > 2.0 * found, "{size}: {mirrored}, and {found} at the angle");
            }
        }
    }
}

/// The Jacobian by central differences: `K` columns of `D`.
fn differences(scenes: &Scenes, z: &[f64]) -> Vec<Vec<f64>> {
    const STEP: f64 = 1e-5;
    let moved = |k: usize, by: f64| {
        let mut z = z.to_vec();
        z[k] += by;
        scenes.render(&z).unwrap()
    };
    let column = |k| -> Vec<f64> {
        let (up, down) = (moved(k, STEP), moved(k, -STEP));
        up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * STEP)).collect()
    };
    (0..z.len()).map(column).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// What is left of each column beside those before it: its norm, and that as a part of the whole.
fn left(mut columns: Vec<Vec<f64>>) -> Vec<[f64; 2]> {
    let mut left = Vec::new();
    for k in 0..columns.len() {
        let whole = norm(&columns[k]);
        for _ in 0..2 {
            let (before, rest) = columns.split_at_mut(k);
            for unit in before.iter() {
                let along: f64 = unit.iter().zip(&rest[0]).map(|(a, b)| a * b).sum();
                rest[0].iter_mut().zip(unit).for_each(|(x, u)| *x -= along * u);
            }
        }
        let length = norm(&columns[k]);
        columns[k].iter_mut().for_each(|x| *x /= length);
        left.push([length, length / whole]);
    }
    left
}

/// Factors with room for differences.
fn inner(scenes: &Scenes, n: usize) -> Vec<f64> {
    scenes.draw_factors(n, &mut stream()).into_iter().map(|z| 0.999 * z).collect()
}

#[test]
fn the_dimension_is_the_number_of_factors() {
    for [size, channels] in kinds() {
        for factors in [1, 2, 3, 5, 8, 13, 64] {
            let scenes = Scenes::new(factors, size, channels).unwrap();
            for z in inner(&scenes, 3).chunks(factors) {
                let columns = differences(&scenes, z);
                let least = left(columns.clone()).iter().map(|l| l[1]).fold(1.0, f64::min);
                assert!(least > 0.05, "{factors} factors, {size} pixels, {channels}: {least}");
                // The measure tells: a direction that is there already leaves nothing.
                let again = columns.iter().chain(columns.first()).cloned().collect();
                assert!(left(again)[factors][1] < 1e-6, "a copy");
            }
        }
    }
}

#[test]
fn the_density_has_the_volume_of_differences() {
    for (factors, size, channels) in [(2, 32, 1), (8, 16, 3), (11, 16, 1), (64, 16, 1)] {
        let scenes = Scenes::new(factors, size, channels).unwrap();
        let z = inner(&scenes, 3);
        let log_prob = scenes.log_prob_of(&z).unwrap();
        for (z, found) in z.chunks(factors).zip(log_prob) {
            let volume: f64 = left(differences(&scenes, z)).iter().map(|l| l[0].ln()).sum();
            let expected = -(factors as f64) * 2_f64.ln() - volume;
            assert!((found - expected).abs() < 1e-4, "{factors}: {found}, {expected}");
        }
    }
}

#[test]
fn images_are_smooth_along_every_path_and_stay_in_range() {
    const STEP: f64 = 1e-4;
    for (factors, size) in [(2, 16), (8, 32), (64, 16)] {
        let scenes = Scenes::new(factors, size, 1).unwrap();
        let [from, to] = [scenes.draw_factors(1, &mut stream()), vec![0.3; factors]];
        let way = from.iter().zip(&to).map(|(a, b)| b - a).collect::<Vec<_>>();
        let length = norm(&way);
        let at = |step: u32| -> Vec<f64> {
            from.iter().zip(&way).map(|(a, w)| a + w / length * STEP * f64::from(step)).collect()
        };
        let images: Vec<Vec<f64>> =
            (0..4000).map(|step| scenes.render(&at(step)).unwrap()).collect();
        for three in images.windows(3) {
            let pixels = three[0].iter().zip(&three[1]).zip(&three[2]);
            for ((before, at), after) in pixels {
                let second = (before - 2.0 * at + after) / (STEP * STEP);
                // A step of a thousandth of a grey value would be 1e5.
                assert!(second.abs() < 2e4, "{factors}: {second}");
            }
        }
    }
    for channels in [1, 3] {
        let scenes = Scenes::new(64, 16, channels).unwrap();
        let corner = |z: f64| if z < 0.0 { -1.0 } else { 1.0 };
        let z = scenes.draw_factors(500, &mut stream()).into_iter().map(corner).collect::<Vec<_>>();
        let images = scenes.render(&z).unwrap();
        assert!(images.iter().all(|value| (0.0..=255.0).contains(value)), "bytes can hold them");
    }
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    let scenes = Scenes::new(8, 32, 3).unwrap();
    let drawn = |seed| scenes.sample(40, &[], &mut Stream::new(seed, "scenes")).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| drawn(1))
    };
    assert_eq!(on(1), on(3));
    assert_eq!(on(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
    let rng = &mut Stream::new(1, "scenes");
    let pieces = [15, 25].map(|n| scenes.render(&scenes.draw_factors(n, rng)).unwrap());
    assert_eq!(pieces.concat(), drawn(1), "in pieces as at once");
    // Uniform in the box.
    let z = scenes.draw_factors(20_000, &mut stream());
    let n = z.len() as f64;
    let [mean, square] = [1, 2].map(|k| z.iter().map(|z| z.powi(k)).sum::<f64>() / n);
    assert!(mean.abs() < 4.0 / (3.0 * n).sqrt() && (square - 1.0 / 3.0).abs() < 0.01, "{mean}");
    assert!(z.iter().all(|z| (-1.0..1.0).contains(z)), "in the box");
}

#[test]
fn factors_have_names_and_scenes_are_found_by_theirs() {
    let names = Scenes::new(10, 16, 1).unwrap().factor_names();
    assert_eq!(names.len(), 10);
    assert_eq!(
        [&names[0], &names[6], &names[9]],
        ["shape 1: right", "shape 1: background", "shape 2: down"]
    );
    for (name, factors) in [("scenes-1", 1), ("scenes-8", 8), ("scenes-17", 17), ("scenes-64", 64)]
    {
        let simulator = simulator_by_name(name).unwrap();
        assert_eq!((simulator.name(), simulator.manifold_dim()), (name, factors));
        assert_eq!(simulator.data_dim(), 256, "{name}");
    }
    for name in ["scenes-0", "scenes-65", "scenes-", "scenes-08"] {
        assert_error(simulator_by_name(name), &[name, "`scenes-8`"]);
    }
}

#[test]
fn errors_name_what_is_wrong() {
    assert_error(Scenes::new(0, 16, 1), &["factors of a scene", "1 to 64", "found 0"]);
    assert_error(Scenes::new(65, 16, 1), &["1 to 64", "found 65"]);
    assert_error(Scenes::new(2, 15, 1), &["the side of a scene", "16 to 64 pixels", "found 15"]);
    assert_error(Scenes::new(2, 65, 1), &["16 to 64 pixels", "found 65"]);
    assert_error(Scenes::new(2, 16, 2), &["channels", "1 (grey) or 3", "found 2"]);
    let scenes = Scenes::new(2, 16, 1).unwrap();
    assert_error(scenes.render(&[0.0; 3]), &["factors", "rows of 2", "found 3"]);
    assert_error(scenes.render(&[0.0, 0.0, 0.0, 1.5]), &["row 1", "factor 1", "found 1.5"]);
    assert_error(scenes.log_prob_of(&[f64::NAN, 0.0]), &["row 0", "factor 0", "found NaN"]);
    assert_error(scenes.log_prob(&[0.0; 256], &[]), &["scenes-2", "log_prob"]);
    assert_error(scenes.project(&[0.0; 256]), &["scenes-2", "project"]);
    assert!(scenes.sample(2, &[0.0], &mut stream()).is_err(), "it has no parameters");
}

/// The part of `v` that is orthogonal to all of the columns, which are not so to each other.
fn normal_part(mut columns: Vec<Vec<f64>>, mut v: Vec<f64>) -> Vec<f64> {
    columns.push(v.clone());
    // Twice, as rounding leaves something the first time.
    for _ in 0..2 {
        for k in 0..columns.len() {
            let (before, rest) = columns.split_at_mut(k);
            for unit in before.iter() {
                let along: f64 = unit.iter().zip(&rest[0]).map(|(a, b)| a * b).sum();
                rest[0].iter_mut().zip(unit).for_each(|(x, u)| *x -= along * u);
            }
            let length = norm(&rest[0]);
            if k + 1 < columns.len() {
                columns[k].iter_mut().for_each(|x| *x /= length);
            }
        }
    }
    if let Some(last) = columns.pop() {
        v = last;
    }
    v
}

/// Oracle: a step along the normal of the manifold, shorter than its radius of curvature, has the point where it began as the
/// nearest.
#[test]
fn nearest_scenes_are_where_a_normal_step_began() {
    for (factors, size, channels) in [(2, 16, 1), (5, 16, 3), (8, 24, 1)] {
        let scenes = Scenes::new(factors, size, channels).unwrap();
        let z: Vec<f64> = inner(&scenes, 6).into_iter().map(|z| 0.9 * z).collect();
        let mut noise = Stream::new(3, "off the manifold");
        let mut images = Vec::new();
        let mut lengths = Vec::new();
        for z in z.chunks(factors) {
            let image = scenes.render(z).unwrap();
            let step = normal_part(differences(&scenes, z), noise.normal(image.len()));
            // Two pixel values in all: edges curve within tens.
            let scale = 2.0 / norm(&step);
            images.extend(image.iter().zip(&step).map(|(x, s)| x + scale * s));
            lengths.push(2.0);
        }
        let found = scenes.nearest(&images, &mut stream()).unwrap();
        for (row, (distance, length)) in found.distances.iter().zip(&lengths).enumerate() {
            assert!((distance - length).abs() < 0.05, "{factors}, {row}: {distance}");
        }
        let again = scenes.render(&found.factors).unwrap();
        let difference: Vec<f64> = again.iter().zip(&images).map(|(a, b)| a - b).collect();
        let dim = images.len() / lengths.len();
        for (row, distance) in difference.chunks(dim).zip(&found.distances) {
            assert!((norm(row) - distance).abs() < 1e-9, "the factors are those of the distance");
        }
    }
}

#[test]
fn images_far_from_all_scenes_have_a_distance_too() {
    let scenes = Scenes::new(3, 16, 1).unwrap();
    let far = vec![-1000.0; 256];
    let found = scenes.nearest(&far, &mut stream()).unwrap();
    // All pixels are from 0 to 255.
    assert!(found.distances[0] > 16.0 * 1000.0 && found.distances[0] < 16.0 * 1255.0);
    assert!(found.factors.iter().all(|z| (-1.0..=1.0).contains(z)));
    assert_eq!(scenes.nearest(&[], &mut stream()).unwrap().distances, Vec::<f64>::new());
    assert!(scenes.nearest(&far[1..], &mut stream()).is_err());
    assert!(scenes.nearest(&[f64::NAN; 256], &mut stream()).is_err());
}
