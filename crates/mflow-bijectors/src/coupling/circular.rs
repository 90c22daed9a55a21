//! Coupling layers of angles.
use super::{Coupling, Mask, NEAR_IDENTITY, conditioned_builders, indices};
use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::count::{check_context, check_features};
use crate::diff::Diff;
use crate::domain::Domain;
use crate::elementwise::wrap;
use crate::kernel::coupling::Plan;
use crate::nn::{Net, NetConfig};
use crate::noise::Noise;
use crate::params::Params;
use crate::route::Route;
use crate::univariate::{Univariate, UnivariateConfig, Visitor};
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Config of a coupling layer of angles: `y_keep = x_keep`,
/// `y_moved = g(x_moved; net(cos x_keep, sin x_keep, c))`, in `[-π, π]`.
///
/// The conditioner sees angles by their cosines and sines, so a whole turn of any of them changes
/// nothing. `g` is a map of the circle, or a rotation ([`UnivariateConfig::Additive`]). A single angle
/// always moves; then the conditioner sees the context alone.
///
/// **Shapes**: `[B, D]` to `[B, D]`, context `[B, C]`. `log|det J|` is the sum of the log-slopes of the
/// moved angles. Both directions cost one evaluation of the conditioner.
///
/// **Reference**: Rezende et al. (2020), *Normalizing Flows on Tori and Spheres*, arXiv 2002.02428,
/// section 2.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CircularCouplingConfig {
    /// Number of angles.
    pub dim: usize,
    /// Number of context features, 0 for none.
    #[serde(default)]
    pub context_dim: usize,
    /// Angles that move.
    pub mask: Mask,
    /// The element-wise map `g`.
    pub map: UnivariateConfig,
    /// The conditioner.
    #[serde(default)]
    pub net: NetConfig,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

impl CircularCouplingConfig {
    /// Circular splines of this number of bins, a conditioner of 2 blocks of width 100, no context.
    pub fn new(dim: usize, mask: Mask, bins: usize) -> Self {
        Self {
            dim,
            context_dim: 0,
            mask,
            map: UnivariateConfig::CircularRationalQuadratic { bins },
            net: NetConfig::default(),
            route: Route::Auto,
        }
    }
    conditioned_builders!(NetConfig);

    /// Create the layer; parameters `net.*`.
    ///
    /// # Errors
    /// If a field is out of range or a parameter does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        check_features("circular_coupling.dim", self.dim)?;
        check_context("circular_coupling.context_dim", self.context_dim)?;
        self.net.validate("circular_coupling.net")?;
        self.map.visit(self.net.logit_scale(), Build { config: self, params })
    }
}

/// Builds the coupling once the type of its map is known.
struct Build<'a, 'p> {
    config: &'a CircularCouplingConfig,
    params: &'a mut Params<'p>,
}

impl Visitor for Build<'_, '_> {
    type Output = Arc<dyn Bijector>;
    #[expect(clippy::indexing_slicing, reason = "the halves of a mask are features below `dim`")]
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output> {
        let Self { config, params } = self;
        if map.domain() != Domain::Angle && config.map != UnivariateConfig::Additive {
            let reason = format!(
                "must be a map of angles or `additive`, found one of {}: the ends of the circle would \
                 be torn apart",
                map.domain()
            );
            return Err(Error::config("circular_coupling.map", reason));
        }
        let halves = config.mask.halves(config.dim)?;
        let moving = halves.moved.len();
        let net = Net {
            inputs: 0,
            context: 2 * halves.keep.len() + config.context_dim,
            outputs: moving * map.parameters(),
            config: config.net.clone(),
            grid: None,
        };
        let theta =
            params.flat(net.pieces("net.", NEAR_IDENTITY, map.identity().repeat(moving)))?;
        let plan = Plan { dim: moving, keep: vec![], moved: (0..moving).collect(), net, map };
        let (dtype, device) = (params.dtype(), params.device());
        let index = |v: &[usize]| indices("circular_coupling.dim", v, device);
        let mut merge = vec![0; config.dim];
        halves.keep.iter().chain(&halves.moved).enumerate().for_each(|(i, &k)| merge[k] = i);
        let signature = Signature::vector(config.dim, dtype, device)
            .between(Domain::Angle, Domain::Angle)
            .with_context(config.context_dim);
        let kept = (!halves.keep.is_empty()).then(|| index(&halves.keep)).transpose()?;
        let (moved, merge) = (index(&halves.moved)?, index(&merge)?);
        let of_moved = Coupling::new(plan, theta, None, config.route)?;
        Ok(Arc::new(CircularCoupling { of_moved, kept, moved, merge, signature }))
    }
}

/// The layer behind [`CircularCouplingConfig`].
#[derive(Clone, Debug)]
struct CircularCoupling<U> {
    /// A coupling of the moved angles alone, whose context is all that the conditioner sees.
    of_moved: Coupling<U>,
    /// None if all angles move.
    kept: Option<Tensor>,
    moved: Tensor,
    /// Puts `[kept, moved]` back in order.
    merge: Tensor,
    signature: Signature,
}

impl<U: Univariate> Layer for CircularCoupling<U> {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let x = &wrap(x)?;
        let kept = self.kept.as_ref().map(|kept| x.select(kept)).transpose()?;
        let on_circle = kept.as_ref().map(|kept| Ok::<_, Error>([kept.cos()?, kept.sin()?]));
        let on_circle = on_circle.transpose()?;
        let seen: Vec<&T> = on_circle.iter().flatten().chain(context).collect();
        let seen = if seen.is_empty() { None } else { Some(T::cat(&seen)?) };
        let moved = x.select(&self.moved)?;
        let Mapped { value, log_abs_det } =
            self.of_moved.apply(direction, &moved, seen.as_ref())?;
        let value = wrap(&value)?;
        let value = match &kept {
            Some(kept) => T::cat(&[kept, &value])?.select(&self.merge)?,
            None => value,
        };
        Ok(Mapped { value, log_abs_det })
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let trained = self.of_moved.with_noise(noise);
        Ok(trained.map(|of_moved| Arc::new(Self { of_moved, ..self.clone() }) as Arc<dyn Bijector>))
    }
}
