//! The laws of models: every [`Model`] keeps those that its signature and [`Model::inverts`] promise.
//!
//! - An estimator of ratios is tried on what it has: gradients, contexts, refusals, files.
//! - A model whose encoder is a network of its own has no idempotent projection, and its density is that of its samples only as far
//!   as the encoder inverts the decoder. The integral and the samples are left out for it.
//! - Of an atlas the density is a mixture over charts that overlap. Its parts and its integral are left out, and want tests of
//!   their own.
mod calls;
mod codes;
mod density;
mod files;
mod outputs;
mod refusals;
mod samples;

use super::differences::Volumes;
use super::inputs::{Inputs, Sizes};
use super::{BY_DIFFERENCES, Broken, Failure, ROUNDING};
use crate::model::Model;
use crate::models::ModelConfig;
use candle_core::{DType, Tensor};
use mflow_bijectors::ParamStore;
use mflow_bijectors::laws::compare::Limit;
use mflow_bijectors::laws::{Search, randomise};
use std::sync::Arc;

/// How a model is tried.
pub type Options = super::Options<Law>;

mflow_bijectors::declare_laws! {
    Codes, "codes", "decode(encode(x)) is the projection, and where a model inverts encode(decode(ũ)) is ũ", codes::codes;
    Projection, "projection", "the projection of a projection is that projection, and the distance to it is the error",
        codes::projection;
    Jacobian, "jacobian", "the rows of decode_jacobian are central differences", codes::jacobian;
    Density, "density", "the log-density is that of the latent less the log-volume of decode by differences",
        density::density;
    Integral, "integral", "the density integrates to 1", density::integral;
    Samples, "samples", "samples lie on the manifold, and their latents have the density of latents", samples::samples;
    Seeds, "seeds", "one seed gives the same samples, another one others", samples::seeds;
    Gradients, "gradients", "gradients in data and context, and scores, are central differences", calls::gradients;
    Context, "context", "a context counts where it is declared, and moves the manifold only where that is declared",
        calls::context;
    Rows, "rows", "a row is computed alone, in batches of none, one and many", calls::rows;
    Refusals, "refusals", "another shape, another dtype, a context too few or too many and NaN are typed errors",
        refusals::refusals;
    Capabilities, "capabilities", "a model has what its signature says, in the documented shapes, and refuses the rest by name",
        outputs::capabilities;
    Precision, "precision", "the dtype is kept, and f32 is near f64", calls::precision;
    Manifold, "manifold", "the map behind the manifold keeps the laws of embeddings", codes::manifold;
    File, "file", "a model that is written and read computes the same bits", files::file;
    Config, "config", "a config survives a file, and a misspelt key does not", files::config;
}

impl Law {
    /// Whether one input says all, since it is of many draws or of none.
    fn is_once(self) -> bool {
        matches!(self, Self::Integral | Self::Samples | Self::Seeds | Self::File | Self::Config)
    }
}

/// What the laws can be tried on: a [`ModelConfig`], a closure that builds a model over parameters, or a model that is built, in
/// f64.
///
/// Of a config all laws are tried. A closure has no file, and a model that is built is not tried in f32 either.
pub trait Subject {
    /// Build the model, with the dtype and on the device of the parameters.
    ///
    /// # Errors
    /// If it cannot be built.
    fn build(&self, store: &mut ParamStore) -> crate::Result<Arc<dyn Model>>;
    /// The config, of a model that has one.
    fn config(&self) -> Option<&ModelConfig> {
        None
    }
    /// Whether it can be built again, in another precision.
    fn is_rebuilt(&self) -> bool {
        true
    }
}

impl Subject for ModelConfig {
    fn build(&self, store: &mut ParamStore) -> crate::Result<Arc<dyn Model>> {
        Ok(Arc::from(Self::build(self, store, |_| true)?))
    }
    fn config(&self) -> Option<&ModelConfig> {
        Some(self)
    }
}

impl<F: Fn(&mut ParamStore) -> crate::Result<Arc<dyn Model>>> Subject for F {
    fn build(&self, store: &mut ParamStore) -> crate::Result<Arc<dyn Model>> {
        self(store)
    }
}

impl Subject for Arc<dyn Model> {
    fn build(&self, _: &mut ParamStore) -> crate::Result<Arc<dyn Model>> {
        Ok(Self::clone(self))
    }
    fn is_rebuilt(&self) -> bool {
        false
    }
}

/// A model on trial.
struct Trial<'a> {
    model: &'a dyn Model,
    /// In f32, of one that can be built again.
    single: Option<&'a dyn Model>,
    config: Option<&'a ModelConfig>,
    store: &'a ParamStore,
    options: &'a Options,
}

impl Trial<'_> {
    /// The limit of what is computed twice in f64.
    fn exact(&self) -> Limit {
        Limit::new(self.options.tolerances.exact, "rounding in f64")
    }
    /// The limit of derivatives beside central differences.
    fn by_differences(&self) -> Limit {
        Limit::new(self.options.tolerances.difference, BY_DIFFERENCES)
    }
    /// Whether there is a manifold, not only a ratio.
    fn is_generative(&self) -> bool {
        self.model.signature().is_generative()
    }
    /// Whether there are several charts, whose densities are mixed.
    fn is_mixed(&self) -> bool {
        self.model.signature().charts > 1
    }
    /// Points of the manifold with these latents, and points off it; of a model without a manifold all are off it.
    fn points(&self, inputs: &Inputs) -> Result<[Tensor; 2], Failure> {
        if !self.is_generative() {
            let off = self.options.off;
            let x = (&inputs.off / if off > 0. { off } else { 1. })?;
            return Ok([x.clone(), x]);
        }
        let on = self.model.decode(&inputs.u, inputs.context.as_ref())?;
        let off = (&on + &inputs.off)?;
        Ok([on, off])
    }
    /// Volumes of `decode` at latents.
    fn volumes(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Volumes, Failure> {
        Volumes::of(&self.model.decode_jacobian(latent, context)?)
    }
    /// The limit of points that went to latents and back.
    fn there_and_back(
        &self,
        latent: &Tensor,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Limit, Failure> {
        let steepness = self.volumes(latent, context)?.there_and_back(x)?;
        Ok(Limit::new(self.options.tolerances.exact + 64. * f64::EPSILON * steepness, ROUNDING))
    }
}

/// Try all laws on a model, and return the first that it breaks.
///
/// # Errors
/// [`Broken`] says which law, at which input (the simplest that was found), what was found there and what was expected.
pub fn check(name: &str, subject: &dyn Subject, options: &Options) -> Result<(), Box<Broken<Law>>> {
    check_each(Law::ALL, name, subject, options)
}

/// Try one law on a model.
///
/// # Errors
/// As [`check`].
pub fn check_law(
    law: Law,
    name: &str,
    subject: &dyn Subject,
    options: &Options,
) -> Result<(), Box<Broken<Law>>> {
    check_each(&[law], name, subject, options)
}

fn check_each(
    laws: &[Law],
    name: &str,
    subject: &dyn Subject,
    options: &Options,
) -> Result<(), Box<Broken<Law>>> {
    let broken = |law: Law, (input, failure): (String, Failure)| {
        Box::new(Broken {
            subject: name.to_owned(),
            law,
            statement: law.statement(),
            input,
            finding: failure.finding(),
        })
    };
    let laws: Vec<Law> = laws.iter().copied().filter(|l| !options.without.contains(l)).collect();
    let Some(&first) = laws.first() else { return Ok(()) };
    let built = Forms::new(subject, options);
    let forms = built.map_err(|failure| broken(first, ("any".to_owned(), failure)))?;
    let trial = Trial {
        model: forms.model.as_ref(),
        single: forms.single.as_deref(),
        config: subject.config(),
        store: &forms.store,
        options,
    };
    for law in laws {
        attempt(law, &trial).map_err(|failure| broken(law, failure))?;
    }
    Ok(())
}

/// Try a law on one drawn input, or on those that are drawn and shrunk.
fn attempt(law: Law, trial: &Trial<'_>) -> Result<(), (String, Failure)> {
    let (options, signature) = (trial.options, trial.model.signature());
    let sizes = Sizes {
        n: signature.manifold_dim,
        d: signature.data_dim,
        context: signature.context_dim,
        domain: signature.latent_domain.clone(),
        charts: signature.charts,
    };
    let any = |failure| ("any".to_owned(), failure);
    let tried = |inputs: Inputs| {
        law.attempt(trial, &inputs).map_err(|failure| (inputs.describe(), failure))
    };
    if law.is_once() {
        return tried(sizes.drawn(options.rows.max(1), options).map_err(any)?);
    }
    let search = Search { cases: options.cases, seed: options.seed, source: options.source };
    search.run(&sizes.rows(1..=options.rows.max(1)), |rows| {
        tried(sizes.place(rows, options).map_err(any)?)
    })
}

/// A model in both precisions, with its parameters.
struct Forms {
    store: ParamStore,
    model: Arc<dyn Model>,
    single: Option<Arc<dyn Model>>,
}

impl Forms {
    fn new(subject: &dyn Subject, options: &Options) -> Result<Self, Failure> {
        let mut store = ParamStore::new(options.seed, DType::F64, &options.device);
        let model = subject.build(&mut store)?;
        randomise(&store, &format!("parameters {}", options.seed), options.gain)?;
        if !subject.is_rebuilt() {
            return Ok(Self { store, model, single: None });
        }
        let mut of_single = ParamStore::from_named(store.to_named()?, DType::F32, &options.device);
        let single = Some(subject.build(&mut of_single)?);
        Ok(Self { store, model, single })
    }
}
