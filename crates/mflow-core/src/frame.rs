//! Principal axes as a layer, so that a manifold starts as their plane.
use crate::Result;
use crate::atlas::{ChartFrame, check_frame};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Direction, Layer, Mapped, Signature};

/// `x = c + s Aᵀ y`: from coordinates along orthogonal axes, the rows of `A`, to normalised data;
/// `log|det J| = D log s`.
///
/// It stands between the flow or the networks of a model and the normalisation. If those start as the identity, the
/// manifold starts as the plane of the first `N` axes; training bends it from there. The frame itself is not trained.
///
/// **Shapes**: `[B, D]` to `[B, D]`.
#[derive(Debug)]
pub(crate) struct Frame {
    /// `[D]`.
    center: Tensor,
    /// `s A`, `[D, D]`.
    forward: Tensor,
    /// `Aᵀ/s`, `[D, D]`.
    inverse: Tensor,
    log_det: f64,
    signature: Signature,
}

impl Frame {
    pub(crate) fn new(
        frame: &ChartFrame,
        dim: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        check_frame(frame, dim).map_err(|(field, reason)| {
            mflow_bijectors::Error::config(format!("frame.{field}"), reason)
        })?;
        let axes = Tensor::from_vec(frame.axes.concat(), (dim, dim), &Device::Cpu)?;
        let center = Tensor::from_vec(frame.center.clone(), dim, &Device::Cpu)?;
        let place = |t: Tensor| t.to_dtype(dtype)?.to_device(device)?.contiguous();
        Ok(Self {
            center: place(center)?,
            forward: place((&axes * frame.scale)?)?,
            inverse: place((axes.t()? / frame.scale)?)?,
            log_det: dim as f64 * frame.scale.ln(),
            signature: Signature::vector(dim, dtype, device).with_conformal(true),
        })
    }
}

impl Layer for Frame {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        _: Option<&T>,
    ) -> mflow_bijectors::Result<Mapped<T>> {
        let center = T::constant(&self.center);
        let (value, log_det) = match direction {
            Direction::Forward => (x.matmul(&self.forward)?.add(&center)?, self.log_det),
            Direction::Inverse => (x.sub(&center)?.matmul(&self.inverse)?, -self.log_det),
        };
        let v = x.value();
        let log_det = (Tensor::ones(v.dim(0)?, v.dtype(), v.device())? * log_det)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_det) })
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: the formula, by plain loops.
    use super::*;
    use mflow_bijectors::{Bijector, host};

    #[test]
    fn a_frame_is_its_formula_both_ways() {
        let ((s, c), (t, e)) = (0.7_f64.sin_cos(), 1.9_f64.sin_cos());
        let axes = vec![vec![c, s * e, s * t], vec![-s, c * e, c * t], vec![0., -t, e]];
        let frame = ChartFrame::new(vec![1., -2., 0.5], axes.clone(), 0.3);
        let layer = Frame::new(&frame, 3, DType::F64, &Device::Cpu).unwrap();
        let y = [[0.2, -1., 3.], [1., 0.4, 0.]];
        let x = layer.forward(&Tensor::new(&y, &Device::Cpu).unwrap(), None).unwrap();
        let found = host::values_f64(&x.value).unwrap();
        for (y, found) in y.iter().zip(found.chunks(3)) {
            for j in 0..3 {
                let along: f64 = (0..3).map(|i| y[i] * axes[i][j]).sum();
                assert!((found[j] - frame.center[j] - 0.3 * along).abs() < 1e-14, "column {j}");
            }
        }
        let back = layer.inverse(&x.value, None).unwrap();
        for (y, found) in y.iter().zip(host::values_f64(&back.value).unwrap().chunks(3)) {
            (0..3).for_each(|j| assert!((y[j] - found[j]).abs() < 1e-14, "{found:?}"));
        }
        for (log_det, sign) in [(x.log_abs_det, 1.), (back.log_abs_det, -1.)] {
            let found = host::values_f64(&log_det).unwrap();
            assert!((found[0] - sign * 3. * 0.3_f64.ln()).abs() < 1e-14, "{found:?}");
        }
    }

    #[test]
    fn axes_that_are_not_orthogonal_are_refused() {
        let frame = ChartFrame::new(vec![0.; 2], vec![vec![1., 0.], vec![0.6, 0.8]], 1.);
        let error = Frame::new(&frame, 2, DType::F64, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("frame.axes") && error.contains("orthogonal"), "{error}");
    }
}
