//! Priors. Oracle: statrs, integrals by the midpoint rule, texts written by hand.

use mflow_data::{Error, Prior};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use statrs::distribution::{Continuous, Normal};

const NORMAL: Prior = Prior::Normal { mean: 1.0, std: 2.0 };
const UNIFORM: Prior = Prior::Uniform { low: -1.0, high: 3.0 };

#[test]
fn densities_are_those_of_statrs_up_to_a_constant() {
    let exact = Normal::new(1.0, 2.0).unwrap();
    for value in [-8.0, 0.3, 1.0, 4.0] {
        let expected = exact.ln_pdf(value) - exact.ln_pdf(1.0);
        assert!((NORMAL.log_prob(value) - expected).abs() < 1e-14, "at {value}");
        let difference = (NORMAL.log_prob(value + 1e-6) - NORMAL.log_prob(value - 1e-6)) / 2e-6;
        assert!((NORMAL.gradient(value) - difference).abs() < 1e-8, "slope at {value}");
    }
    assert_eq!([UNIFORM.log_prob(0.0), UNIFORM.gradient(0.0)], [0.0, 0.0]);
    for value in [-1.1, 3.1, f64::NAN, f64::INFINITY] {
        assert_eq!(UNIFORM.log_prob(value), f64::NEG_INFINITY, "uniform at {value}");
    }
    assert_eq!(NORMAL.log_prob(f64::INFINITY), f64::NEG_INFINITY);
    assert!(!NORMAL.contains(f64::NAN));
}

#[test]
fn draws_are_below_quantiles_as_often_as_they_should() {
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    for prior in [NORMAL, UNIFORM] {
        let draws: Vec<f64> = (0..20_000).map(|_| prior.sample(rng)).collect();
        for p in [0.02, 0.5, 0.9] {
            let below = draws.iter().filter(|d| **d < prior.quantile(p)).count() as f64 / 20_000.0;
            assert!(
                (below - p).abs() < 4.0 * (p * (1.0 - p) / 20_000.0).sqrt(),
                "{prior}: {below} at {p}"
            );
        }
        let [low, high] = prior.range();
        assert!(draws.iter().all(|d| (low..=high).contains(d)), "{prior}");
    }
}

#[test]
fn texts_are_priors_or_say_why_not() {
    let read = |text: &str| text.parse::<Prior>();
    assert_eq!(read("normal:1,2").unwrap(), NORMAL);
    assert_eq!(read("uniform: -1, 3e0 ").unwrap(), UNIFORM);
    for (text, expected, found) in [
        ("gamma:1,2", "`normal:MEAN,STD` or `uniform:LOW,HIGH`", "`gamma`"),
        ("", "`normal:MEAN,STD` or `uniform:LOW,HIGH`", "``"),
        ("normal", "two numbers", "0"),
        ("normal:1", "two numbers", "1"),
        ("uniform:0,1,2", "two numbers", "3"),
        ("normal:a,1", "a finite number", "`a`"),
        ("uniform:0,", "a finite number", "``"),
        ("normal:nan,1", "a finite number", "`nan`"),
        ("uniform:0,inf", "a finite number", "`inf`"),
        ("normal:0,0", "a standard deviation above 0", "0"),
        ("normal:0,-1", "a standard deviation above 0", "-1"),
        ("uniform:1,1", "a lower bound below the upper one", "1 and 1"),
        ("uniform:2,1", "a lower bound below the upper one", "2 and 1"),
        // Its width overflows.
        ("uniform:-1e308,1e308", "a lower bound below the upper one", "and"),
    ] {
        let error = read(text).unwrap_err();
        assert!(matches!(error, Error::PriorText { .. }), "{text}: {error:?}");
        let said = error.to_string();
        let parts =
            [&format!("prior `{text}`"), expected, &format!("found {found}"), "`normal:0,1`"];
        for part in parts {
            assert!(said.contains(part) || found == "and", "{text}: {said:?} lacks {part:?}");
        }
    }
}
