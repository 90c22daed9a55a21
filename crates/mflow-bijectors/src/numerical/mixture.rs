//! A line bent by hyperbolic tangents: a monotone map without a closed inverse.
use super::solve::{Curve, solve};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::params::{Init, Params, Piece};
use crate::shape::{check_shape, size};
use crate::{Diff, Result};
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

/// Config of a [`TanhMixture`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TanhMixtureConfig {
    /// Shape of a point.
    pub shape: Vec<usize>,
    /// Number of tangents per element.
    pub components: usize,
}

/// Smallest slope of the line.
const MIN_SLOPE: f64 = 1e-3;
/// Initial height of a tangent, before softplus.
const LOW: f64 = -5.;

impl TanhMixtureConfig {
    /// `components` hyperbolic tangents for every element of points of this shape.
    pub fn new(shape: &[usize], components: usize) -> Self {
        Self { shape: shape.to_vec(), components }
    }

    /// Create the layer; its parameter is `parameters`, `[elements, 2 + 3 components]`.
    ///
    /// # Errors
    /// If the shape is empty or there is no component.
    pub fn build(&self, params: &mut Params<'_>) -> Result<TanhMixture> {
        check_shape("tanh_mixture.shape", &self.shape)?;
        let k = self.components;
        check_features("tanh_mixture.components", k)?;
        // Nearly a line, with the tangents spread over [-2, 2].
        let mut element = vec![(1. - MIN_SLOPE).exp_m1().ln(), 0.];
        element.extend(vec![LOW; k]);
        element.extend(vec![1_f64.exp_m1().ln(); k]);
        element.extend((0..k).map(|i| 4. * (i as f64 + 0.5) / k as f64 - 2.));
        let (n, per) = (size(&self.shape), element.len());
        let init = Init::Values(element.repeat(n));
        let theta = params.flat(vec![Piece::array("parameters", &[n, per], init)])?;
        let signature = Signature::event(&self.shape, params.dtype(), params.device());
        let parameters = theta.reshape((1, n, per))?;
        Ok(TanhMixture { bent: Bent { components: k }, parameters, signature })
    }
}

/// `y = s x + t + Σ_k a_k tanh(b_k (x - m_k))` for each element, with positive `s`, `a_k` and `b_k`;
/// `dy/dx = s + Σ_k a_k b_k (1 - tanh²)`.
///
/// **Shapes**: `[B, ..shape]` to the same; `log|det J|` is the sum of the log-slopes. Parameters of an
/// element: `s` (`1e-3 + softplus`), `t`, the `a_k` and the `b_k` (softplus), the `m_k`. The inverse is
/// found by bracketed Newton steps to rounding (`|f(x) - y| <= ε (1 + |y|)` or
/// `|Δx| <= 4 ε (1 + |x|)`), with the derivatives of the implicit function.
///
/// **Reference**: a network of one monotone layer, as in Huang et al. (2018), *Neural Autoregressive
/// Flows*, arXiv 1804.00779, section 3, on a line that makes it a bijection of the reals.
#[derive(Debug)]
pub struct TanhMixture {
    bent: Bent,
    /// `[1, elements, P]`.
    parameters: Tensor,
    signature: Signature,
}

/// The scalar function; its parameters are already positive where they have to be.
#[derive(Clone, Copy, Debug)]
struct Bent {
    components: usize,
}

impl Bent {
    /// `s`, `t`, `[s, t, a, b, m]` from the unconstrained parameters.
    fn constrain<T: Diff>(self, p: &T) -> Result<T> {
        let k = self.components;
        let line = p.narrow(0, 1)?.softplus()?.shift(MIN_SLOPE)?;
        let shift = p.narrow(1, 1)?;
        let positive = p.narrow(2, 2 * k)?.softplus()?;
        T::cat(&[&line, &shift, &positive, &p.narrow(2 + 2 * k, k)?])
    }
    fn part<T: Diff>(p: &T, k: usize) -> Result<T> {
        p.narrow(k, 1)?.linear(|t| t.squeeze(D::Minus1))
    }
    /// `a`, `b` and `tanh(b (x - m))`, each `[B, T, K]`.
    fn tangents<T: Diff>(self, x: &T, p: &T) -> Result<[T; 3]> {
        let k = self.components;
        let (a, b, m) = (p.narrow(2, k)?, p.narrow(2 + k, k)?, p.narrow(2 + 2 * k, k)?);
        let bent = x.unsqueeze_last()?.sub(&m)?.mul(&b)?.tanh()?;
        Ok([a, b, bent])
    }
    fn slope_of<T: Diff>(self, x: &T, p: &T) -> Result<T> {
        let [a, b, bent] = self.tangents(x, p)?;
        let each = bent.mul(&bent)?.neg()?.shift(1.)?.mul(&a)?.mul(&b)?;
        each.sum_last()?.add(&Self::part(p, 0)?)
    }
}

impl Curve for Bent {
    fn value<T: Diff>(&self, x: &T, p: &T) -> Result<T> {
        let [a, _, bent] = self.tangents(x, p)?;
        let line = Self::part(p, 0)?.mul(x)?.add(&Self::part(p, 1)?)?;
        line.add(&a.mul(&bent)?.sum_last()?)
    }
    fn slope(&self, x: &Tensor, p: &Tensor) -> Result<Tensor> {
        self.slope_of(x, p)
    }
}

impl Layer for TanhMixture {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let (_, n, per) = self.parameters.dims3()?;
        let flat = x.reshape(&[n])?;
        let p = self.parameters.broadcast_as((flat.value().dim(0)?, n, per))?;
        let p = self.bent.constrain(&T::constant(&p.contiguous()?))?;
        let (value, at) = match direction {
            Direction::Forward => (self.bent.value(&flat, &p)?, flat),
            Direction::Inverse => {
                // The tangents add at most Σ a on either side of the line.
                let (y, c) = (flat.value(), p.value());
                let height = Tensor::narrow(c, D::Minus1, 2, self.bent.components)?;
                let height = height.sum(D::Minus1)?;
                let (slope, shift) = (Bent::part(c, 0)?, Bent::part(c, 1)?);
                let line = (y - shift)?;
                let low = ((&line - &height)? / &slope)?;
                let high = ((&line + &height)? / &slope)?;
                let solved = solve(&self.bent, &flat, &p, &low, &high)?;
                (solved.clone(), solved)
            }
        };
        let l = self.bent.slope_of(&at, &p)?.ln()?.sum_last()?;
        let log_abs_det = if direction == Direction::Forward { l } else { l.neg()? };
        let value = value.reshape(&self.signature.latent_shape)?;
        Ok(Mapped { value, log_abs_det })
    }
}
