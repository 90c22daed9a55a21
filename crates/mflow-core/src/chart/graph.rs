//! Graphs of functions.
#![expect(
    clippy::indexing_slicing,
    reason = "rows have as many numbers as the function has inputs and outputs, and matrices are square"
)]
use super::{Chart, with_frame};
use crate::gram::gram_log_det;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain, host};
use std::fmt::Debug;

/// A differentiable function `R^N -> R^M`, written once for points and for points with tangents.
pub trait GraphFunction: Debug + Send + Sync {
    /// `N`.
    fn inputs(&self) -> usize;
    /// `M`.
    fn outputs(&self) -> usize;
    /// `g(u)`, `[B, N]` to `[B, M]`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn call<T: Diff>(&self, u: &T) -> mflow_bijectors::Result<T>;
}

/// The graph `x = (u, g(u))` of a user's function, a manifold of dimension `N` in `R^(N+M)`.
///
/// `½ log det Jᵀ J` is `½ ln(1 + |∇g|²)` for `M = 1`, and by Cholesky of `I + ∇g ∇gᵀ` else. The nearest
/// point is found from `u = x_1 .. x_N` by damped Gauss-Newton steps, until the gradient of the squared
/// distance is zero or the distance itself is least to rounding: a local minimum; its coordinates are not
/// tracked. NaN gives NaN.
///
/// **Reference**: do Carmo (1976), *Differential Geometry of Curves and Surfaces*, section 2-2.
#[derive(Clone, Debug)]
pub struct Graph<G> {
    function: G,
    dtype: DType,
}

/// Gauss-Newton steps at most, and halvings of each.
const STEPS: usize = 200;
const HALVINGS: usize = 30;

impl<G: GraphFunction> Graph<G> {
    /// The graph of `function`, for tensors of this dtype.
    pub fn new(function: G, dtype: DType) -> Self {
        Self { function, dtype }
    }
}

/// Rows of a tensor in f64.
fn rows(t: &Tensor) -> Result<Vec<Vec<f64>>> {
    let columns = t.dim(1)?;
    Ok(host::values_f64(t)?.chunks_exact(columns.max(1)).map(<[f64]>::to_vec).collect())
}

/// Solve `a x = b` for a symmetric positive definite matrix, by elimination.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for r in i + 1..n {
            let factor = a[r][i] / a[i][i];
            let (above, below) = a.split_at_mut(r);
            below[0].iter_mut().zip(&above[i]).for_each(|(x, p)| *x -= factor * p);
            b[r] -= factor * b[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

impl<G: GraphFunction> Chart for Graph<G> {
    fn coordinate_dim(&self) -> usize {
        self.function.inputs()
    }
    fn data_dim(&self) -> usize {
        self.function.inputs() + self.function.outputs()
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        Ok(T::cat(&[u, &self.function.call(u)?])?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        let (n, b) = (self.function.inputs(), x.dim(0)?);
        let epsilon = if x.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let target = rows(x)?;
        let mut u: Vec<Vec<f64>> = target.iter().map(|row| row[..n].to_vec()).collect();
        let tensor = |u: &[Vec<f64>]| -> Result<Tensor> {
            let t = Tensor::from_vec(u.concat(), (b, n), &Device::Cpu)?;
            Ok(t.to_dtype(x.dtype())?.to_device(x.device())?)
        };
        let distance = |u: &[Vec<f64>]| -> Result<Vec<f64>> {
            let points = rows(&Chart::embed(self, &tensor(u)?)?)?;
            let square = |(p, x): (&Vec<f64>, &Vec<f64>)| -> f64 {
                p.iter().zip(x).map(|(p, x)| (p - x).powi(2)).sum()
            };
            Ok(points.iter().zip(&target).map(square).collect())
        };
        let mut now = distance(&u)?;
        for _ in 0..STEPS {
            let dual = Chart::embed(self, &with_frame(&tensor(&u)?)?)?;
            let points = rows(dual.value())?;
            let Some(tangents) = dual.tangents() else {
                return tensor(&u);
            };
            let d = n + self.function.outputs();
            let tangents = rows(&tangents.contiguous()?.reshape((b * n, d))?)?;
            // The steps, and what half of the squared distance should decrease along them.
            let (mut steps, mut promised) = (vec![vec![0.; n]; b], vec![0.; b]);
            let mut moving = false;
            for i in 0..b {
                let t = &tangents[i * n..(i + 1) * n];
                let miss: Vec<f64> = target[i].iter().zip(&points[i]).map(|(x, p)| x - p).collect();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let gradient: Vec<f64> = t.iter().map(|t| dot(t, &miss)).collect();
                let gram = t.iter().map(|a| t.iter().map(|b| dot(a, b)).collect()).collect();
                steps[i] = solve(gram, gradient.clone());
                promised[i] = dot(&steps[i], &gradient);
                let size = 1. + u[i].iter().fold(0_f64, |m, v| m.max(v.abs()));
                // A step of NaN compares false: it is not waited for.
                moving |= steps[i].iter().any(|s| s.abs() > 16. * epsilon * size);
            }
            if !moving {
                return tensor(&u);
            }
            // Halve the steps of the rows that come nearer by less than a third of what was promised.
            let mut factor = vec![1.; b];
            for _ in 0..HALVINGS {
                let add = |(i, u): (usize, &Vec<f64>)| -> Vec<f64> {
                    u.iter().zip(&steps[i]).map(|(u, s)| u + factor[i] * s).collect()
                };
                let tried: Vec<Vec<f64>> = u.iter().enumerate().map(add).collect();
                let then = distance(&tried)?;
                let mut worse = false;
                for i in 0..b {
                    if then[i] > now[i] - 0.3 * factor[i] * promised[i] {
                        factor[i] *= 0.5;
                        worse = true;
                    }
                }
                if !worse {
                    break;
                }
            }
            let mut still = true;
            let next: Vec<Vec<f64>> = u
                .iter()
                .enumerate()
                .map(|(i, u)| u.iter().zip(&steps[i]).map(|(u, s)| u + factor[i] * s).collect())
                .collect();
            let then = distance(&next)?;
            for i in 0..b {
                // NaN is kept: what is NaN stays NaN.
                if then[i] < now[i] || then[i].is_nan() {
                    let nearer = then[i] < now[i] * (1. - epsilon);
                    still &= !nearer;
                    u[i].clone_from(&next[i]);
                    now[i] = then[i];
                }
            }
            if still {
                // No row comes nearer by more than rounding: minima to the last digit.
                return tensor(&u);
            }
        }
        Err(Error::NotConverged { op: "projection onto a graph", steps: STEPS })
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        let n = self.function.inputs();
        let graph = self.function.call(&with_frame(u)?)?;
        let Some(gradient) = graph.tangents() else {
            return Ok(host::zeros(u.dim(0)?, u.dtype(), u.device())?);
        };
        if self.function.outputs() == 1 {
            let square = gradient.sqr()?.sum(2)?.sum(1)?;
            return Ok(((square + 1.)?.log()? * 0.5)?);
        }
        let eye = Tensor::eye(n, u.dtype(), u.device())?.unsqueeze(0)?;
        let eye = eye.broadcast_as((u.dim(0)?, n, n))?.contiguous()?;
        Ok((gram_log_det(&Tensor::cat(&[&eye, gradient], 2)?)? * 0.5)?)
    }
}
