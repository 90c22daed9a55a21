//! Shared set-up of the benchmarks: the power configuration, and the matrix products inside it.
//!
//! The power configuration is that of the published polynomial surface: 5 outer couplings on R³, 5
//! inner ones on R² with one context feature, hidden width 100, 2 blocks, 10 bins, f32. All timings use
//! a pool of two threads, or one where the name says so.
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a benchmark that panics has failed")]
mod case;
mod ceilings;

pub use case::{Case, Map, Quantity, Repeat, Work};
pub use ceilings::Ceilings;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var};
use mflow_bijectors::gemm::{Matrix, MatrixMut, gemm};
use mflow_bijectors::{
    Bijector, Mapped, ParamStore, Parameter, Route, SplineFlowConfig, Stream, gradients,
};
use mflow_core::{BaseDensity, StandardNormal};
use mflow_train::{Optimizer, OptimizerConfig, Pool, cut, optimizer, shards};
use std::sync::Arc;

/// The code of the README compiles and runs. It is here, as no package that is published may reach out of its folder.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// As in the program: large blocks that are freed stay in the process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Standard deviation of the latents off the manifold in the benchmark's likelihood.
const EPSILON: f64 = 0.1;

/// Run `f`, which cannot fail in a benchmark.
///
/// # Panics
/// If it does.
pub fn must<T, E: std::fmt::Display>(result: std::result::Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("benchmark set-up: {e}"),
    }
}

/// Seeded standard normal rows.
pub fn rows(n: usize, dim: usize, purpose: &str) -> Tensor {
    must(Stream::new(1, purpose).normal_tensor(&[n, dim], DType::F32, &Device::Cpu))
}

/// The gradient of the sum of values and log-dets.
pub fn gradient(mapped: &Mapped) -> GradStore {
    let loss = must(mapped.value.sum_all()).add(&must(mapped.log_abs_det.sum_all()));
    must(must(loss).backward())
}

/// The flows of the power configuration, with an optimizer over both.
#[derive(Debug)]
pub struct PowerFlows {
    outer: Arc<dyn Bijector>,
    inner: Arc<dyn Bijector>,
    vars: Vec<Var>,
    optimizer: Box<dyn Optimizer>,
}

impl PowerFlows {
    /// Build on the given route.
    pub fn new(route: Route) -> Self {
        let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
        let mut flow = SplineFlowConfig::default();
        flow.route = route;
        let (outer, inner) = must(store.build(
            |_| true,
            |params| {
                let outer = flow.bijector(3, 0)?.build(&mut params.scope("outer"))?;
                Ok((outer, flow.bijector(2, 1)?.build(&mut params.scope("inner"))?))
            },
        ));
        let parameters: Vec<Parameter> = store.parameters().cloned().collect();
        let vars = parameters.iter().map(|p| p.var.clone()).collect();
        let optimizer = optimizer(&OptimizerConfig::default(), parameters);
        Self { outer, inner, vars, optimizer }
    }

    /// Negative log-likelihood of `x: [B, 3]` summed over rows: `N(0, 1)` on `u`, `N(0, ε²)` on `v`.
    fn nll_sum(&self, x: &Tensor, context: &Tensor) -> mflow_core::Result<Tensor> {
        let latent = self.outer.inverse(x, None)?;
        let (u, v) = (latent.value.narrow(1, 0, 2)?.contiguous()?, latent.value.narrow(1, 2, 1)?);
        let base = self.inner.inverse(&u, Some(context))?;
        let log_prob = StandardNormal { dim: 2 }.log_prob(&base.value)?.sum_all()?;
        let log_dets = (latent.log_abs_det + base.log_abs_det)?.sum_all()?;
        Ok(((v.sqr()?.sum_all()? * (0.5 / EPSILON / EPSILON))? - (log_prob + log_dets)?)?)
    }

    /// One update: loss and gradient on row shards, clipping, AdamW.
    pub fn step(&mut self, pool: &Pool, x: &Tensor, context: &Tensor) -> f64 {
        let batch = x.dims()[0];
        let n = shards(batch, pool.threads());
        let parts = pool.map(n, |i| {
            let r = cut(batch, n, i);
            let narrow = |t: &Tensor| must(t.narrow(0, r.start, r.len()));
            let loss = must(self.nll_sum(&narrow(x), &narrow(context)));
            let loss = must(loss / batch as f64);
            must(gradients(&loss, &self.vars))
        });
        let norm = must(self.optimizer.accumulate(pool, &parts));
        must(self.optimizer.step(pool, 1e-6, (10. / norm).min(1.)));
        norm
    }
}

/// A matrix product of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// Rows per point: tangents are rows too.
    pub rows: usize,
}

/// Sizes of the matrix products of one coupling of the power configuration.
fn products(inputs: usize, context: usize, moved: usize) -> Vec<Product> {
    let once = |inputs, outputs| Product { inputs, outputs, rows: 1 };
    let mut all = vec![once(inputs + context, 100)];
    for _ in 0..2 {
        all.extend([once(100, 100), once(100, 100)]);
        if context > 0 {
            all.push(once(context, 100));
        }
    }
    all.push(once(100, 29 * moved));
    all
}

/// The matrix products of the power configuration's 5 outer and 5 inner couplings.
pub fn power_products() -> (Vec<Product>, Vec<Product>) {
    let moved = |dim: usize, i: usize| if i.is_multiple_of(2) { dim.div_ceil(2) } else { dim / 2 };
    let flow = |dim: usize, context: usize| {
        (0..5).flat_map(move |i| products(dim - moved(dim, i), context, moved(dim, i))).collect()
    };
    (flow(3, 0), flow(2, 1))
}

/// Matrix products alone, by the same routine as in the kernels, on memory made outside the timing and
/// shared by all of them, so that it stays in the cache: the bound that a step or an evaluation could
/// reach at best.
#[derive(Debug)]
pub struct Gemms {
    products: Vec<Product>,
    rows: usize,
    backward: bool,
    x: Vec<f32>,
    w: Vec<f32>,
    y: Vec<f32>,
    g_x: Vec<f32>,
    g_w: Vec<f32>,
}

impl Gemms {
    /// The products on `rows` points, forward or forward and backward.
    pub fn new(products: &[Product], rows: usize, backward: bool) -> Self {
        let most = |f: fn(&Product) -> usize| products.iter().map(f).max().unwrap_or(0);
        let (inputs, outputs) = (most(|p| p.rows * p.inputs), most(|p| p.rows * p.outputs));
        let (numbers, weights) = (|n: usize| vec![0.5; n], most(|p| p.inputs * p.outputs));
        Self {
            products: products.to_vec(),
            rows,
            backward,
            x: numbers(rows * inputs),
            w: numbers(weights),
            y: numbers(rows * outputs),
            g_x: numbers(rows * inputs),
            g_w: numbers(weights),
        }
    }

    /// Compute them, one after the other.
    ///
    /// # Errors
    /// If a product fails.
    pub fn run(&mut self) -> Result<()> {
        for &Product { inputs, outputs, rows } in &self.products {
            let rows = rows * self.rows;
            let x = Matrix::new(&self.x, rows, inputs);
            let w = Matrix::new(&self.w, inputs, outputs);
            gemm(MatrixMut::new(&mut self.y, rows, outputs), false, x, w)?;
            if self.backward {
                let g = Matrix::new(&self.y, rows, outputs);
                gemm(MatrixMut::new(&mut self.g_w, inputs, outputs), false, x.t(), g)?;
                gemm(MatrixMut::new(&mut self.g_x, rows, inputs), false, g, w.t())?;
            }
        }
        Ok(())
    }
}
