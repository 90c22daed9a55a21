//! Gradients of parameters that do not pass through candle's store.
//!
//! candle adds each gradient to a tensor of zeros, with an allocation for both and, from 65,536 numbers
//! on, a pool of threads that all threads of the process wait for. For the flat parameters of a layer
//! that costs more than the layer. While [`gradients`] runs, fused layers leave them here instead.
use super::lanes::Element;
use crate::Result;
use candle_core::{Tensor, TensorId, Var};
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;

/// What a thread collects: for each parameter that is asked for, its gradient so far, a `Vec<T>` of kernels of the CPU or
/// a tensor.
type Collected = HashMap<TensorId, Option<Box<dyn Any>>>;

thread_local! {
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// Ends the collection of this thread, also where a backward pass fails.
struct Collecting;

impl Collecting {
    fn start(vars: &[Var]) -> Self {
        let wanted = vars.iter().map(|var| (var.id(), None)).collect();
        COLLECTED.with(|all| *all.borrow_mut() = Some(wanted));
        Self
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        COLLECTED.with(|all| *all.borrow_mut() = None);
    }
}

/// The gradients of the scalar `loss` with respect to `vars`, in their order; `None` where it does not
/// depend on one. The same as candle's `loss.backward()`, and faster.
///
/// # Errors
/// If the backward pass of an operation fails.
pub fn gradients(loss: &Tensor, vars: &[Var]) -> Result<Vec<Option<Tensor>>> {
    let collecting = Collecting::start(vars);
    let mut others = loss.backward()?;
    let all = vars.iter().map(|var| {
        let collected = COLLECTED.with(|all| {
            all.borrow_mut().as_mut().and_then(|all| all.get_mut(&var.id()).and_then(Option::take))
        });
        let like = var.as_tensor();
        let collected = match collected.map(Box::<dyn Any>::downcast::<Vec<f32>>) {
            Some(Ok(single)) => Some(Tensor::from_vec(*single, like.shape(), like.device())?),
            Some(Err(other)) => match other.downcast::<Vec<f64>>() {
                Ok(double) => Some(Tensor::from_vec(*double, like.shape(), like.device())?),
                Err(other) => other.downcast::<Tensor>().ok().map(|tensor| *tensor),
            },
            None => None,
        };
        Ok(match (collected, others.remove(like)) {
            (Some(a), Some(b)) => Some((a + b)?),
            (a, b) => a.or(b),
        })
    });
    let all = all.collect();
    drop(collecting);
    all
}

/// What the backward pass of a layer answers for its parameters: nothing if they are not trained, or if
/// [`gradients`] asks for them, which it then has.
pub(super) fn of_parameter<T: Element>(
    parameter: &Tensor,
    gradient: Vec<T>,
) -> candle_core::Result<Option<Tensor>> {
    let tensor = |g| Tensor::from_vec(g, parameter.shape(), parameter.device());
    answer(parameter, gradient, tensor, |sum, g| {
        super::rows::add(sum, &g);
        Ok(())
    })
}

/// The same of a gradient that lies on another device.
#[cfg(feature = "cuda")]
pub(super) fn of_parameter_there(
    parameter: &Tensor,
    gradient: Tensor,
) -> candle_core::Result<Option<Tensor>> {
    answer(parameter, gradient, Ok, |sum, g| {
        *sum = (&*sum + g)?;
        Ok(())
    })
}

/// Leaves `gradient` to [`gradients`] where it is asked for, else gives it as a tensor.
fn answer<G: Any>(
    parameter: &Tensor,
    gradient: G,
    tensor: impl FnOnce(G) -> candle_core::Result<Tensor>,
    add: impl FnOnce(&mut G, G) -> candle_core::Result<()>,
) -> candle_core::Result<Option<Tensor>> {
    if !parameter.track_op() {
        return Ok(None);
    }
    COLLECTED.with(|all| {
        let mut all = all.borrow_mut();
        let Some(slot) = all.as_mut().and_then(|all| all.get_mut(&parameter.id())) else {
            return Ok(Some(tensor(gradient)?));
        };
        match slot.as_mut().and_then(|sum| sum.downcast_mut::<G>()) {
            Some(sum) => add(sum, gradient)?,
            None => *slot = Some(Box::new(gradient)),
        }
        Ok(None)
    })
}
