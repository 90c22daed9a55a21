//! Coupling layers: some features move by a map whose parameters the other features determine.
mod builders;
mod circular;
mod config;
mod image;
mod mask;

pub(crate) use builders::conditioned_builders;
pub use circular::CircularCouplingConfig;
pub use config::CouplingConfig;
pub(crate) use config::NEAR_IDENTITY;
pub use image::ImageCouplingConfig;
pub(crate) use mask::Halves;
pub use mask::Mask;

use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::diff::Diff;
use crate::domain::Domain;
use crate::kernel::coupling::{CouplingOp, Plan};
use crate::kernel::rows::Rows;
use crate::kernel::{Kernel, PackedLayer};
use crate::nn::{Conditioned, Grid};
use crate::noise::{LayerNoise, Noise};
use crate::route::{Code, Route};
use crate::univariate::Univariate;
use crate::{Error, Result, host};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The layer behind [`CouplingConfig`], where its formula and reference are. One that keeps and moves
/// every feature, with a masked network, is the parallel direction of an autoregressive layer.
#[derive(Clone, Debug)]
pub(crate) struct Coupling<U> {
    pub(crate) plan: Arc<Plan<U>>,
    pub(crate) signature: Signature,
    pub(crate) route: Route,
    /// All parameters, flat; tracked, or detached when frozen (the same storage either way).
    theta: Tensor,
    /// Factors of the parameters: zeros where a network is masked.
    mask: Option<Tensor>,
    keep: Tensor,
    moved: Tensor,
    /// Puts `[keep, moved]` back in order; of a feature that is in both the moved one is taken.
    merge: Tensor,
    /// Of a training step; then hidden units are dropped.
    noise: Option<LayerNoise>,
}

impl<U: Univariate> Coupling<U> {
    #[expect(clippy::indexing_slicing, reason = "the halves of a mask are features below `dim`")]
    pub(crate) fn new(
        plan: Plan<U>,
        theta: Tensor,
        mask: Option<Tensor>,
        route: Route,
    ) -> Result<Self> {
        let device = theta.device();
        let mut merge = vec![0; plan.dim];
        plan.keep.iter().chain(&plan.moved).enumerate().for_each(|(i, &k)| merge[k] = i);
        let index = |v: &[usize]| indices("coupling.dim", v, device);
        let (keep, moved, merge) = (index(&plan.keep)?, index(&plan.moved)?, index(&merge)?);
        let shape = match plan.net.grid {
            Some(Grid { height, width }) => vec![height, width, plan.dim],
            None => vec![plan.dim],
        };
        let signature = Signature::event(&shape, theta.dtype(), device)
            .with_context(plan.net.context)
            .with_working_size(plan.working_size());
        let plan = Arc::new(plan);
        Ok(Self { plan, signature, route, theta, mask, keep, moved, merge, noise: None })
    }

    /// The parameters as the network uses them.
    pub(crate) fn theta(&self) -> Result<Tensor> {
        Ok(match &self.mask {
            Some(mask) => (&self.theta * mask)?,
            None => self.theta.clone(),
        })
    }

    /// Whether one kernel does all of it for points with so many tangents, unless a route or dropout forbids.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "a limit of CUDA only"))]
    pub(crate) fn is_fused(&self, x: &Tensor, tangents: usize) -> bool {
        let fits = match self.route.code(x.device()) {
            Code::CpuKernel => true,
            #[cfg(feature = "cuda")]
            Code::CudaKernel => {
                let bytes = x.dtype().size_in_bytes();
                let vectors = self.mask.is_none() && self.plan.net.grid.is_none();
                vectors && self.plan.fits_cuda(tangents, bytes)
            }
            _ => false,
        };
        fits && self.noise.is_none()
    }

    /// The network's last hidden layer and last map.
    pub(crate) fn conditioned<T: Diff>(
        &self,
        theta: &Tensor,
        keep: &T,
        context: Option<&T>,
    ) -> Result<Conditioned<T>> {
        self.plan.net.apply(theta, keep, context, self.noise.as_ref())
    }

    /// This layer while training.
    pub(crate) fn with_noise(&self, noise: &Noise) -> Option<Self> {
        let drops = self.plan.net.config.dropout > 0.;
        drops.then(|| Self { noise: Some(noise.layer()), ..self.clone() })
    }
}

/// Whether `map` is one of real numbers: a conditioner would jump where an angle does.
pub(crate) fn check_real<U: Univariate>(map: &U, field: &str) -> Result<()> {
    if map.domain() == Domain::Reals {
        return Ok(());
    }
    Err(Error::config(
        field,
        format!("must be a map of real numbers, found one of {}", map.domain()),
    ))
}

/// `u32` indices on a device.
pub(crate) fn indices(field: &str, v: &[usize], device: &Device) -> Result<Tensor> {
    let v = v.iter().map(|&i| u32::try_from(i)).collect::<std::result::Result<Vec<_>, _>>();
    let v = v.map_err(|e| Error::config(field, e.to_string()))?;
    let n = v.len();
    Ok(host::place(&Tensor::from_vec(v, n, &Device::Cpu)?, DType::U32, device)?)
}

/// One direction of a coupling, as its kernels see it.
struct Fused<'a, U> {
    coupling: &'a Coupling<U>,
    direction: Direction,
}

/// The context as kernels take it. If there is none an empty tensor, or on a device that has no such thing the points.
pub(crate) fn or_empty(x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
    Ok(match context {
        Some(c) => c.contiguous()?,
        None if x.device().is_cpu() => Tensor::zeros(0, x.dtype(), x.device())?,
        None => x.detach(),
    })
}

impl<U: Univariate> PackedLayer for Fused<'_, U> {
    fn takes(&self, x: &Tensor, tangents: usize) -> bool {
        self.coupling.is_fused(x, tangents)
    }
    fn packed(&self, points: &Tensor, rows: Rows, context: Option<&Tensor>) -> Result<Tensor> {
        let theta = &self.coupling.theta()?;
        let context = context.filter(|_| self.coupling.plan.net.context > 0);
        let context = &or_empty(points, context)?;
        let save = points.track_op() || context.track_op() || theta.track_op();
        let (plan, direction) = (self.coupling.plan.clone(), self.direction);
        let features = [&self.coupling.keep, &self.coupling.moved];
        Ok(match points.dtype() {
            DType::F64 => {
                let op = CouplingOp::<U, f64>::new(plan, direction, rows, save, features);
                points.apply_op3(context, theta, op)
            }
            _ => {
                let op = CouplingOp::<U, f32>::new(plan, direction, rows, save, features);
                points.apply_op3(context, theta, op)
            }
        }?)
    }
}

impl<U: Univariate> Layer for Coupling<U> {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let fused = self.is_fused(x.value(), 0);
        if fused && let Some(mapped) = x.fused(&Fused { coupling: self, direction }, context)? {
            return Ok(mapped);
        }
        let (keep, moved) = (x.select(&self.keep)?, x.select(&self.moved)?);
        let net = self.conditioned(&self.theta()?, &keep, context)?;
        let fuses = self.route.fuses(&self.plan.map, x.value().device());
        let by_kernel = fuses && self.noise.is_none();
        let map = &self.plan.map;
        let moved = if let Some(Grid { height, width }) = self.plan.net.grid {
            let channels = self.plan.moved.len();
            let x = moved.reshape(&[height * width * channels])?;
            let moved = match by_kernel {
                true => x.pointwise(&net.parameters(map.parameters())?, map, direction)?,
                false => net.compose(&x, map, direction)?,
            };
            Mapped { value: moved.value.reshape(&[height, width, channels])?, ..moved }
        } else if by_kernel {
            moved.univariate(&net, map, direction)?
        } else {
            net.compose(&moved, map, direction)?
        };
        let value = T::cat(&[&keep, &moved.value])?.select(&self.merge)?;
        Ok(Mapped { value, log_abs_det: moved.log_abs_det })
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        Ok(self.with_noise(noise).map(|layer| Arc::new(layer) as Arc<dyn Bijector>))
    }
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        let fused = Fused { coupling: self, direction };
        self.is_fused(x, 0).then(|| Kernel(Box::new(fused)))
    }
}
