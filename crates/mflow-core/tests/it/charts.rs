//! Charts against what geometry says of them: equations, lengths and areas. What holds for every embedding is in `laws.rs`.
use crate::laws::Saddle;
use crate::numbers::{device, normal, numbers, tensor};
use mflow_bijectors::{Diff, Domain, ParamStore};
use mflow_core::candle::{DType, Tensor, Var};
use mflow_core::{
    Chart, ChartConfig, ChartedFlow, Embedding, Graph, GraphFunction, Hypersphere, Stereographic,
    gram_log_det,
};
use std::f64::consts::PI;

#[track_caller]
fn close(what: &str, a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.dims(), b.dims(), "{what}: shapes");
    let pairs = numbers(a).into_iter().zip(numbers(b));
    let gap = pairs.map(|(a, b)| (a - b).abs() / (1. + b.abs()));
    let gap = gap.fold(0_f64, |m, g| if g.is_nan() { f64::INFINITY } else { m.max(g) });
    assert!(gap <= tolerance, "{what}: gap {gap:.1e} exceeds {tolerance:.1e}");
}

/// Charts by name.
fn charts() -> Vec<(&'static str, Box<dyn Embedding>)> {
    let sphere = |dim, radius, center: &[f64]| ChartConfig::Hypersphere {
        dim,
        radius,
        center: center.to_vec(),
    };
    let basis = vec![vec![1., 2., 0., -1.], vec![0.5, 0., 3., 1.]];
    let configs = [
        ("3-sphere in R^6", sphere(3, 1.3, &[0., 0.1, 0.2, 0.3, -1., 2.])),
        ("torus", ChartConfig::Torus { major: 2., minor: 0.6 }),
        ("flat torus", ChartConfig::FlatTorus { radii: vec![1., 0.5, 2.] }),
        ("subspace", ChartConfig::LinearSubspace { basis, offset: vec![1., 0., 2., -1.] }),
        ("stereographic", ChartConfig::Stereographic { radius: 1.5, center: vec![1., 0., -0.3] }),
    ];
    let mut all: Vec<(&'static str, Box<dyn Embedding>)> =
        configs.map(|(name, config)| (name, config.build(DType::F64, device()).unwrap())).into();
    all.push(("saddle", Box::new(Graph::new(Saddle, DType::F64))));
    all
}

/// Random coordinates inside the domain.
fn coordinates(chart: &dyn Embedding, rows: usize) -> Tensor {
    let n = chart.manifold_dim();
    let domain = chart.domain();
    let place = |(i, v): (usize, f64)| {
        let of = match &domain {
            Domain::Features(each) => &each[i % n],
            all => all,
        };
        match of {
            Domain::Interval { low, high } => low + (high - low) * (0.5 + 0.45 * v.tanh()),
            Domain::Angle => 3.1 * v.tanh(),
            _ => v,
        }
    };
    let values = numbers(&normal("coordinates", &[rows, n]));
    tensor(values.into_iter().enumerate().map(place).collect(), &[rows, n])
}

/// Midpoint sums of `exp(log_volume)` over a box of coordinates.
fn integral(chart: &dyn Embedding, bounds: &[(f64, f64)], steps: usize) -> f64 {
    let n = bounds.len();
    let cells = steps.pow(u32::try_from(n).unwrap());
    let mut u = Vec::with_capacity(cells * n);
    for cell in 0..cells {
        let mut rest = cell;
        for (low, high) in bounds {
            let i = rest % steps;
            rest /= steps;
            u.push(low + (high - low) * (i as f64 + 0.5) / steps as f64);
        }
    }
    let volume: f64 = bounds.iter().map(|(low, high)| (high - low) / steps as f64).product();
    let log_volume = chart.log_volume(&tensor(u, &[cells, n]), None).unwrap();
    numbers(&log_volume).iter().map(|l| l.exp() * volume).sum()
}

#[test]
fn areas_are_those_of_geometry() {
    let circle = (-PI, PI);
    let polar = (0., PI);
    let sphere = |dim, radius: f64| {
        let center = vec![0.; dim + 1];
        ChartConfig::Hypersphere { dim, radius, center }.build(DType::F64, device()).unwrap()
    };
    let check = |what: &str, found: f64, expected: f64, tolerance: f64| {
        assert!((found / expected - 1.).abs() < tolerance, "{what}: {found}, not {expected}");
    };
    let r: f64 = 1.3;
    check("circle", integral(sphere(1, r).as_ref(), &[circle], 10), 2. * PI * r, 1e-12);
    let area = integral(sphere(2, r).as_ref(), &[polar, circle], 400);
    check("sphere", area, 4. * PI * r * r, 1e-5);
    let area = integral(sphere(3, r).as_ref(), &[polar, polar, circle], 60);
    check("3-sphere", area, 2. * PI * PI * r.powi(3), 1e-3);
    let torus = ChartConfig::Torus { major: 2., minor: 0.5 }.build(DType::F64, device()).unwrap();
    check("torus", integral(torus.as_ref(), &[circle, circle], 64), 4. * PI * PI, 1e-12);
    let flat = ChartConfig::FlatTorus { radii: vec![1., 0.5] }.build(DType::F64, device()).unwrap();
    check("flat torus", integral(flat.as_ref(), &[circle, circle], 4), 2. * PI * PI, 1e-12);
    // From -1 to 1 is half of the circle.
    let half = Stereographic::new(r, &[0., 0.], DType::F64, device()).unwrap();
    check("half circle", integral(&half, &[(-1., 1.)], 2000), PI * r, 1e-6);
    let wide = Stereographic::new(1., &[0., 0., 0.], DType::F64, device()).unwrap();
    let inner = integral(&wide, &[(-30., 30.), (-30., 30.)], 1500);
    // Outside of the square there is less than of the disc of radius 30: 4π/(1 + 900).
    assert!(inner < 4. * PI && inner > 4. * PI * (1. - 1. / 901.), "sphere: {inner}");
}

#[test]
fn points_satisfy_their_equations() {
    let all = charts();
    let points = |name: &str| {
        let (_, chart) = all.iter().find(|(n, _)| *n == name).unwrap();
        let d = chart.data_dim();
        let x = chart.embed(&coordinates(chart.as_ref(), 20), None).unwrap();
        numbers(&x).chunks_exact(d).map(<[f64]>::to_vec).collect::<Vec<_>>()
    };
    let radius = |x: &[f64], center: &[f64]| {
        x.iter().zip(center).map(|(x, c)| (x - c).powi(2)).sum::<f64>().sqrt()
    };
    for x in points("3-sphere in R^6") {
        let r = radius(&x, &[0., 0.1, 0.2, 0.3, -1., 2.]);
        assert!((r - 1.3).abs() < 1e-14 && x[4..] == [-1., 2.], "{x:?}");
    }
    for x in points("stereographic") {
        assert!((radius(&x, &[1., 0., -0.3]) - 1.5).abs() < 1e-14, "{x:?}");
    }
    for x in points("torus") {
        let tube = (x[0].hypot(x[1]) - 2.).hypot(x[2]);
        assert!((tube - 0.6).abs() < 1e-14, "{x:?}");
    }
    for x in points("flat torus") {
        let radii = [x[0].hypot(x[1]), x[2].hypot(x[3]), x[4].hypot(x[5])];
        let off = radii.iter().zip([1., 0.5, 2.]).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(off < 1e-14, "{x:?}");
    }
    for x in points("saddle") {
        let height = 0.2 * (x[0] * x[0] - x[1] * x[1]) + 0.1 * x[0] * x[1];
        assert!((x[2] - height).abs() < 1e-14, "{x:?}");
    }
    for x in points("subspace") {
        let v: Vec<f64> = x.iter().zip([1., 0., 2., -1.]).map(|(x, o)| x - o).collect();
        let (a, b) = ([1., 2., 0., -1.], [0.5, 0., 3., 1.]);
        // v = s a + t b from its second and third numbers.
        let (s, t) = (v[1] / 2., v[2] / 3.);
        let off = (0..4).map(|i| (v[i] - s * a[i] - t * b[i]).abs()).fold(0., f64::max);
        assert!(off < 1e-13, "{x:?}");
    }
}

/// The same sphere by two charts: a density has the same values on it.
#[test]
fn two_charts_of_a_sphere_agree() {
    let center = [1., 0., -0.3];
    let spherical = Hypersphere::new(2, 1.5, &center, DType::F64, device()).unwrap();
    let flat = Stereographic::new(1.5, &center, DType::F64, device()).unwrap();
    let u = coordinates(&spherical, 20);
    let x = Embedding::embed(&spherical, &u, None).unwrap();
    let v = Embedding::coordinates(&flat, &x, None).unwrap();
    close("points", &Embedding::embed(&flat, &v, None).unwrap(), &x, 1e-13);
    // |dv/du| by differences, which is the ratio of the volumes.
    let step = |k: usize| {
        let along = Tensor::eye(2, DType::F64, device()).unwrap().narrow(0, k, 1).unwrap();
        let at = |sign: f64| {
            let u = u.broadcast_add(&(&along * (sign * 1e-6)).unwrap()).unwrap();
            let x = Embedding::embed(&spherical, &u, None).unwrap();
            Embedding::coordinates(&flat, &x, None).unwrap()
        };
        ((at(1.) - at(-1.)).unwrap() / 2e-6).unwrap().unsqueeze(1).unwrap()
    };
    let jacobian = Tensor::cat(&[step(0), step(1)], 1).unwrap();
    let log_det = (gram_log_det(&jacobian).unwrap() * 0.5).unwrap();
    let volume = |chart: &dyn Embedding, u: &Tensor| chart.log_volume(u, None).unwrap();
    let expected = (volume(&spherical, &u) - volume(&flat, &v)).unwrap();
    close("volumes", &log_det, &expected, 1e-7);
}

#[test]
fn where_coordinates_are_not_unique() {
    let sphere = Hypersphere::new(2, 1., &[0., 0., 0.], DType::F64, device()).unwrap();
    let origin = tensor(vec![0.; 3], &[1, 3]);
    let u = Embedding::coordinates(&sphere, &origin, None).unwrap();
    assert_eq!(numbers(&u), [0., 0.], "of the centre the first pole");
    assert_eq!(numbers(&Embedding::log_volume(&sphere, &u, None).unwrap())[0], f64::NEG_INFINITY);
    let flat = Stereographic::new(1., &[0., 0., 0.], DType::F64, device()).unwrap();
    let pole = tensor(vec![0., 0., 1.], &[1, 3]);
    let u = numbers(&Embedding::coordinates(&flat, &pole, None).unwrap());
    assert!(u.iter().all(|v| !v.is_finite()), "of the pole none: {u:?}");
}

#[test]
fn configs_are_files_and_are_checked() {
    let text = r#"{"kind": "hypersphere", "dim": 2, "radius": 1.5, "center": [0, 0, 1]}"#;
    let config: ChartConfig = serde_json::from_str(text).unwrap();
    let expected = ChartConfig::Hypersphere { dim: 2, radius: 1.5, center: vec![0., 0., 1.] };
    assert_eq!(config, expected);
    let back = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ChartConfig>(&back).unwrap(), config);
    let misspelt = text.replace("radius", "radios");
    assert!(serde_json::from_str::<ChartConfig>(&misspelt).is_err(), "an unknown key");
    for (text, expected) in [
        (
            r#"{"kind": "hypersphere", "dim": 2, "radius": 1, "center": [0, 0]}"#,
            "`hypersphere.dim` must be positive and less than the length of the centre, 2, found 2",
        ),
        (
            r#"{"kind": "hypersphere", "dim": 1, "radius": -1, "center": [0, 0]}"#,
            "`hypersphere.radius` must be positive and finite, found -1",
        ),
        (
            r#"{"kind": "torus", "major": 1, "minor": 2}"#,
            "`torus.minor` must be less than the major radius 1, found 2",
        ),
        (r#"{"kind": "flat_torus", "radii": []}"#, "`flat_torus.radii` must not be empty"),
        (
            r#"{"kind": "linear_subspace", "basis": [[1, 2, 3], [2, 4, 6]], "offset": [0, 0, 0]}"#,
            "`linear_subspace.basis` must be independent, found that vector 1 is not",
        ),
        (
            r#"{"kind": "linear_subspace", "basis": [[1, 2]], "offset": [0, 0, 0]}"#,
            "`linear_subspace.basis` must have vectors of 3 numbers, found 2",
        ),
        (
            r#"{"kind": "stereographic", "radius": 1, "center": [0]}"#,
            "`stereographic.center` must have two coordinates or more, found 1",
        ),
        (
            r#"{"kind": "zero_padding", "coordinate_dim": 4, "data_dim": 3}"#,
            "`manifold_dim` must be at least 1 and at most the data dimension 3, found 4",
        ),
    ] {
        let config: ChartConfig = serde_json::from_str(text).unwrap();
        let message = config.build(DType::F64, device()).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message, format!("invalid config: {expected}"));
    }
}

#[test]
fn some_charts_have_names() {
    let named = |name: &str| serde_json::from_value::<ChartConfig>(name.into());
    for (name, dims, point, expected) in [
        ("circle", (2, 1), vec![0.5 * PI], vec![0., 1.]),
        ("sphere", (3, 2), vec![0.5 * PI, 0.], vec![0., 1., 0.]),
        ("torus", (3, 2), vec![0., 0.5 * PI], vec![1., 0., 0.5]),
    ] {
        let config = named(name).unwrap();
        assert_eq!(config.dims(), dims, "{name}");
        let chart = config.build(DType::F64, device()).unwrap();
        let x = chart.embed(&tensor(point.clone(), &[1, point.len()]), None).unwrap();
        close(name, &x, &tensor(expected.clone(), &[1, expected.len()]), 1e-15);
        // A file has it written out.
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.contains("radius") || text.contains("major"), "{text}");
        assert_eq!(serde_json::from_str::<ChartConfig>(&text).unwrap(), config, "{name}");
    }
    let message = named("disc").unwrap_err().to_string();
    let expected = "expected a chart, a table or one of `circle`, `sphere`, `torus`, found `disc`";
    assert_eq!(message, expected);
}

/// Where a coordinate is not unique it has no derivative; one that is not finite would end a training.
#[test]
fn gradients_at_centres_and_axes_are_finite() {
    let spherical = |dim| ChartConfig::Hypersphere { dim, radius: 1., center: vec![0.; dim + 1] };
    let torus = ChartConfig::Torus { major: 2., minor: 0.5 };
    let flat = ChartConfig::FlatTorus { radii: vec![1., 0.5] };
    for (config, points) in [
        (spherical(1), vec![0., 0.]),
        (spherical(2), vec![0., 0., 0., 1., 0., 0., -1., 0., 0.]),
        (torus, vec![0., 0., 0., 0., 0., 1., 2., 0., 0.]),
        (flat, vec![0., 0., 1., 0.]),
    ] {
        let chart = config.build(DType::F64, device()).unwrap();
        let d = chart.data_dim();
        let x = Var::from_tensor(&tensor(points.clone(), &[points.len() / d, d])).unwrap();
        let u = chart.coordinates(x.as_tensor(), None).unwrap();
        let projected = chart.embed(&u, None).unwrap();
        let total = (projected.sum_all().unwrap() + u.sum_all().unwrap()).unwrap();
        let gradient = numbers(total.backward().unwrap().get(&x).unwrap());
        assert!(gradient.iter().all(|g| g.is_finite()), "{config:?}: {gradient:?}");
    }
}

/// A chart of fewer dimensions than the flow lies in its first latents.
#[test]
fn charts_take_flows() {
    let mut store = ParamStore::new(3, DType::F64, device());
    let flow = mflow_bijectors::FlowConfig::real_nvp().bijector(3, 0).unwrap();
    let f = store.create(&flow).unwrap();
    // A circle in the plane of the first two latents.
    let circle = Hypersphere::new(1, 1.2, &[0.3, -0.1], DType::F64, device()).unwrap();
    let in_space = ChartedFlow::over(circle.clone(), f.clone()).unwrap();
    let u = coordinates(&in_space, 7);
    let flat = Embedding::embed(&circle, &u, None).unwrap();
    let latent = flat.pad_with_zeros(1, 0, 1).unwrap();
    let expected = f.forward(&latent, None).unwrap().value;
    close("circle", &in_space.embed(&u, None).unwrap(), &expected, 1e-13);
    assert!(!in_space.projects_to_nearest() && circle.projects_to_nearest(), "behind a flow");
    let torus = mflow_core::FlatTorus::new(&[1., 1.], DType::F64, device()).unwrap();
    let message = ChartedFlow::over(torus, f).map(|_| ()).unwrap_err().to_string();
    let expected = "invalid config: `charted_flow.f` must be a map of vectors of 4 features or more, \
                    found [3]";
    assert_eq!(message, expected);
}

/// A function whose graph has no nearest point to rounding in the steps there are.
#[derive(Clone, Debug)]
struct Wild;

impl GraphFunction for Wild {
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> usize {
        1
    }
    fn call<T: Diff>(&self, u: &T) -> mflow_bijectors::Result<T> {
        u.scale(3.)?.sin()?.scale(2.)
    }
}

/// From far off, damping keeps the steps downhill to a local minimum.
#[test]
fn a_wild_graph_still_has_a_local_minimum() {
    let graph = Graph::new(Wild, DType::F64);
    let x = (normal("wild", &[40, 2]) * 3.).unwrap();
    let u = Embedding::coordinates(&graph, &x, None).unwrap();
    let point = Embedding::embed_with_jacobian(&graph, &u, None).unwrap();
    let miss = (&x - point.value()).unwrap();
    let along = point.tangents().unwrap().matmul(&miss.unsqueeze(2).unwrap()).unwrap();
    close("stationary", &along, &along.zeros_like().unwrap(), 1e-5);
    let start = Chart::embed(&graph, &x.narrow(1, 0, 1).unwrap().contiguous().unwrap()).unwrap();
    let square = |t: Tensor| numbers(&t.sqr().unwrap().sum(1).unwrap());
    for (before, after) in square((&x - start).unwrap()).iter().zip(square(miss)) {
        assert!(after <= *before, "{after} is farther than {before}");
    }
}
