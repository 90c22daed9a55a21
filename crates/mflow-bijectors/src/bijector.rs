//! [`Bijector`] for users, [`Layer`] for authors: the contract of this crate.
use crate::diff::{Diff, Dual};
use crate::domain::Domain;
use crate::host;
use crate::kernel::Kernel;
use crate::noise::Noise;
use crate::shape::size;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::fmt::Debug;
use std::sync::Arc;

/// Which way a bijector is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Latent to data: the generative direction (`f` and `h` of the M-flow paper).
    Forward,
    /// Data to latent.
    Inverse,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Inverse,
            Self::Inverse => Self::Forward,
        }
    }
}

/// Result of mapping a batch.
#[derive(Clone, Debug)]
#[must_use]
pub struct Mapped<T = Tensor> {
    /// The mapped points, `[B, ..shape]`.
    pub value: T,
    /// Natural log of `|det J|` *of the map that was applied*, `[B]`.
    pub log_abs_det: T,
}

/// What a bijector accepts; checked once, before any layer code runs.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Shape of one latent point: `[D]`, or `[H, W, C]` for images.
    pub latent_shape: Vec<usize>,
    /// Shape of one data point; equal to `latent_shape` for most maps.
    pub data_shape: Vec<usize>,
    /// Where `forward` is defined.
    pub latent_domain: Domain,
    /// Where `inverse` is defined.
    pub data_domain: Domain,
    /// Whether `J Jᵀ = λ² I` everywhere; then `ln λ` is the log-det divided by the dimension.
    pub conformal: bool,
    /// Number of context features `C`, or `None` if any context is ignored.
    pub context_dim: Option<usize>,
    /// About how many numbers are held at the same time for each point that is mapped, and as many again for each of its
    /// tangents; with gradients it is more.
    pub working_size: usize,
    /// Dtype of the parameters and of every argument.
    pub dtype: DType,
    /// Device of the parameters and of every argument.
    pub device: Device,
}

impl Signature {
    /// An unconditional map of `R^dim` to itself.
    pub fn vector(dim: usize, dtype: DType, device: &Device) -> Self {
        Self::event(&[dim], dtype, device)
    }
    /// An unconditional map of real events of this shape to themselves.
    pub fn event(shape: &[usize], dtype: DType, device: &Device) -> Self {
        Self {
            latent_shape: shape.to_vec(),
            data_shape: shape.to_vec(),
            latent_domain: Domain::Reals,
            data_domain: Domain::Reals,
            conformal: false,
            context_dim: None,
            working_size: size(shape).saturating_mul(2),
            dtype,
            device: device.clone(),
        }
    }
    /// The same between these domains.
    #[must_use]
    pub fn between(self, latent: Domain, data: Domain) -> Self {
        Self { latent_domain: latent, data_domain: data, ..self }
    }
    /// The same, of a map that is conformal or not.
    #[must_use]
    pub fn with_conformal(self, conformal: bool) -> Self {
        Self { conformal, ..self }
    }
    /// The same with another shape of data points.
    #[must_use]
    pub fn with_data_shape(self, shape: &[usize]) -> Self {
        Self { data_shape: shape.to_vec(), ..self }
    }
    /// The same of a map that holds so many numbers for each point.
    #[must_use]
    pub fn with_working_size(self, working_size: usize) -> Self {
        Self { working_size, ..self }
    }
    /// The signature of the inverse map.
    #[must_use]
    pub fn inverted(self) -> Self {
        Self {
            latent_shape: self.data_shape,
            data_shape: self.latent_shape,
            latent_domain: self.data_domain,
            data_domain: self.latent_domain,
            ..self
        }
    }
    /// The same with `context_dim` context features; `0` means none.
    #[must_use]
    pub fn with_context(self, context_dim: usize) -> Self {
        Self { context_dim: (context_dim > 0).then_some(context_dim), ..self }
    }
}

impl Signature {
    /// What comes of a batch of no rows. Layers need not care, and candle panics at some views of
    /// nothing.
    fn nothing(&self, direction: Direction, x: &Tensor) -> Result<Mapped> {
        let shape = match direction {
            Direction::Forward => &self.data_shape,
            Direction::Inverse => &self.latent_shape,
        };
        let zeros = |shape: &[usize]| host::zeros(shape, x.dtype(), x.device());
        Ok(Mapped { value: zeros(&[&[0], shape.as_slice()].concat())?, log_abs_det: zeros(&[0])? })
    }
}

impl Mapped {
    /// A result of no rows, with as many tangents as the arguments have.
    #[expect(clippy::indexing_slicing, reason = "a value has its batch axis")]
    fn with_tangents_of(self, x: &Dual, context: Option<&Dual>) -> Result<Mapped<Dual>> {
        let asked = [Some(x), context];
        let tangents = asked.iter().flatten().find_map(|d| d.tangents());
        let log_det = asked.iter().flatten().any(|d| d.has_log_det());
        let dual = |value: Tensor, wanted: bool| match tangents.filter(|_| wanted) {
            Some(t) => {
                let shape = [&[0, t.dim(1)?], &value.dims()[1..]].concat();
                let dual = Dual::new(value, host::zeros(shape, t.dtype(), t.device())?)?;
                Ok::<_, Error>(if log_det { dual.with_log_det() } else { dual })
            }
            None => Ok(Dual::constant(&value)),
        };
        let log_abs_det = dual(self.log_abs_det, log_det)?;
        Ok(Mapped { value: dual(self.value, true)?, log_abs_det })
    }
}

/// A differentiable bijection, optionally conditioned on a context. Object-safe.
///
/// **Direction**: `forward` maps latent to data, `inverse` data to latent.
/// **Shapes**: values `[B, ..shape]`, context `[B, C]`, log-dets `[B]`, tangents as rows
/// `[B, K, ..shape]`, pushed as `t -> t Jᵀ`.
/// **Log-dets** belong to the map that was applied: `inverse(forward(x))` gives opposite ones.
///
/// # Errors
/// Every method returns a typed error when an argument has the wrong shape, dtype or device or when a
/// required context is missing. Arguments are never cast. Non-finite values pass through: they are
/// refused at the boundary of models and programs, once, not per layer.
pub trait Bijector: Debug + Send + Sync {
    /// Shapes, context, dtype and device.
    fn signature(&self) -> &Signature;
    /// Map `x: [B, ..shape]` given `context: [B, C]`.
    fn map(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>>;
    /// The same, carrying tangent rows of `x`, of `context`, or of both.
    fn push(&self, direction: Direction, x: &Dual, context: Option<&Dual>) -> Result<Mapped<Dual>>;

    /// [`Bijector::map`] of a batch that layers may learn statistics from: an [`crate::ActNorm`] or a
    /// [`crate::Gaussianize`] that is not initialised yet initialises itself, a [`crate::BatchNorm`] moves its running
    /// averages.
    /// The explicit call of a trainer; `map` and `push` never change anything.
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>>;
    /// This map as it is while training, with the random numbers that dropout takes from `noise`;
    /// `None` where training makes no difference. Shares the parameters.
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>>;
    /// The kernel that does all of this map for values like `x`, by its dtype and device; `None` where there is none. A
    /// chain lets kernels follow one another without tensors between them.
    fn kernel(&self, _direction: Direction, _x: &Tensor) -> Option<Kernel<'_>> {
        None
    }

    /// Latent to data.
    fn forward(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>> {
        self.map(Direction::Forward, x, context)
    }
    /// Data to latent.
    fn inverse(&self, y: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>> {
        self.map(Direction::Inverse, y, context)
    }
    /// [`Bijector::forward`] with tangents.
    fn push_forward(&self, x: &Dual, context: Option<&Dual>) -> Result<Mapped<Dual>> {
        self.push(Direction::Forward, x, context)
    }
    /// [`Bijector::inverse`] with tangents.
    fn push_inverse(&self, y: &Dual, context: Option<&Dual>) -> Result<Mapped<Dual>> {
        self.push(Direction::Inverse, y, context)
    }
}

/// What an author of a map implements, instead of [`Bijector`]: one generic body for values and for
/// values with tangents. Every `Layer` is a `Bijector`.
pub trait Layer: Debug + Send + Sync {
    /// Shapes, context, dtype and device.
    fn signature(&self) -> &Signature;
    /// The map. Arguments are already checked, there is a row, and the context is `None` unless the
    /// signature has one.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn apply<T: Diff>(&self, direction: Direction, x: &T, context: Option<&T>)
    -> Result<Mapped<T>>;
    /// [`Bijector::observe`]; the default learns nothing. Arguments are already checked.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        self.apply(direction, x, context)
    }
    /// [`Bijector::training`]; by default training makes no difference.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn training(&self, _: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        Ok(None)
    }
    /// [`Bijector::kernel`]; by default there is none.
    fn kernel(&self, _direction: Direction, _x: &Tensor) -> Option<Kernel<'_>> {
        None
    }
}

impl<L: Layer> Bijector for L {
    fn signature(&self) -> &Signature {
        Layer::signature(self)
    }
    #[expect(clippy::indexing_slicing, reason = "`checked` has found a batch axis")]
    fn map(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        let context = checked(Layer::signature(self), direction, x, context)?;
        match x.dims()[0] {
            0 => Layer::signature(self).nothing(direction, x),
            _ => self.apply(direction, x, context),
        }
    }
    #[expect(clippy::indexing_slicing, reason = "`checked` has found a batch axis")]
    fn push(&self, direction: Direction, x: &Dual, context: Option<&Dual>) -> Result<Mapped<Dual>> {
        let context = checked(Layer::signature(self), direction, x, context)?;
        if x.value().dims()[0] == 0 {
            return Layer::signature(self)
                .nothing(direction, x.value())?
                .with_tangents_of(x, context);
        }
        let Mapped { value, log_abs_det } = self.apply(direction, x, context)?;
        Ok(Mapped { value, log_abs_det: log_abs_det.log_det_as_asked(x, context) })
    }
    #[expect(clippy::indexing_slicing, reason = "`checked` has found a batch axis")]
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        let context = checked(Layer::signature(self), direction, x, context)?;
        match x.dims()[0] {
            0 => Layer::signature(self).nothing(direction, x),
            _ => Layer::observe(self, direction, x, context),
        }
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        Layer::training(self, noise)
    }
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        Layer::kernel(self, direction, x)
    }
}

/// Check the arguments of a map; gives the context back if the map has one.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a batch axis, as the number of axes is compared first"
)]
fn checked<'a, T: Diff>(
    signature: &Signature,
    direction: Direction,
    x: &T,
    context: Option<&'a T>,
) -> Result<Option<&'a T>> {
    let (op, arg, shape) = match direction {
        Direction::Forward => ("Bijector::forward", "x", &signature.latent_shape),
        Direction::Inverse => ("Bijector::inverse", "y", &signature.data_shape),
    };
    let dims = x.value().dims();
    if dims.len() != shape.len() + 1 || dims[1..] != **shape {
        let expected = std::iter::once("B".to_owned())
            .chain(shape.iter().map(usize::to_string))
            .collect::<Vec<_>>()
            .join(", ");
        return Err(Error::Shape {
            op,
            arg,
            expected: format!("[{expected}]"),
            found: dims.to_vec(),
        });
    }
    check_placement(op, arg, x.value(), signature)?;
    match (signature.context_dim, context) {
        (None, _) => Ok(None),
        (Some(expected), None) => Err(Error::MissingContext { op, expected }),
        (Some(c), Some(context)) => {
            if context.value().dims() != [dims[0], c] {
                return Err(Error::Shape {
                    op,
                    arg: "context",
                    expected: format!("[{}, {c}]", dims[0]),
                    found: context.value().dims().to_vec(),
                });
            }
            check_placement(op, "context", context.value(), signature)?;
            T::check_tangents(op, x, context)?;
            Ok(Some(context))
        }
    }
}

fn check_placement(
    op: &'static str,
    arg: &'static str,
    x: &Tensor,
    signature: &Signature,
) -> Result<()> {
    if x.dtype() != signature.dtype {
        return Err(Error::DType { op, arg, expected: signature.dtype, found: x.dtype() });
    }
    if !x.device().same_device(&signature.device) {
        let (expected, found) =
            (format!("{:?}", signature.device.location()), format!("{:?}", x.device().location()));
        return Err(Error::Device { op, arg, expected, found });
    }
    Ok(())
}
