//! Laws of the density: its parts, and its integral.
use super::super::differences::{Volumes, jacobian};
use super::super::inputs::Inputs;
use super::outputs::supported;
use super::{Failure, Trial};
use crate::model::{Density, Model};
use candle_core::{D, DType, Tensor};
use mflow_bijectors::laws::compare::close_numbers;
use mflow_bijectors::laws::{Finding, tensor};
use mflow_bijectors::{Domain, Stream, host};
use std::f64::consts::{PI, TAU};

/// How samples are made: from latents and, of models with a density off their manifold, from standard normal noise.
#[derive(Clone, Copy)]
struct Source<'a> {
    model: &'a dyn Model,
    /// The density of what is made.
    kind: Density,
    /// Latents.
    n: usize,
    /// Numbers of noise.
    noise: usize,
}

impl<'a> Source<'a> {
    /// Of every density of a model that is a density of something that can be made: of points on the manifold, and of samples.
    fn every(model: &'a dyn Model) -> Result<Vec<Self>, Failure> {
        let Some(of_samples) = Self::of(model)? else { return Ok(vec![]) };
        if of_samples.noise == 0 {
            return Ok(vec![of_samples]);
        }
        // Samples are off the manifold: there may be a density on it, too. No rows are enough to ask.
        let signature = model.signature();
        let none = |columns| host::zeros((0, columns), DType::F64, &signature.device);
        let context = signature.context_dim.map(none).transpose()?;
        let (kind, x) = (Density::Manifold, none(signature.data_dim)?);
        let on_manifold = supported(model.log_density(kind, &x, context.as_ref()))?;
        let on_manifold = on_manifold.map(|_| Self { kind, noise: 0, ..of_samples });
        Ok([of_samples].into_iter().chain(on_manifold).collect())
    }

    /// Of a model whose samples have a density; none where it has none.
    fn of(model: &'a dyn Model) -> Result<Option<Self>, Failure> {
        let signature = model.signature();
        let (Some(kind), true, 1) =
            (signature.density, signature.is_generative(), signature.charts)
        else {
            return Ok(None);
        };
        let noise = supported(model.sample_noise(1, &mut Stream::new(1, "noise")))?.flatten();
        let noise = noise.map_or(Ok(0), |t| t.dim(1))?;
        Ok(Some(Self { model, kind, n: signature.manifold_dim, noise }))
    }

    /// Numbers that a sample is made from.
    fn dim(&self) -> usize {
        self.n + self.noise
    }

    /// Samples from latents and noise side by side, `[B, N + K]`.
    fn make(&self, z: &Tensor, context: Option<&Tensor>) -> Result<Tensor, Failure> {
        if self.noise == 0 {
            return Ok(self.model.decode(z, context)?);
        }
        let part = |start, len| z.narrow(D::Minus1, start, len)?.contiguous();
        let (latent, noise) = (part(0, self.n)?, part(self.n, self.noise)?);
        Ok(self.model.decode_noisy(&latent, &noise, context)?)
    }

    /// The log-density of latents and noise.
    fn log_prob_of(&self, z: &Tensor) -> Result<Vec<f64>, Failure> {
        let latent = z.narrow(D::Minus1, 0, self.n)?.contiguous()?;
        let mut all = host::values_f64(&self.model.latent_log_prob(&latent)?)?;
        for (all, z) in all.iter_mut().zip(host::values_f64(z)?.chunks(self.dim())) {
            *all += z[self.n..].iter().map(|v| log_normal(*v)).sum::<f64>();
        }
        Ok(all)
    }

    /// Volumes of samples by differences.
    fn volumes(&self, z: &Tensor, context: Option<&Tensor>) -> Result<Volumes, Failure> {
        Volumes::of(&jacobian(z, self.dim(), |z| self.make(z, context))?)
    }
}

fn log_normal(v: f64) -> f64 {
    -0.5 * (v * v + TAU.ln())
}

/// The log-density is that of latents and noise, less the log-volume by differences. That of coordinates lacks the volume of the
/// manifold.
pub(super) fn density(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let (model, context) = (trial.model, inputs.context.as_ref());
    if !trial.is_generative() || trial.is_mixed() {
        return Ok(());
    }
    let difference = trial.options.tolerances.difference;
    let [_, x] = trial.points(inputs)?;
    // At the code of `x`, wherever that is: so the formula holds where an encoder does not invert.
    let code = model.encode(&x, context)?;
    let n = model.signature().manifold_dim;
    let volumes = Volumes::of(&jacobian(&code, n, |u| Ok(model.decode(u, context)?))?)?;
    let mut limit = volumes.limit(difference, &x)?;
    let of_latents = host::values_f64(&model.latent_log_prob(&code)?)?;
    let expected: Vec<f64> =
        of_latents.iter().zip(&volumes.log).map(|(p, volume)| p - volume).collect();
    if let Some(found) = supported(model.log_density(Density::Manifold, &x, context))? {
        close_numbers("the density on the manifold", &host::values_f64(&found)?, &expected, limit)?;
    }
    if let Some(embedding) = model.embedding() {
        let u = model.coordinates(&x, context)?;
        let of_u = Volumes::of(&jacobian(&u, n, |u| Ok(embedding.embed(u, context)?))?)?;
        let found = host::values_f64(&model.coordinate_log_prob(&u, context)?)?;
        let expected: Vec<f64> = expected.iter().zip(&of_u.log).map(|(p, v)| p + v).collect();
        limit.size += of_u.limit(difference, &x)?.size;
        close_numbers("the density of coordinates", &found, &expected, limit)?;
    }
    let Some(source) = Source::of(model)?.filter(|source| source.noise > 0) else { return Ok(()) };
    let mut noise = Stream::new(trial.options.seed, "off the manifold");
    let Some(noise) = model.sample_noise(inputs.count(), &mut noise)? else { return Ok(()) };
    let z = Tensor::cat(&[&inputs.u, &noise], 1)?;
    let x = source.make(&z, context)?;
    let volumes = source.volumes(&z, context)?;
    let expected: Vec<f64> =
        source.log_prob_of(&z)?.iter().zip(&volumes.log).map(|(p, volume)| p - volume).collect();
    let found = host::values_f64(&model.log_density(source.kind, &x, context)?)?;
    close_numbers("the density off the manifold", &found, &expected, volumes.limit(difference, &x)?)
}

/// How much wider than the base density the latents of an integral are drawn.
const WIDER: f64 = 1.15;
/// Rows at once: more do not stay in the cache.
const BLOCK: usize = 500;

/// The integral of the density over all that samples can be, by draws of latents that are somewhat wider than those of the model;
/// angles are uniform. Each draw counts the density at its sample times the volume there, by differences, over the density that it
/// was drawn with. With the default draws a density of up to three latents that is 10 % off is noticed.
pub(super) fn integral(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.model.inverts() {
        return Ok(());
    }
    Source::every(trial.model)?.iter().try_for_each(|source| integral_of(source, trial, inputs))
}

fn integral_of(source: &Source<'_>, trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let model = trial.model;
    let (options, signature) = (trial.options, model.signature());
    let angles = signature.latent_domain == Domain::Angle;
    let mut stream = Stream::new(options.seed, "integral");
    // One context: each has a density of its own.
    let first = inputs.narrow(0, 1)?.context;
    let mut weights = vec![];
    while weights.len() < options.draws {
        let (z, drawn) = draw(source, angles, &mut stream);
        let z = tensor(z, &[BLOCK, source.dim()], &options.device)?;
        let context = first.as_ref().map(|c| c.broadcast_as((BLOCK, c.dim(1)?))?.contiguous());
        let context = context.transpose()?;
        let x = source.make(&z, context.as_ref())?;
        let log_prob = host::values_f64(&model.log_density(source.kind, &x, context.as_ref())?)?;
        let volumes = source.volumes(&z, context.as_ref())?;
        for ((p, volume), drawn) in log_prob.iter().zip(&volumes.log).zip(drawn) {
            weights.push((p + volume - drawn).exp());
        }
    }
    judge(&format!("the integral of the density {:?}", source.kind), &weights)
}

/// A block of numbers that samples are made from, and the log-density that each row was drawn with.
fn draw(source: &Source<'_>, angles: bool, stream: &mut Stream) -> (Vec<f64>, Vec<f64>) {
    let (mut z, mut drawn) = (vec![], vec![]);
    for _ in 0..BLOCK {
        let of_latents = if angles {
            z.extend(stream.uniform(source.n, -PI, PI));
            -(source.n as f64) * TAU.ln()
        } else {
            0.
        };
        let wide = if angles { source.noise } else { source.dim() };
        let normal = stream.normal(wide);
        z.extend(normal.iter().map(|v| v * WIDER));
        drawn.push(of_latents + normal.iter().map(|v| log_normal(*v) - WIDER.ln()).sum::<f64>());
    }
    (z, drawn)
}

/// Weights have the mean 1.
pub(super) fn judge(what: &str, weights: &[f64]) -> Result<(), Failure> {
    let n = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let variance = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.);
    // Where all weights are equal, rounding and the differences are left.
    let allowed = 5. * (variance / n).sqrt() + 1e-4;
    if (mean - 1.).abs() <= allowed && allowed < MOST_ALLOWED {
        return Ok(());
    }
    Err(Failure::Broken(Finding {
        what: what.to_owned(),
        found: format!("{mean:?}"),
        expected: "1.0".to_owned(),
        tolerance: format!(
            "{allowed:.1e}: five standard errors of {n} draws, which must be below {MOST_ALLOWED}; \
             `Options::draws` makes them smaller"
        ),
    }))
}

/// Nothing is said by an integral that could be farther off than this.
const MOST_ALLOWED: f64 = 0.15;
