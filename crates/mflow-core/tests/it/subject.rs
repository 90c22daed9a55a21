//! A model under test: small, with parameters well away from the near-identity start.
use crate::numbers::{device, normal, numbers, tensor};
use mflow_bijectors::{
    Activation, Diff, Dual, FeatureAffineConfig, LinearKind, ParamStore, SplineFlowConfig,
};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{Model, ModelConfig};
use std::collections::BTreeMap;

/// Sizes and options of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) d: usize,
    pub(crate) n: usize,
    pub(crate) context: usize,
    pub(crate) conditional_manifold: bool,
    pub(crate) scaled: bool,
    /// Size of the random parameters.
    pub(crate) gain: f64,
}

/// Scales of features, as far apart as data have them.
pub(crate) const SCALES: [f64; 3] = [1., 10., 0.1];

/// Three couplings of 5 bins on `[-3, 3]`, smooth conditioners of width 16.
pub(crate) fn small_flow(linear: LinearKind) -> SplineFlowConfig {
    let mut config = SplineFlowConfig::default();
    (config.layers, config.bins, config.tail_bound, config.linear) = (3, 5, 3., linear);
    (config.hidden, config.blocks, config.activation) = (16, 1, Activation::Silu);
    config
}

impl Case {
    pub(crate) fn new(d: usize, n: usize) -> Self {
        Self { d, n, context: 0, conditional_manifold: false, scaled: false, gain: 0.7 }
    }
    pub(crate) fn scaled(self) -> Self {
        Self { scaled: true, ..self }
    }
    pub(crate) fn with_context(self, context: usize) -> Self {
        Self { context, ..self }
    }
    pub(crate) fn with_conditional_manifold(self) -> Self {
        Self { conditional_manifold: true, ..self }
    }

    pub(crate) fn config(&self) -> ModelConfig {
        // An LU map on the outside, permutations on the inside: both kinds are met.
        let flows = (small_flow(LinearKind::Lu), small_flow(LinearKind::Permutation));
        let mut config =
            ModelConfig::m_flow(self.d, self.n).with_outer(flows.0).with_inner(flows.1);
        if self.context > 0 {
            config = config.with_context(self.context);
        }
        if self.conditional_manifold {
            config = config.with_conditional_manifold();
        }
        if self.scaled {
            let scale: Vec<f64> = SCALES.iter().copied().cycle().take(self.d).collect();
            let shift = (0..self.d).map(|j| 2. - j as f64).collect();
            config = config.with_normalization(FeatureAffineConfig::new(shift, scale));
        }
        config
    }

    pub(crate) fn build(&self) -> Subject {
        self.build_as(DType::F64)
    }
    pub(crate) fn build_as(&self, dtype: DType) -> Subject {
        let mut store = ParamStore::new(5, dtype, device());
        let model = self.config().build(&mut store, |_| true).unwrap();
        randomise(&store, self.gain);
        Subject { case: *self, config: self.config(), store, model }
    }
}

/// Set every parameter to noise: the identity start would hide most mistakes.
pub(crate) fn randomise(store: &ParamStore, gain: f64) {
    let noise = |(name, old): (String, Tensor)| {
        let scale = match old.dims() {
            [_, inputs] => gain / (*inputs as f64).sqrt().max(1.),
            _ => 0.4 * gain,
        };
        let random = (normal(&name, old.dims()) * scale).unwrap();
        (name, random)
    };
    let named: BTreeMap<_, _> = store.to_named().unwrap().into_iter().map(noise).collect();
    store.assign(&named).unwrap();
}

pub(crate) struct Subject {
    pub(crate) case: Case,
    pub(crate) config: ModelConfig,
    pub(crate) store: ParamStore,
    pub(crate) model: Box<dyn Model>,
}

impl Subject {
    /// Context rows, if the model wants them.
    pub(crate) fn context(&self, rows: usize) -> Option<Tensor> {
        let c = self.case.context;
        (c > 0).then(|| self.cast(normal("context", &[rows, c])))
    }
    /// Data off the manifold, about as wide as the normalisation says.
    pub(crate) fn data(&self, rows: usize) -> Tensor {
        let d = self.case.d;
        let mut x = numbers(&normal("data", &[rows, d]));
        if let Some(affine) = &self.config.sizes.normalization {
            for (i, v) in x.iter_mut().enumerate() {
                *v = affine.shift[i % d] + affine.scale[i % d] * *v;
            }
        }
        self.cast(tensor(x, &[rows, d]))
    }
    pub(crate) fn latent(&self, rows: usize) -> Tensor {
        self.cast(normal("latent", &[rows, self.case.n]))
    }
    pub(crate) fn cast(&self, t: Tensor) -> Tensor {
        t.to_dtype(self.model.signature().dtype).unwrap()
    }
}

/// The Jacobian rows `[B, K, D]` of a map of rows `[B, K]` to rows `[B, D]`, by central differences.
pub(crate) fn differences(at: &Tensor, f: &dyn Fn(&Tensor) -> Tensor) -> Tensor {
    let columns = at.dims()[1];
    let step = 2e-6;
    let moved = |i: usize, by: f64| {
        let unit = (0..columns).map(|k| if k == i { by } else { 0. }).collect();
        f(&at.broadcast_add(&tensor(unit, &[1, columns])).unwrap())
    };
    let row = |i| ((moved(i, step) - moved(i, -step)).unwrap() / (2. * step)).unwrap();
    Tensor::stack(&(0..columns).map(row).collect::<Vec<_>>(), 1).unwrap()
}

/// The tangents of the identity, to see that the parts below agree on the shape of rows.
#[test]
fn tangent_rows_of_the_embedding_are_those_of_the_chart() {
    let subject = Case::new(6, 3).scaled().build();
    let u = subject.latent(4);
    let x: Dual = subject.model.embedding().unwrap().embed_with_jacobian(&u, None).unwrap();
    let plain = subject.model.embedding().unwrap().embed(&u, None).unwrap();
    assert_eq!(x.tangents().unwrap().dims(), [4, 3, 6], "rows of the Jacobian");
    crate::numbers::close("value", &numbers(Diff::value(&x)), &numbers(&plain), 1e-12);
}
