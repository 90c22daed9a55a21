//! Properties over random sizes, masks, boxes and knots.
use crate::numbers::{device, gap, tensor};
use crate::spline::{Oracle, fixed};
use mflow_bijectors::candle::DType;
use mflow_bijectors::laws::{Law, Options, check_law, strategies};
use mflow_bijectors::{Direction, Route};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// The same cases in every run; failures are kept in a file beside this one, to be committed.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/it/properties.regressions",
        ))),
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn layers_keep_the_laws(layer in strategies::layer(), gain in 0.1_f64..0.6, seed: u64) {
        let mut options = Options::default().on(device()).gain(gain).cases(1);
        (options.seed, options.rows) = (seed, 40);
        for law in [Law::RoundTrip, Law::InverseLogDet, Law::LogDet, Law::Routes] {
            let kept = check_law(law, "layer", &layer, &options.clone().looser(10.));
            prop_assert!(kept.is_ok(), "{}", kept.unwrap_err());
        }
    }

    #[test]
    fn splines_equal_the_oracle(
        p in (1_usize..=12).prop_flat_map(|bins| prop::collection::vec(-4_f64..4., 3 * bins - 1)),
        bound in 0.1_f64..30.,
        x in prop::collection::vec(-1.3_f64..1.3, 1..40),
    ) {
        let oracle = Oracle::new(bound, 0.5, &p);
        let rows = x.len();
        let x: Vec<f64> = x.iter().map(|x| x * bound).collect();
        for route in [Route::Auto, Route::Composed] {
            let (map, _store) = fixed(1, bound, &p, DType::F64, route);
            for direction in [Direction::Forward, Direction::Inverse] {
                let (y, l): (Vec<f64>, Vec<f64>) =
                    x.iter().map(|x| oracle.map(direction, *x)).unzip();
                let mapped = map.map(direction, &tensor(x.clone(), &[rows, 1]), None).unwrap();
                let error = gap(&mapped.value, &tensor(y, &[rows, 1]));
                prop_assert!(error < 1e-9, "{route:?}, {direction:?}: value {error:.1e}");
                let error = gap(&mapped.log_abs_det, &tensor(l, &[rows]));
                prop_assert!(error < 1e-7, "{route:?}, {direction:?}: log-det {error:.1e}");
            }
        }
    }
}
