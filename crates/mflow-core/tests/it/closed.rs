//! M-flows whose manifold is closed. Oracle: lengths and areas of decoded grids, turns that change
//! nothing, circles and spheres by their equations, counts of samples.
use crate::kinds::{Kind, circle, closed, small, units};
use crate::numbers::{close, device, normal, numbers, tensor};
use crate::volume::{Integrand, bin_of, check_counts, check_total};
use mflow_bijectors::{BijectorConfig, FeatureAffineConfig, ParamStore, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ChartConfig, ModelConfig};
use std::f64::consts::{PI, TAU};

fn named(name: &str) -> ChartConfig {
    ChartConfig::named(name).unwrap()
}

fn integrand<R>(kind: &Kind, f: impl FnOnce(Integrand<'_>) -> R) -> R {
    f(Integrand {
        n: kind.dims().1,
        decode: &|u| kind.model.decode(u, None).unwrap(),
        log_prob: &|_, x| kind.model.log_prob(x, None).unwrap(),
    })
}

/// Every one of angles, with data in unequal units.
fn of_angles() -> Vec<Kind> {
    let with_units = |config: ModelConfig| {
        let units = units(config.sizes.data_dim);
        Kind::new(config.with_normalization(units), 0.4)
    };
    let all: Vec<Kind> = closed(0).into_iter().map(with_units).filter(Kind::of_angles).collect();
    assert_eq!(all.len(), 2, "a circle and a torus");
    all
}

#[test]
fn a_turn_changes_nothing() {
    for kind in of_angles() {
        let (_, n) = kind.dims();
        let u = (normal("u", &[9, n]).tanh().unwrap() * 3.).unwrap();
        for k in 0..n {
            let turn = (0..n).map(|i| if i == k { TAU } else { 0. }).collect();
            let turned = u.broadcast_add(&tensor(turn, &[1, n])).unwrap();
            let same = |what: &str, f: &dyn Fn(&Tensor) -> Tensor| {
                let what = format!("{}: {what} after a turn of {k}", kind.what);
                close(&what, &numbers(&f(&turned)), &numbers(&f(&u)), 1e-9);
            };
            same("point", &|u| kind.model.embedding().unwrap().embed(u, None).unwrap());
            same("volume", &|u| kind.model.embedding().unwrap().log_volume(u, None).unwrap());
            same("density", &|u| kind.model.coordinate_log_prob(u, None).unwrap());
            same("decoded point", &|u| kind.model.decode(u, None).unwrap());
        }
        // Both sides of the seam of the coordinates.
        let at = |angle: f64| kind.model.decode(&tensor(vec![angle; n], &[1, n]), None).unwrap();
        let (low, high) = (at(1e-9 - PI), at(PI - 1e-9));
        close(&format!("{}: seam", kind.what), &numbers(&low), &numbers(&high), 1e-6);
        let log_prob = |x: &Tensor| numbers(&kind.model.log_prob(x, None).unwrap());
        close(&format!("{}: seam", kind.what), &log_prob(&low), &log_prob(&high), 1e-6);
    }
}

/// A linear `f` makes an ellipse in a plane of space, whose equation is known.
#[test]
fn a_circle_behind_a_linear_map_is_an_ellipse() {
    let scale = FeatureAffineConfig::new(vec![0.5, -1., 2.], vec![2., 0.5, 3.]);
    let config =
        ModelConfig::m_flow_on(named("circle"), 3).with_outer(BijectorConfig::FeatureAffine(scale));
    let kind = Kind::new(config, 0.6);
    let x = kind.model.sample(500, None, &mut Stream::new(1, "ellipse")).unwrap();
    let x = numbers(&x);
    for x in x.chunks(3) {
        let equation = ((x[0] - 0.5) / 2.).powi(2) + ((x[1] + 1.) / 0.5).powi(2);
        assert!((equation - 1.).abs() < 1e-12 && x[2] == 2., "{x:?}");
    }
    let (bins, fine) = (24, 200);
    let shares = integrand(&kind, |density| density.shares(PI, bins * fine));
    check_total("ellipse", shares.iter().sum());
    let shares: Vec<f64> = shares.chunks(fine).map(|s| s.iter().sum()).collect();
    let rows = 20_000;
    let x = kind.model.sample(rows, None, &mut Stream::new(3, "counts")).unwrap();
    let mut counts = vec![0.; bins];
    for u in numbers(&kind.model.encode(&x, None).unwrap()) {
        counts[bin_of(u, PI + 1e-9, bins).unwrap()] += 1.;
    }
    check_counts("ellipse", &counts, &shares, rows);
}

#[test]
fn without_a_chart_nothing_changes() {
    // The first latents as a chart are what there is without one.
    let padding = ChartConfig::ZeroPadding { coordinate_dim: 2, data_dim: 2 };
    let plain = Kind::new(small(ModelConfig::m_flow(3, 2)), 0.6);
    let inner = mflow_bijectors::LinearKind::Permutation;
    let config = small(ModelConfig::m_flow_on(padding, 3));
    let charted = Kind::new(config.with_inner(crate::subject::small_flow(inner)), 0.6);
    let text = serde_json::to_string(&plain.config).unwrap();
    assert!(!text.contains("chart"), "files without a chart have none: {text}");
    let (x, latent) = (plain.data(9), plain.latent(9));
    let of = |kind: &Kind| {
        let x = kind.model.project_with_log_prob(&x, None).unwrap();
        let y = kind.model.decode(&latent, None).unwrap();
        [x.projection, x.log_prob, y].iter().flat_map(numbers).collect::<Vec<_>>()
    };
    close("zero padding as a chart", &of(&charted), &of(&plain), 1e-12);
}

#[test]
fn charts_that_do_not_fit_are_refused() {
    let refused = |config: &ModelConfig, expected: &str| {
        let mut store = ParamStore::new(1, DType::F64, device());
        let message = config.build(&mut store, |_| true).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message, format!("invalid config: {expected}"));
    };
    refused(
        &ModelConfig::m_flow_on(named("torus"), 2),
        "`chart` must fit: it is of dimension 2, in 3 features, found manifold_dim = 2 and \
         data_dim = 2; beside a chart manifold_dim can be left out",
    );
    let mut other = ModelConfig::m_flow_on(circle(1.), 3);
    other.sizes.manifold_dim = 2;
    refused(
        &other,
        "`chart` must fit: it is of dimension 1, in 2 features, found manifold_dim = 2 and \
         data_dim = 3; beside a chart manifold_dim can be left out",
    );
    let text = r#"{"kind": "pie", "chart": "circle", "data_dim": 2, "manifold_dim": 1}"#;
    let message = serde_json::from_str::<ModelConfig>(text).unwrap_err().to_string();
    assert!(message.contains("unknown field `chart`"), "{message}");
}
