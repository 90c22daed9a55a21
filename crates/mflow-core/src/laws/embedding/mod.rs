//! The laws of manifolds: every [`Embedding`] keeps them, and charts keep one more.
//!
//! The projection of a chart is the nearest point of the manifold, and so is that of every embedding which says so by
//! [`Embedding::projects_to_nearest`]. An M-flow promises less: its projection is the point that training makes close, and only
//! [`Law::Idempotent`] holds. Where coordinates come from a network of their own ([`Embedding::inverts`] is false) not even that
//! is promised. A graph finds its nearest point in steps: keep its function gentle, or data near, if it is to be the global one.
mod calls;
mod edges;
mod outputs;
mod projection;
mod tangents;

use super::inputs::{Inputs, Sizes};
use super::{Broken, Failure};
use crate::chart::ChartConfig;
use crate::embedding::Embedding;
use candle_core::{DType, Tensor};
use mflow_bijectors::laws::compare::Limit;
use mflow_bijectors::laws::{Search, randomise};
use mflow_bijectors::{ParamStore, Params, Result as BuildResult};
use std::sync::Arc;

/// How an embedding is tried.
pub type Options = super::Options<Law>;

mflow_bijectors::declare_laws! {
    RoundTrip, "round trip", "the coordinates of a point of the manifold are those it was made from", projection::round_trip;
    Idempotent, "idempotent", "the projection of a projection is that projection", projection::idempotent;
    Nearest, "nearest", "where an embedding says so, the projection is orthogonal and no other point is nearer",
        projection::nearest;
    Tangents, "tangents", "the rows of the Jacobian are central differences", tangents::tangents;
    Volume, "volume", "the log-volume is half of ln det J Jᵀ", tangents::volume;
    Gradients, "gradients", "gradients of points, volumes and coordinates are central differences", tangents::gradients;
    Edges, "edges", "at the ends of the domain points are finite and project onto themselves; angles have no end",
        edges::edges;
    Context, "context", "a context counts where it is declared and nowhere else", calls::context;
    Rows, "rows", "a row is mapped alone, in batches of none, one and many", calls::rows;
    Nan, "NaN", "NaN stays NaN in its own row, or is refused", calls::nan;
    Refusals, "refusals", "another shape, another dtype and a missing context are typed errors", calls::refusals;
    Precision, "precision", "the dtype is kept, and f32 is near f64", calls::precision;
}

/// What the laws can be tried on: a [`ChartConfig`], a closure that builds an embedding over parameters, or an embedding that is
/// built, in f64.
///
/// Of an embedding that is built the law of precision is left out.
pub trait Subject {
    /// Build the embedding, with the dtype and on the device of the parameters.
    ///
    /// # Errors
    /// If it cannot be built.
    fn build(&self, params: &mut Params<'_>) -> crate::Result<Arc<dyn Embedding>>;
    /// Whether it can be built again, in another precision.
    fn is_rebuilt(&self) -> bool {
        true
    }
}

impl Subject for ChartConfig {
    fn build(&self, params: &mut Params<'_>) -> crate::Result<Arc<dyn Embedding>> {
        Ok(Arc::from(Self::build(self, params.dtype(), params.device())?))
    }
}

impl<F: Fn(&mut Params<'_>) -> crate::Result<Arc<dyn Embedding>>> Subject for F {
    fn build(&self, params: &mut Params<'_>) -> crate::Result<Arc<dyn Embedding>> {
        self(params)
    }
}

impl Subject for Arc<dyn Embedding> {
    fn build(&self, _: &mut Params<'_>) -> crate::Result<Arc<dyn Embedding>> {
        Ok(Self::clone(self))
    }
    fn is_rebuilt(&self) -> bool {
        false
    }
}

/// An embedding on trial.
struct Trial<'a> {
    embedding: &'a dyn Embedding,
    /// In f32, of one that can be built again.
    single: Option<&'a dyn Embedding>,
    options: &'a Options,
}

impl Trial<'_> {
    /// The limit of what is computed twice in f64.
    fn exact(&self) -> Limit {
        Limit::new(self.options.tolerances.exact, "rounding in f64")
    }

    /// Points of the manifold, and points off it.
    fn points(&self, inputs: &Inputs) -> Result<[Tensor; 2], Failure> {
        let on = self.embedding.embed(&inputs.u, inputs.context.as_ref())?;
        let off = (&on + &inputs.off)?;
        Ok([on, off])
    }
}

/// Try all laws on an embedding, and return the first that it breaks.
///
/// # Errors
/// [`Broken`] says which law, at which input (the simplest that was found), what was found there and what was expected.
pub fn check(name: &str, subject: &dyn Subject, options: &Options) -> Result<(), Box<Broken<Law>>> {
    check_each(Law::ALL, name, subject, options)
}

/// Try one law on an embedding.
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
    let (full, single) =
        build(subject, options).map_err(|failure| broken(first, ("any".to_owned(), failure)))?;
    let trial = Trial { embedding: full.as_ref(), single: single.as_deref(), options };
    let sizes = sizes(full.as_ref());
    for law in laws {
        let search = Search { cases: options.cases, seed: options.seed, source: options.source };
        let strategy = sizes.rows(1..=options.rows.max(1));
        let tried = search.run(&strategy, |rows| {
            let any = |failure| ("any".to_owned(), failure);
            let inputs = sizes.place(rows, options).map_err(any)?;
            law.attempt(&trial, &inputs).map_err(|failure| (inputs.describe(), failure))
        });
        tried.map_err(|failure| broken(law, failure))?;
    }
    Ok(())
}

/// Both precisions, of one that can be built again.
type Built = (Arc<dyn Embedding>, Option<Arc<dyn Embedding>>);

fn build(subject: &dyn Subject, options: &Options) -> Result<Built, Failure> {
    let over = |store: &mut ParamStore| -> Result<Arc<dyn Embedding>, Failure> {
        // A session speaks the errors of bijectors; those of this crate wait outside.
        let mut built = None;
        store.build(
            |_| true,
            |params| -> BuildResult<()> {
                built = Some(subject.build(params));
                Ok(())
            },
        )?;
        match built {
            Some(built) => Ok(built?),
            None => Err(Failure::Error("nothing was built".to_owned())),
        }
    };
    let mut store = ParamStore::new(options.seed, DType::F64, &options.device);
    let full = over(&mut store)?;
    randomise(&store, &format!("parameters {}", options.seed), options.gain)?;
    if !subject.is_rebuilt() {
        return Ok((full, None));
    }
    let mut single = ParamStore::from_named(store.to_named()?, DType::F32, &options.device);
    let single = over(&mut single)?;
    Ok((full, Some(single)))
}

fn sizes(embedding: &dyn Embedding) -> Sizes {
    Sizes {
        n: embedding.manifold_dim(),
        d: embedding.data_dim(),
        context: embedding.context_dim(),
        domain: embedding.domain(),
        charts: 1,
    }
}

/// All laws but `without`, on an embedding that is part of a model.
pub(super) fn check_part(
    embedding: &dyn Embedding,
    without: &[Law],
    options: &Options,
) -> Result<(), Failure> {
    let trial = Trial { embedding, single: None, options };
    let inputs = sizes(embedding).drawn(options.rows.max(1), options)?;
    for law in Law::ALL.iter().filter(|law| !without.contains(law)) {
        law.attempt(&trial, &inputs).map_err(|failure| {
            let mut finding = failure.finding();
            finding.what = format!("{}, by the law `{law}` of embeddings", finding.what);
            Failure::Broken(finding)
        })?;
    }
    Ok(())
}
