//! Metrics of a model against the truth. Oracle: a hand-made model whose manifold is the surface
//! itself and whose density is a Gaussian in the chart, so that every metric has a closed form or a
//! plain integral.
use mflow_bijectors::{Domain, Stream};
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{Density, Model, ModelSignature, Result};
use mflow_data::{PolynomialSurface, Simulator};
use mflow_eval::metrics::{
    Evaluated, PosteriorConfig, chart_kl, log_likelihood, log_likelihood_gap, manifold_distance,
    outlier_auc, posteriors, reconstruction_error, score_error,
};
use mflow_eval::{Error, Estimate};
use mflow_train::Pool;

pub(crate) const SURFACE: PolynomialSurface = PolynomialSurface;

/// `x = embed(z) + lift * normal`, `z = mean + width * Q ũ` with a rotation `Q`; the density may lie by
/// a factor.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    /// Chart mean and width: the wide component of the truth, or with a context its narrow one.
    pub(crate) conditional: bool,
    /// Factor on the width.
    pub(crate) stretch: f64,
    /// Offset along the surface's vertical direction.
    pub(crate) lift: f64,
    /// Added to the log-density.
    pub(crate) boast: f64,
    /// The density of the truth, both components, in the place of its own.
    pub(crate) exact: bool,
    pub(crate) signature: ModelSignature,
}

impl Hand {
    pub(crate) fn new(conditional: bool) -> Self {
        let context_dim = conditional.then_some(1);
        let (dtype, device) = (DType::F64, Device::Cpu);
        let signature = ModelSignature {
            name: "hand",
            data_dim: 3,
            manifold_dim: 2,
            charts: 1,
            context_dim,
            conditional_manifold: false,
            density: Some(Density::Manifold),
            noise_dim: 0,
            latent: "standard normal on R^2".to_owned(),
            latent_domain: Domain::Reals,
            dtype,
            device,
        };
        Self { conditional, stretch: 1., lift: 0., boast: 0., exact: false, signature }
    }

    /// Mean and width of the Gaussian in the chart at the parameter `theta`.
    fn gaussian(&self, theta: f64) -> ([f64; 2], f64) {
        if self.conditional {
            ([-1., 1.], self.stretch * (0.6 + 0.4 * theta))
        } else {
            ([1., -1.], self.stretch * 2.)
        }
    }

    /// `z` of a latent.
    fn z(&self, u: [f64; 2], theta: f64) -> [f64; 2] {
        let (mean, width) = self.gaussian(theta);
        [0, 1].map(|i| mean[i] + width * (TURN[i][0] * u[0] + TURN[i][1] * u[1]))
    }

    /// `log q(z)` in the chart.
    fn log_q(&self, z: [f64; 2], theta: f64) -> f64 {
        let (mean, width) = self.gaussian(theta);
        let square = ((z[0] - mean[0]) / width).powi(2) + ((z[1] - mean[1]) / width).powi(2);
        -0.5 * square - std::f64::consts::TAU.ln() - 2. * width.ln()
    }

    /// `d log q(z)/dθ`, of the width alone.
    fn slope(&self, z: [f64; 2], theta: f64) -> f64 {
        if !self.conditional {
            return 0.;
        }
        let (mean, width) = self.gaussian(theta);
        let square = ((z[0] - mean[0]) / width).powi(2) + ((z[1] - mean[1]) / width).powi(2);
        (square - 2.) * 0.4 * self.stretch / width
    }

    /// Map rows of `t`, each with its parameter (0 without a context).
    fn rows<const I: usize, const O: usize>(
        &self,
        t: &Tensor,
        context: Option<&Tensor>,
        f: impl Fn([f64; I], f64) -> [f64; O],
    ) -> Vec<f64> {
        assert_eq!(context.is_some(), self.conditional, "a context where there should be one");
        let values = t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let n = values.len() / I;
        let thetas = context
            .map_or_else(|| vec![0.; n], |c| c.flatten_all().unwrap().to_vec1::<f64>().unwrap());
        assert_eq!(thetas.len(), n, "one parameter each");
        let rows = values.as_chunks().0.iter().zip(thetas);
        rows.flat_map(|(row, theta)| f(*row, theta)).collect()
    }
}

fn tensor(values: Vec<f64>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// `Q`: no entry of the chart's Jacobian is zero.
const TURN: [[f64; 2]; 2] = [[0.8, -0.6], [0.6, 0.8]];

/// The surface's vertical direction: the last column of the rotation.
fn lifted(x: [f64; 3], by: f64) -> [f64; 3] {
    [0, 1, 2].map(|i| x[i] + by * PolynomialSurface::ROTATION[i][2])
}

/// The score of the truth: that of its narrow component, by its share of the density.
fn true_score(x: [f64; 3], theta: f64) -> f64 {
    let (z, narrow) = (SURFACE.chart(x), Hand::new(true));
    let log_share = narrow.log_q(z, theta) - SURFACE.log_prob_chart(z, theta).unwrap();
    0.4 * log_share.exp() * narrow.slope(z, theta)
}

impl Model for Hand {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }
    fn log_density(&self, _: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let values = self.rows(x, context, |x, theta| {
            if self.exact {
                return [SURFACE.log_prob(&x, &[theta]).unwrap()[0]];
            }
            let z = SURFACE.chart(x);
            let [a, b] = SURFACE.height_jet(z).gradient;
            [self.log_q(z, theta) - 0.5 * (1. + a * a + b * b).ln() + self.boast]
        });
        tensor(values, &[x.dims()[0]])
    }
    fn score(&self, x: &Tensor, context: &Tensor) -> Result<Tensor> {
        let values = self.rows(x, self.conditional.then_some(context), |x, theta| {
            if self.exact { [true_score(x, theta)] } else { [self.slope(SURFACE.chart(x), theta)] }
        });
        tensor(values, &[x.dims()[0], 1])
    }
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let project = |x, _| lifted(SURFACE.embed(SURFACE.chart(x)), self.lift);
        tensor(self.rows(x, context, project), &[x.dims()[0], 3])
    }
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let values = self.rows(x, context, |x, theta| {
            let (z, (mean, width)) = (SURFACE.chart(x), self.gaussian(theta));
            let [a, b] = [0, 1].map(|i| (z[i] - mean[i]) / width);
            [0, 1].map(|k| TURN[0][k] * a + TURN[1][k] * b)
        });
        tensor(values, &[x.dims()[0], 2])
    }
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let values = self.rows(latent, context, |u: [f64; 2], theta| {
            lifted(SURFACE.embed(self.z(u, theta)), self.lift)
        });
        tensor(values, &[latent.dims()[0], 3])
    }
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let values = self.rows(latent, context, |u: [f64; 2], theta| {
            let slope = SURFACE.height_jet(self.z(u, theta)).gradient;
            let (r, width) = (PolynomialSurface::ROTATION, self.gaussian(theta).1);
            // dx/dz_k, then by the chain rule dx/du_i.
            let of_z = |k: usize| [0, 1, 2].map(|i: usize| width * (r[i][k] + slope[k] * r[i][2]));
            let (a, b) = (of_z(0), of_z(1));
            let row = |i: usize| [0, 1, 2].map(|j| TURN[0][i] * a[j] + TURN[1][i] * b[j]);
            let [a, b] = [row(0), row(1)];
            [a[0], a[1], a[2], b[0], b[1], b[2]]
        });
        tensor(values, &[latent.dims()[0], 2, 3])
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.encode(x, context)
    }
    fn coordinate_log_prob(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        let half = (u.sqr()?.sum(1)? * -0.5)?;
        Ok((half - std::f64::consts::TAU.ln())?)
    }
    fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor> {
        let half = (latent.sqr()?.sum(1)? * -0.5)?;
        Ok((half - std::f64::consts::TAU.ln())?)
    }
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
        Ok(stream.normal_tensor(&[rows, 2], DType::F64, &Device::Cpu)?)
    }
}

#[test]
fn the_hand_made_model_keeps_its_own_laws() {
    let (model, context) = (Hand::new(true), tensor(vec![0.5, -0.5, 0.9], &[3, 1]).unwrap());
    let latent = model.sample_latent(3, &mut Stream::new(1, "u")).unwrap();
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let decode = |u: &Tensor| model.decode(u, Some(&context)).unwrap();
    let back = numbers(&model.encode(&decode(&latent), Some(&context)).unwrap());
    let gap = back.iter().zip(numbers(&latent)).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
    assert!(gap < 1e-12, "encode(decode) is off by {gap:.1e}");
    let rows = numbers(&model.decode_jacobian(&latent, Some(&context)).unwrap());
    for i in 0..2 {
        let unit = |by: f64| {
            let unit = [0, 1].map(|k| if k == i { by } else { 0. });
            numbers(&decode(
                &latent.broadcast_add(&tensor(unit.to_vec(), &[1, 2]).unwrap()).unwrap(),
            ))
        };
        for (k, (plus, minus)) in unit(1e-5).iter().zip(unit(-1e-5)).enumerate() {
            let (expected, found) = ((plus - minus) / 2e-5, rows[k / 3 * 6 + i * 3 + k % 3]);
            assert!((found - expected).abs() < 1e-8, "row {i}, element {k}: {found}, {expected}");
        }
    }
}

fn pool() -> Pool {
    Pool::new(2).unwrap()
}

fn error(estimate: &Estimate) -> f64 {
    estimate.standard_error.unwrap()
}

/// Test data of the truth with their parameters.
fn truth(rows: usize) -> (Vec<f64>, Vec<f64>) {
    let mut stream = Stream::new(7, "test data");
    let parameters = SURFACE.sample_prior(rows, &mut stream);
    (SURFACE.sample(rows, &parameters, &mut stream).unwrap(), parameters)
}

#[test]
fn a_model_of_the_surface_is_at_no_distance() {
    let pool = pool();
    for conditional in [false, true] {
        let model = Hand::new(conditional);
        let of = Evaluated { model: &model, pool: &pool };
        let found = manifold_distance(of, &SURFACE, 600, &mut Stream::new(1, "d")).unwrap();
        assert_eq!(found.vertical.count, 600, "one distance per sample");
        assert!(found.vertical.value < 1e-13, "conditional {conditional}: {found:?}");
        assert!(found.euclidean.value < 1e-13, "conditional {conditional}: {found:?}");
    }
}

#[test]
fn a_lifted_model_is_as_far_as_it_is_lifted() {
    let pool = pool();
    for lift in [0.3, -0.3] {
        let model = Hand { lift, ..Hand::new(false) };
        let of = Evaluated { model: &model, pool: &pool };
        let found = manifold_distance(of, &SURFACE, 600, &mut Stream::new(1, "d")).unwrap();
        assert!((found.vertical.value - 0.3).abs() < 1e-12, "lift {lift}: {found:?}");
        assert!(error(&found.vertical) < 1e-12, "each sample is as far: {found:?}");
        // By the slopes of the surface, up to 2.44, the nearest point is closer than the vertical one.
        let [low, high] = [0.3 / 2.45_f64.hypot(1.), 0.3];
        let euclidean = found.euclidean.value;
        assert!(low < euclidean && euclidean < high, "lift {lift}: {found:?}");
    }
}

#[test]
fn distances_are_clipped_as_published() {
    let pool = pool();
    let model = Hand { lift: 1e6, ..Hand::new(false) };
    let of = Evaluated { model: &model, pool: &pool };
    let found = manifold_distance(of, &SURFACE, 50, &mut Stream::new(1, "d")).unwrap();
    assert_eq!((found.vertical.value, found.euclidean.value), (10., 10.), "clipped at 10");
}

#[test]
fn metrics_depend_on_the_stream_alone() {
    let model = Hand { lift: 0.2, ..Hand::new(true) };
    let run = |threads: usize, name: &str| {
        let pool = Pool::new(threads).unwrap();
        let of = Evaluated { model: &model, pool: &pool };
        let mut stream = Stream::new(1, name);
        let distance = manifold_distance(of, &SURFACE, 700, &mut stream).unwrap();
        let kl = chart_kl(of, &SURFACE, 0.3, 700, &mut stream).unwrap();
        (distance.vertical, distance.euclidean, kl)
    };
    assert_eq!(run(1, "a"), run(3, "a"), "the same for any number of threads");
    assert_ne!(run(1, "a"), run(1, "b"), "another stream, other samples");
}

#[test]
fn the_reconstruction_error_is_the_distance_to_the_projection() {
    let pool = pool();
    let (x, parameters) = truth(700);
    let above: Vec<f64> = x.as_chunks().0.iter().flat_map(|&x| lifted(x, 0.2)).collect();
    for (conditional, lift, data, expected) in [
        (false, 0., &x, 0.),
        (true, 0., &x, 0.),
        (true, 0., &above, 0.2),
        (false, 0.3, &x, 0.3),
        (false, 0.3, &above, 0.1),
    ] {
        let model = Hand { lift, ..Hand::new(conditional) };
        let of = Evaluated { model: &model, pool: &pool };
        let found = reconstruction_error(of, data, &parameters).unwrap();
        assert_eq!(found.count, 700, "one error per row");
        let gap = (found.value - expected).abs();
        assert!(gap < 1e-12, "lift {lift}: {found:?}, expected {expected}");
    }
}

#[test]
fn the_error_of_scores_is_relative_to_the_information() {
    let pool = pool();
    let truths = [-0.5, 0.7];
    let config =
        PosteriorConfig { truths: truths.map(|t| vec![t]).to_vec(), ..PosteriorConfig::default() };
    let stream = || Stream::new(3, "scores");
    let of = |model: &Hand| {
        let of = Evaluated { model, pool: &pool };
        score_error(of, &SURFACE, &config, 300, &mut stream()).unwrap()
    };
    // A score of 0 loses all the information, the true one nothing.
    let nothing = of(&Hand { conditional: false, ..Hand::new(true) });
    assert!((nothing.value - 1.).abs() < 1e-6 && nothing.count == 600, "{nothing:?}");
    let exact = of(&Hand { exact: true, ..Hand::new(true) });
    assert!(exact.value < 1e-12, "{exact:?}");
    // Another: by the formula.
    let model = Hand::new(true);
    let mut stream = stream();
    let errors = truths.map(|theta| {
        let x = SURFACE.sample(300, &[theta; 300], &mut stream).unwrap();
        let both = x.as_chunks::<3>().0.iter().map(|&x| {
            let (s, found) = (true_score(x, theta), model.slope(SURFACE.chart(x), theta));
            [(found - s).powi(2), s * s]
        });
        let [error, information] = both.fold([0.; 2], |sum, v| [sum[0] + v[0], sum[1] + v[1]]);
        error / information
    });
    let (found, expected) = (of(&model).value, 0.5 * (errors[0] + errors[1]));
    assert!((found - expected).abs() < 1e-6 * expected, "{found}, expected {expected}");
}

#[test]
fn the_gap_of_log_likelihoods_is_that_of_the_charts() {
    // On the same surface the volumes cancel: log p(z | theta) - log q(z | theta) remains.
    let pool = pool();
    let (x, parameters) = truth(800);
    for conditional in [false, true] {
        let model = Hand::new(conditional);
        let of =
            |model| log_likelihood_gap(Evaluated { model, pool: &pool }, &SURFACE, &x, &parameters);
        let found = of(&model).unwrap();
        let terms = x.as_chunks::<3>().0.iter().zip(&parameters).map(|(&x, &theta)| {
            let z = SURFACE.chart(x);
            let theta_of_model = if conditional { theta } else { 0. };
            SURFACE.log_prob_chart(z, theta).unwrap() - model.log_q(z, theta_of_model)
        });
        let expected = Estimate::mean(&terms.collect::<Vec<_>>()).unwrap();
        let gap = (found.value - expected.value).abs();
        assert!(gap < 1e-10 * (1. + expected.value.abs()), "{found:?}, expected {expected:?}");
        assert!((error(&found) - error(&expected)).abs() < 1e-10, "standard error: {found:?}");
        // The log-likelihood itself: what the truth has on its area, less the gap by hand.
        let of_truth = Estimate::mean(&SURFACE.log_prob(&x, &parameters).unwrap()).unwrap();
        let of_model = Evaluated { model: &model, pool: &pool };
        let log_prob = log_likelihood(of_model, Density::Manifold, &x, &parameters).unwrap();
        let gap = (log_prob.value - (of_truth.value - expected.value)).abs();
        assert!(gap < 1e-10 && log_prob.count == 800, "{log_prob:?}, {of_truth:?} - {expected:?}");
        // A density that is larger by a factor is closer by its logarithm, however wrong.
        let boast = Hand { boast: 0.1, ..model.clone() };
        let closer = of(&boast).unwrap().value;
        assert!((found.value - closer - 0.1).abs() < 1e-9, "{closer} after {}", found.value);
    }
}

#[test]
fn the_truth_has_no_gap_to_itself() {
    // A model whose density is the truth's at theta = 0, on data with that parameter.
    #[derive(Debug)]
    struct Truth(Hand);
    impl Model for Truth {
        fn signature(&self) -> &ModelSignature {
            self.0.signature()
        }
        fn log_density(&self, _: Density, x: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
            let values = x.flatten_all()?.to_vec1::<f64>()?;
            let rows = x.dims()[0];
            tensor(SURFACE.log_prob(&values, &vec![0.; rows]).unwrap(), &[rows])
        }
        fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.project(x, context)
        }
        fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.encode(x, context)
        }
        fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.decode(latent, context)
        }
        fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.decode_jacobian(latent, context)
        }
        fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.coordinates(x, context)
        }
        fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
            self.0.coordinate_log_prob(u, context)
        }
        fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor> {
            self.0.latent_log_prob(latent)
        }
        fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
            self.0.sample_latent(rows, stream)
        }
    }
    let (pool, model) = (pool(), Truth(Hand::new(false)));
    let parameters = vec![0.; 500];
    let x = SURFACE.sample(500, &parameters, &mut Stream::new(2, "x")).unwrap();
    let of = Evaluated { model: &model, pool: &pool };
    let found = log_likelihood_gap(of, &SURFACE, &x, &parameters).unwrap();
    assert_eq!((found.value, found.standard_error), (0., Some(0.)), "no gap: {found:?}");
}

/// `KL(q || p)` over the chart by the midpoint rule, out to seven widths.
fn integral(model: &Hand, theta: f64) -> f64 {
    let (mean, width) = model.gaussian(theta);
    let (half, cells) = (7., 500);
    let at = |i: usize| -half + 2. * half * (i as f64 + 0.5) / cells as f64;
    let cell = (2. * half * width / cells as f64).powi(2);
    let term = |k: usize| {
        let z = [mean[0] + width * at(k / cells), mean[1] + width * at(k % cells)];
        let log_q = model.log_q(z, theta);
        log_q.exp() * (log_q - SURFACE.log_prob_chart(z, theta).unwrap()) * cell
    };
    (0..cells * cells).map(term).sum()
}

#[test]
fn the_divergence_in_the_chart_is_its_integral() {
    let pool = pool();
    for (conditional, stretch, theta) in
        [(false, 1., 0.3), (false, 1.3, -0.8), (true, 1., 0.3), (true, 0.7, -0.8), (true, 1., 1.)]
    {
        let model = Hand { stretch, ..Hand::new(conditional) };
        let of = Evaluated { model: &model, pool: &pool };
        let found = chart_kl(of, &SURFACE, theta, 20_000, &mut Stream::new(5, "kl")).unwrap();
        let expected = integral(&model, theta);
        assert!(expected > 0.05, "a divergence worth measuring: {expected}");
        let gap = (found.value - expected).abs();
        let what = format!("conditional {conditional}, stretch {stretch}, theta {theta}");
        assert!(gap < 4. * error(&found), "{what}: {found}, expected {expected}");
        assert!(error(&found) < 0.05 * expected, "{what}: known to 5 %: {found}");
        // A model that is wrong by a factor in its width is far outside.
        let wrong = Hand { stretch: 1.15 * stretch, ..model };
        let of = Evaluated { model: &wrong, pool: &pool };
        let other = chart_kl(of, &SURFACE, theta, 20_000, &mut Stream::new(5, "kl")).unwrap();
        let apart = (other.value - expected).abs() > 4. * error(&other);
        assert!(apart, "{what}: 15 % wider gives {other}, against {expected}");
    }
}

#[test]
fn a_lift_does_not_move_the_chart() {
    // Vertical offsets are invisible in the chart: that is the distance's business.
    let pool = pool();
    let models = [Hand::new(true), Hand { lift: 0.3, ..Hand::new(true) }];
    let [flat, lifted] = models.map(|model| {
        let of = Evaluated { model: &model, pool: &pool };
        chart_kl(of, &SURFACE, 0.1, 2000, &mut Stream::new(5, "kl")).unwrap().value
    });
    assert!((flat - lifted).abs() < 1e-10, "{flat} flat, {lifted} lifted");
}

#[test]
fn models_of_another_space_are_refused() {
    let pool = pool();
    let mut store = mflow_bijectors::ParamStore::new(1, DType::F64, &Device::Cpu);
    // 3 x 2 numbers make whole rows of three, but not points of the surface.
    let model = mflow_core::ModelConfig::m_flow(6, 2).build(&mut store, |_| true).unwrap();
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let result = manifold_distance(of, &SURFACE, 10, &mut Stream::new(1, "d"));
    assert!(matches!(result, Err(Error::Model { what: "manifold_distance", .. })), "{result:?}");
    let result = chart_kl(of, &SURFACE, 0., 10, &mut Stream::new(1, "d"));
    assert!(matches!(result, Err(Error::Model { what: "chart_kl", .. })), "{result:?}");
    let result = log_likelihood_gap(of, &SURFACE, &[0.; 30], &[0.; 10]);
    assert!(matches!(result, Err(Error::ModelCall(_))), "{result:?}");
}

#[test]
fn data_that_do_not_fit_are_errors() {
    let pool = pool();
    let model = Hand::new(true);
    let of = Evaluated { model: &model, pool: &pool };
    let (x, parameters) = truth(10);
    let result = log_likelihood_gap(of, &SURFACE, &x[..29], &parameters);
    assert!(matches!(result, Err(Error::Data(_))), "a part of a row: {result:?}");
    let result = log_likelihood_gap(of, &SURFACE, &x, &parameters[..9]);
    assert!(matches!(result, Err(Error::Data(_))), "a parameter too few: {result:?}");
    let result = reconstruction_error(of, &x[..29], &parameters);
    assert!(matches!(result, Err(Error::Tensor(_))), "a part of a row: {result:?}");
    let result = reconstruction_error(of, &[], &[]);
    assert!(matches!(result, Err(Error::NoSamples)), "no rows: {result:?}");
    let result = chart_kl(of, &SURFACE, 2., 10, &mut Stream::new(1, "kl"));
    assert!(matches!(result, Err(Error::Data(_))), "a parameter outside the prior: {result:?}");
    let boast = Hand { boast: f64::NAN, ..model };
    let of = Evaluated { model: &boast, pool: &pool };
    let result = log_likelihood_gap(of, &SURFACE, &x, &parameters);
    assert!(matches!(result, Err(Error::NonFiniteSample { index: 0, .. })), "NaN: {result:?}");
}

#[test]
fn posteriors_of_the_true_density_are_at_the_floor() {
    let pool = pool();
    let config = PosteriorConfig {
        sets: 3,
        burn_in: 200,
        draws: 2000,
        step: 0.4,
        ..PosteriorConfig::default()
    };
    let mut model = Hand::new(true);
    // So that its density is asked, not that of coordinates.
    model.signature.conditional_manifold = true;
    let compare =
        |model: &Hand| posteriors(Evaluated { model, pool: &pool }, &SURFACE, &config, 1).unwrap();
    // One component alone: the data of the other are far out, and say that it is wide.
    let wrong = compare(&model);
    model.exact = true;
    let right = compare(&model);
    assert_eq!((right.mmd.len(), right.mmd_floor.len()), (3, 3), "one for each set");
    assert_eq!(wrong.mmd_floor, right.mmd_floor, "the floor is that of the truth");
    // Of a chain and itself the unbiased estimate is below zero.
    let floor = &right.mmd_floor;
    assert!(floor.iter().sum::<f64>() > 1e-4, "two chains of the truth differ: {floor:?}");
    for (set, (right, wrong)) in right.mmd.iter().zip(&wrong.mmd).enumerate() {
        assert!(right.abs() < 0.03, "set {set}: {right}");
        assert!(*wrong > 0.1, "set {set}: {wrong}");
    }
    assert!(right.kl.iter().all(|kl| kl.abs() < 1e-3), "{:?}", right.kl);
    assert!(wrong.kl.iter().all(|kl| *kl > 0.5), "{:?}", wrong.kl);
    assert!(right.kl_floor.is_empty(), "its density has a formula");
    for set in 0..3 {
        // Bayes' rule by the trapezoid rule, at the truth 0.
        let x = SURFACE.sample(20, &[0.; 20], &mut Stream::new(1, &format!("observed set {set}")));
        let x = x.unwrap();
        let likelihood =
            |theta: f64| -> f64 { SURFACE.log_prob(&x, &[theta; 20]).unwrap().iter().sum() };
        let at = |k: i32| (likelihood(f64::from(k) / 200.) - likelihood(0.)).exp();
        let ends = 0.5 * (at(-200) + at(200));
        let evidence = (ends + (-199..200).map(at).sum::<f64>()) / 200.;
        let expected = -evidence.ln();
        let (model, truth) = (right.log_posterior[set], right.log_posterior_of_truth[set]);
        // Some hundred independent draws, and a kernel's bias.
        assert!((truth - expected).abs() < 0.2, "set {set}: {truth}, {expected}");
        assert!((model - expected).abs() < 0.2, "set {set}: {model}, {expected}");
        let wrong = wrong.log_posterior[set];
        assert!(wrong < expected - 0.5, "set {set}: {wrong}, {expected}");
    }
    let unconditional = Hand::new(false);
    let of = Evaluated { model: &unconditional, pool: &pool };
    assert!(posteriors(of, &SURFACE, &config, 1).is_err(), "no parameter, no posterior");
}

#[test]
fn outliers_are_told_by_their_distance() {
    let pool = pool();
    let (model, n) = (Hand::new(true), 400);
    let theta = vec![0.3; n];
    let mut stream = Stream::new(2, "outliers");
    let data = SURFACE.sample(n, &theta, &mut stream).unwrap();
    let outliers = SURFACE.sample_out_of_distribution(n, &theta, &mut stream).unwrap();
    let of = Evaluated { model: &model, pool: &pool };
    let found = outlier_auc(of, &data, &outliers, &[0.3]).unwrap();
    assert_eq!(found.reconstruction_error, 1., "data are on the manifold, outliers are not");
    assert_eq!(found.published, 1.);
    // The density is that at the projection: four standard errors of equal ones.
    let by_density = found.log_prob.unwrap();
    assert!((by_density - 0.5).abs() < 0.1, "{by_density}");
    let turned = outlier_auc(of, &outliers, &data, &[0.3]).unwrap();
    assert_eq!((turned.reconstruction_error, turned.published), (0., 1.), "turned round");
}
