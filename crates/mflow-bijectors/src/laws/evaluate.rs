//! All that a map says of some inputs.
use super::Inputs;
use super::finding::{Failure, differs};
use crate::{Bijector, Diff, Direction, Dual, Stream, host};
use candle_core::{Tensor, Var};

/// Which arguments carry tangents, and whether log-dets do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Of the points.
    pub x: bool,
    /// Of the context.
    pub context: bool,
    /// Of the log-det.
    pub log_det: bool,
}

impl Probe {
    /// Everything.
    pub const ALL: Self = Self { x: true, context: true, log_det: true };
    /// Of the points alone.
    pub const X: Self = Self { x: true, context: false, log_det: false };
    /// Of the context alone, and of the log-det.
    pub const CONTEXT: Self = Self { x: false, context: true, log_det: true };

    /// All combinations that make sense, with a context or without.
    pub fn every(has_context: bool) -> Vec<Self> {
        let mut all = vec![];
        for log_det in [false, true] {
            for (x, context) in [(true, false), (false, true), (true, true)] {
                if has_context || !context {
                    all.push(Self { x, context, log_det });
                }
            }
        }
        all
    }
}

/// Apply `map`: value and log-det, and with a probe their tangents; absent tangents are zeros.
///
/// # Errors
/// If the map fails, or gives tangents of the log-det that it was not asked for.
pub fn evaluate(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Result<Vec<(&'static str, Tensor)>, Failure> {
    let Some(probe) = probe else {
        let mapped = map.map(direction, &inputs.x, inputs.context.as_ref())?;
        return Ok(vec![("value", mapped.value), ("log-det", mapped.log_abs_det)]);
    };
    let dual = |value: &Tensor, rows: Option<&Tensor>| -> Result<Dual, Failure> {
        let dual = match rows {
            Some(rows) => Dual::new(value.clone(), rows.clone())?,
            None => Dual::constant(value),
        };
        Ok(if probe.log_det { dual.with_log_det() } else { dual })
    };
    let x = dual(&inputs.x, probe.x.then_some(&inputs.x_rows))?;
    let rows = inputs.context_rows.as_ref().filter(|_| probe.context);
    let context = inputs.context.as_ref().map(|c| dual(c, rows)).transpose()?;
    let mapped = map.push(direction, &x, context.as_ref())?;
    let k = inputs.x_rows.dim(1)?;
    let dense = |dual: &Dual| -> Result<Tensor, Failure> {
        if let Some(rows) = dual.tangents() {
            return Ok(rows.clone());
        }
        let mut shape = dual.value().dims().to_vec();
        shape.insert(1, k);
        Ok(host::zeros(shape, dual.value().dtype(), dual.value().device())?)
    };
    let mut outputs = vec![
        ("value", mapped.value.value().clone()),
        ("log-det", mapped.log_abs_det.value().clone()),
        ("tangents", dense(&mapped.value)?),
    ];
    if probe.log_det {
        outputs.push(("log-det tangents", dense(&mapped.log_abs_det)?));
    } else if mapped.log_abs_det.tangents().is_some() {
        return differs("tangents of the log-det", "some", "none: they were not asked for");
    }
    Ok(outputs)
}

/// One scalar per output: its product with fixed noise.
///
/// # Errors
/// As [`evaluate`].
pub fn losses(
    map: &dyn Bijector,
    direction: Direction,
    inputs: &Inputs,
    probe: Option<Probe>,
) -> Result<Vec<(&'static str, Tensor)>, Failure> {
    let mut all = vec![];
    for (name, t) in evaluate(map, direction, inputs, probe)? {
        let weights = Stream::new(11, name).normal_tensor(t.dims(), t.dtype(), t.device())?;
        all.push((name, (t * weights)?.sum_all()?));
    }
    Ok(all)
}

/// Gradients of a scalar; zeros where it does not depend on a variable.
///
/// # Errors
/// If a tensor operation fails, or a gradient has not the shape or the dtype of its variable.
pub fn gradients(loss: &Tensor, variables: &[(String, Var)]) -> Result<Vec<Vec<f64>>, Failure> {
    let store = loss.backward()?;
    let mut all = vec![];
    for (name, v) in variables {
        all.push(match store.get(v) {
            Some(g) if (g.dims(), g.dtype()) != (v.dims(), v.dtype()) => {
                let say = |t: &Tensor| format!("{:?} of {:?}", t.dims(), t.dtype());
                return differs(format!("the gradient in {name}"), say(g), say(v.as_tensor()));
            }
            Some(g) => host::values_f64(g)?,
            None => vec![0.; v.elem_count()],
        });
    }
    Ok(all)
}
