//! Wrong models, each caught by the law that it breaks.
use crate::kinds::{small, units};
use crate::mutant_manifolds::{self, Cylinder};
use crate::numbers::{device, numbers, tensor};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::laws::model::{Law, Options, Subject, check, check_law};
use mflow_core::{
    Density, Embedding, Error, LogProbGradient, Model, ModelConfig, ModelSignature, Result,
};
use std::sync::Arc;

/// What is wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    Nothing,
    /// The density is 5 % too large.
    DensityOff,
    /// So are that of latents and that of data, in accord: by a fifth.
    NotNormalised,
    /// Projections are beside the manifold.
    ProjectionOff,
    /// The distance is twice what it is.
    ErrorOff,
    /// Codes are off by a per mille.
    CodesOff,
    /// The tangent along the last latent is lost.
    LostTangent,
    /// Latents are drawn too near to the centre.
    NarrowSamples,
    /// Samples are beside the manifold.
    SamplesOff,
    /// All streams are one.
    SeedIgnored,
    /// The context is declared and not used.
    ContextIgnored,
    /// The manifold moves with the context, and nobody says so.
    ManifoldMoves,
    /// The density depends on the other rows.
    MixesRows,
    /// NaN counts as 0.
    TakesNan,
    /// It has a density, and says that it has none.
    SaysNoDensity,
    /// The gradient is off by 1 %.
    GradientOff,
    /// In f32 it is another one.
    OtherInSingle,
    /// The map behind its manifold has a wrong volume.
    WrongManifold,
    /// Its config is that of another model.
    OtherConfig,
}

#[derive(Debug)]
struct Wrong {
    inner: Box<dyn Model>,
    signature: ModelSignature,
    manifold: Cylinder,
    mistake: Mistake,
}

impl Wrong {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }
    fn plus(&self, t: Tensor, mistake: Mistake, by: f64) -> Result<Tensor> {
        Ok(if self.is(mistake) { (t + by)? } else { t })
    }
    fn of(&self, context: Option<&Tensor>) -> Option<Tensor> {
        match self.mistake {
            Mistake::ContextIgnored => context.map(|c| (c * 0.).unwrap()),
            _ => context.cloned(),
        }
    }
    /// What the context moves points by.
    fn moved(&self, x: Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        match context {
            Some(c) if self.is(Mistake::ManifoldMoves) => {
                Ok(x.broadcast_add(&(c.sum_keepdim(1)? * 0.01)?)?)
            }
            _ => Ok(x),
        }
    }
}

impl Model for Wrong {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }
    fn embedding(&self) -> Option<&dyn Embedding> {
        match self.mistake {
            Mistake::WrongManifold => Some(&self.manifold),
            _ => self.inner.embedding(),
        }
    }
    fn log_density(&self, kind: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let mut x = x.clone();
        if self.is(Mistake::TakesNan) && numbers(&x).iter().any(|v| v.is_nan()) {
            let values = numbers(&x).into_iter().map(|v| if v.is_nan() { 0. } else { v });
            x = tensor(values.collect(), x.dims());
        }
        let p = self.inner.log_density(kind, &x, self.of(context).as_ref())?;
        if self.is(Mistake::MixesRows) && p.dim(0)? > 1 {
            return Ok(p.broadcast_add(&(p.mean_all()? * 1e-3)?)?);
        }
        if self.is(Mistake::OtherInSingle) && p.dtype() == DType::F32 {
            return Ok((p + 0.1)?);
        }
        let p = self.plus(p, Mistake::DensityOff, 0.05)?;
        self.plus(p, Mistake::NotNormalised, 0.2)
    }
    fn log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.log_density(Density::Manifold, x, context)
    }
    fn log_prob_gradient(&self, x: &Tensor, context: Option<&Tensor>) -> Result<LogProbGradient> {
        let mut found = self.inner.log_prob_gradient(x, self.of(context).as_ref())?;
        if self.is(Mistake::GradientOff) {
            found.x = (found.x * 1.01)?;
        }
        Ok(found)
    }
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let p = self.inner.project(x, self.of(context).as_ref())?;
        let p = self.moved(p, context)?;
        self.plus(p, Mistake::ProjectionOff, 1e-3)
    }
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let u = self.inner.encode(x, self.of(context).as_ref())?;
        Ok(if self.is(Mistake::CodesOff) { (u * 1.001)? } else { u })
    }
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let x = self.inner.decode(latent, self.of(context).as_ref())?;
        self.moved(x, context)
    }
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let rows = self.inner.decode_jacobian(latent, self.of(context).as_ref())?;
        if self.is(Mistake::LostTangent) && rows.dim(0)? > 0 {
            let last = rows.dim(1)? - 1;
            let kept = rows.narrow(1, 0, last)?;
            return Ok(Tensor::cat(&[&kept, &(rows.narrow(1, last, 1)? * 0.)?], 1)?);
        }
        Ok(rows)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.inner.coordinates(x, self.of(context).as_ref())
    }
    fn latents(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.inner.latents(x, self.of(context).as_ref())
    }
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let p = self.inner.coordinate_log_prob(u, self.of(context).as_ref())?;
        self.plus(p, Mistake::NotNormalised, 0.2)
    }
    fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor> {
        let p = self.inner.latent_log_prob(latent)?;
        self.plus(p, Mistake::NotNormalised, 0.2)
    }
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
        let mut one = Stream::new(1, "one");
        let stream = if self.is(Mistake::SeedIgnored) { &mut one } else { stream };
        let u = self.inner.sample_latent(rows, stream)?;
        Ok(if self.is(Mistake::NarrowSamples) { (u * 0.7)? } else { u })
    }
    fn sample(&self, rows: usize, context: Option<&Tensor>, stream: &mut Stream) -> Result<Tensor> {
        let x = self.decode(&self.sample_latent(rows, stream)?, context)?;
        self.plus(x, Mistake::SamplesOff, 1e-3)
    }
    fn reconstruction_error(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let error = self.inner.reconstruction_error(x, context)?;
        Ok(if self.is(Mistake::ErrorOff) { (error * 2.)? } else { error })
    }
}

struct OfMistake(Mistake, ModelConfig);

impl OfMistake {
    fn new(mistake: Mistake) -> Self {
        Self(mistake, small(ModelConfig::m_flow(3, 2)).with_context(1))
    }
}

impl Subject for OfMistake {
    fn build(&self, store: &mut ParamStore) -> Result<Arc<dyn Model>> {
        let Self(mistake, config) = self;
        let other = config.clone().with_normalization(units(3));
        let config = if *mistake == Mistake::OtherConfig { &other } else { config };
        let inner = config.build(store, |_| true)?;
        let mut signature = inner.signature().clone();
        if *mistake == Mistake::SaysNoDensity {
            signature.density = None;
        }
        let dtype = signature.dtype;
        let manifold = Cylinder::new(mutant_manifolds::Mistake::VolumeOff, dtype)?;
        Ok(Arc::new(Wrong { inner, signature, manifold, mistake: *mistake }))
    }
    fn config(&self) -> Option<&ModelConfig> {
        [Mistake::Nothing, Mistake::OtherConfig].contains(&self.0).then_some(&self.1)
    }
}

fn options() -> Options {
    Options::default().on(device()).cases(2).gain(0.4)
}

#[test]
fn the_right_model_keeps_every_law() {
    if let Err(broken) = check("right", &OfMistake::new(Mistake::Nothing), &options()) {
        panic!("{broken}");
    }
}

#[test]
fn every_wrong_model_is_caught_by_its_law() {
    for (mistake, law) in [
        (Mistake::DensityOff, Law::Density),
        (Mistake::NotNormalised, Law::Integral),
        (Mistake::ProjectionOff, Law::Projection),
        (Mistake::ErrorOff, Law::Projection),
        (Mistake::CodesOff, Law::Codes),
        (Mistake::LostTangent, Law::Jacobian),
        (Mistake::NarrowSamples, Law::Samples),
        (Mistake::SamplesOff, Law::Samples),
        (Mistake::SeedIgnored, Law::Seeds),
        (Mistake::ContextIgnored, Law::Context),
        (Mistake::ManifoldMoves, Law::Context),
        (Mistake::MixesRows, Law::Rows),
        (Mistake::TakesNan, Law::Refusals),
        (Mistake::SaysNoDensity, Law::Capabilities),
        (Mistake::GradientOff, Law::Gradients),
        (Mistake::OtherInSingle, Law::Precision),
        (Mistake::WrongManifold, Law::Manifold),
        (Mistake::OtherConfig, Law::File),
    ] {
        let Err(broken) = check_law(law, "wrong", &OfMistake::new(mistake), &options()) else {
            panic!("{mistake:?} was not caught by {law}");
        };
        let text = broken.to_string();
        for part in [law.name(), law.statement(), "found:", "expected:", "at:"] {
            assert!(text.contains(part), "{mistake:?}: {part} is missing in {text}");
        }
    }
}

/// What is right in every formula and wrong in its constant is seen by the integral alone.
#[test]
fn a_density_that_does_not_integrate_to_one_keeps_the_law_of_its_parts() {
    let wrong = OfMistake::new(Mistake::NotNormalised);
    if let Err(broken) = check_law(Law::Density, "wrong", &wrong, &options()) {
        panic!("{broken}");
    }
    let broken = check_law(Law::Integral, "wrong", &wrong, &options()).unwrap_err();
    let found: f64 = broken.finding.found.parse().unwrap();
    assert!((found - 0.2_f64.exp()).abs() < 0.05, "e^0.2 = 1.22: {broken}");
}

#[test]
fn a_model_that_fails_is_told_so() {
    let failing = |_: &mut ParamStore| -> Result<Arc<dyn Model>> {
        Err(Error::Unsupported { op: "build", model: "test", reason: "it never was one" })
    };
    let broken = check("failing", &failing, &options()).unwrap_err();
    assert!(broken.to_string().contains("it never was one"), "{broken}");
}
