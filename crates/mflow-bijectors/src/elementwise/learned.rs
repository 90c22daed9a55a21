//! Element-wise maps with parameters of their own.
use super::angle::wrap;
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::domain::Domain;
use crate::params::{Init, Params, Piece};
use crate::route::Route;
use crate::shape::{check_shape, size};
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use crate::{Diff, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of an element-wise map `y_i = g(x_i; p_i)` whose parameters `p_i` are learned directly.
///
/// **Shapes**: `[B, ..shape]` to the same. `log|det J|` is the sum of the log-slopes.
///
/// **Reference**: Durkan et al. (2019), arXiv 1906.04032, appendix; on angles, with circular
/// splines, Rezende et al. (2020), arXiv 2002.02428, section 2.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ElementwiseConfig {
    /// Shape of a point.
    pub shape: Vec<usize>,
    /// The map `g`.
    #[serde(default)]
    pub map: UnivariateConfig,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl ElementwiseConfig {
    /// `map` on every element of points of this shape, initially the identity.
    pub fn new(shape: &[usize], map: UnivariateConfig) -> Self {
        Self { shape: shape.to_vec(), map, route: Route::Auto }
    }
    /// With the other route.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Create the layer; its parameter is `parameters`, `[elements, P]`.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        check_shape("elementwise.shape", &self.shape)?;
        self.map.visit(1., Build { config: self, params })
    }
}

struct Build<'a, 'p> {
    config: &'a ElementwiseConfig,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, params } = self;
        let (n, per) = (size(&config.shape), map.parameters());
        let init = Init::Values(map.identity().repeat(n));
        let theta = params.flat(vec![Piece::array("parameters", &[n, per], init)])?;
        let domain = map.domain();
        let signature = Signature::event(&config.shape, params.dtype(), params.device())
            .between(domain.clone(), domain);
        let parameters = theta.reshape((1, n, per))?;
        Ok(Arc::new(Elementwise { map, parameters, route: config.route, signature }))
    }
}

#[derive(Debug)]
struct Elementwise<U> {
    map: U,
    /// `[1, elements, P]`.
    parameters: Tensor,
    route: Route,
    signature: Signature,
}

impl<U: Univariate> Layer for Elementwise<U> {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let (_, n, per) = self.parameters.dims3()?;
        let mut flat = x.reshape(&[n])?;
        if self.signature.latent_domain == Domain::Angle {
            flat = wrap(&flat)?;
        }
        let b = flat.value().dim(0)?;
        let p = T::constant(&self.parameters.broadcast_as((b, n, per))?);
        let mapped = elements(&self.map, self.route, direction, &flat, &p)?;
        let value = mapped.value.reshape(&self.signature.latent_shape)?;
        Ok(Mapped { value, log_abs_det: mapped.log_abs_det })
    }
}

/// `map` of the elements of `x: [B, T]` with parameters `p: [B, T, P]`, by the route that fits the device.
pub(crate) fn elements<U: Univariate, T: Diff>(
    map: &U,
    route: Route,
    direction: Direction,
    x: &T,
    p: &T,
) -> Result<Mapped<T>> {
    if route.fuses(map, x.value().device()) {
        x.pointwise(p, map, direction)
    } else {
        map.compose(direction, x, p)
    }
}
