//! Calibration of posteriors. Oracle: a model with the density of the truth is calibrated, by theorem; one that
//! is off is not.
use crate::metrics::{Hand, SURFACE};
use mflow_bijectors::Domain;
use mflow_core::candle::{D, DType, Device, Tensor};
use mflow_core::{Density, Model, ModelSignature};
use mflow_data::{Parameter, Prior, Simulator};
use mflow_eval::Error;
use mflow_eval::metrics::{
    CalibrationConfig, Evaluated, PosteriorCalibration, calibration as calibrate,
};
use mflow_train::Pool;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

fn assert_calibrated(found: &PosteriorCalibration) {
    assert!(found.p_value() > 0.01, "{found:?}");
    for (coverage, expected) in [(found.coverage_50, 0.5), (found.coverage_90, 0.9)] {
        let off = (coverage.value - expected).abs();
        assert!(off < 3. * coverage.standard_error.unwrap(), "{expected}: {coverage}");
    }
}

#[test]
fn the_true_density_is_calibrated_and_another_is_not() {
    let pool = Pool::new(2).unwrap();
    let config = CalibrationConfig { sets: 200, rows: 5 };
    let mut model = Hand::new(true);
    // So that its density is asked, not that of coordinates.
    model.signature.conditional_manifold = true;
    let of =
        |model: &Hand| calibrate(Evaluated { model, pool: &pool }, &SURFACE, config, 1).unwrap();
    let wrong = of(&model);
    assert!(wrong.p_value() < 1e-6, "{wrong:?}");
    assert!(wrong.coverage_50.value < 0.3, "{wrong:?}");
    model.exact = true;
    let right = of(&model);
    assert_calibrated(&right);
    assert_eq!(right.parameters[0].histogram.len(), 20, "10 ranks for each bin");
    assert_eq!(right.parameters[0].histogram.iter().sum::<usize>(), 200);
    assert_eq!(right.coverage_50.count, 200);
    let few = CalibrationConfig { sets: 20, ..config };
    let on = |threads: usize| {
        let pool = Pool::new(threads).unwrap();
        calibrate(Evaluated { model: &model, pool: &pool }, &SURFACE, few, 1).unwrap()
    };
    assert_eq!(on(1), on(3), "threads make no difference");
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    let pool = Pool::new(1).unwrap();
    let model = Hand::new(true);
    let of = Evaluated { model: &model, pool: &pool };
    let few = calibrate(of, &SURFACE, CalibrationConfig::new(19), 1);
    assert!(matches!(few, Err(Error::TooFew { expected: 20, found: 19 })), "{few:?}");
    let unconditional = Hand::new(false);
    let of = Evaluated { model: &unconditional, pool: &pool };
    let error = calibrate(of, &SURFACE, CalibrationConfig::new(20), 1).unwrap_err();
    assert!(matches!(error, Error::Model { what: "posterior", .. }), "{error}");
    let circle = mflow_data::GaussianOnSphere::CIRCLE;
    let error = calibrate(of, &circle, CalibrationConfig::new(20), 1).unwrap_err();
    assert!(matches!(error, Error::Model { what: "calibration", .. }), "{error}");
}

/// `x ~ N(theta, width² 1)` in two dimensions: as a simulator with `width = 1`, as a model with any.
#[derive(Clone, Debug)]
pub(crate) struct Shifted {
    width: f64,
    signature: ModelSignature,
}

const PRIOR: &[Parameter] = &[
    Parameter { name: "a", prior: Prior::Uniform { low: -1., high: 1. }, default: 0. },
    Parameter { name: "b", prior: Prior::Uniform { low: 0., high: 3. }, default: 1. },
];

impl Shifted {
    pub(crate) fn new(width: f64) -> Self {
        let signature = ModelSignature {
            name: "shifted",
            data_dim: 2,
            manifold_dim: 2,
            charts: 1,
            context_dim: Some(2),
            conditional_manifold: false,
            density: Some(Density::Ambient),
            noise_dim: 0,
            latent: "standard normal on R^2".to_owned(),
            latent_domain: Domain::Reals,
            dtype: DType::F64,
            device: Device::Cpu,
        };
        Self { width, signature }
    }
}

impl Simulator for Shifted {
    fn name(&self) -> &'static str {
        "shifted"
    }
    fn data_dim(&self) -> usize {
        2
    }
    fn manifold_dim(&self) -> usize {
        2
    }
    fn parameters(&self) -> &'static [Parameter] {
        PRIOR
    }
    fn sample(&self, _: usize, theta: &[f64], rng: &mut dyn Rng) -> mflow_data::Result<Vec<f64>> {
        Ok(theta.iter().map(|t| t + rng.sample::<f64, _>(StandardNormal)).collect())
    }
    fn log_prob(&self, _: &[f64], _: &[f64]) -> mflow_data::Result<Vec<f64>> {
        unreachable!("calibration needs samples only")
    }
    fn project(&self, x: &[f64]) -> mflow_data::Result<Vec<f64>> {
        Ok(x.to_vec())
    }
}

impl Model for Shifted {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }
    fn log_density(
        &self,
        _: Density,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> mflow_core::Result<Tensor> {
        let off = ((x - context.unwrap())? / self.width)?;
        Ok((off.sqr()?.sum(D::Minus1)? * -0.5)?)
    }
    fn project(&self, x: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        Ok(x.clone())
    }
    fn encode(&self, _: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn decode(&self, _: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn decode_jacobian(&self, _: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn coordinates(&self, _: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn coordinate_log_prob(&self, _: &Tensor, _: Option<&Tensor>) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn latent_log_prob(&self, _: &Tensor) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
    fn sample_latent(
        &self,
        _: usize,
        _: &mut mflow_bijectors::Stream,
    ) -> mflow_core::Result<Tensor> {
        unreachable!("calibration needs the density only")
    }
}

#[test]
fn several_parameters_are_calibrated_by_chains() {
    let pool = Pool::new(2).unwrap();
    let of = |width: f64, sets: usize| {
        let model = Shifted::new(width);
        let of = Evaluated { model: &model, pool: &pool };
        calibrate(of, &Shifted::new(1.), CalibrationConfig { sets, rows: 4 }, 1).unwrap()
    };
    let right = of(1., 60);
    assert_calibrated(&right);
    assert_eq!(right.parameters.len(), 2);
    let least = right.parameters[0].p_value.min(right.parameters[1].p_value);
    assert_eq!(right.p_value(), (2. * least).min(1.), "Bonferroni");
    // Posteriors a fifth as wide as they should be.
    let narrow = of(0.2, 30);
    assert!(narrow.p_value() < 1e-4, "{narrow:?}");
    assert!(narrow.coverage_90.value < 0.6, "{narrow:?}");
}
