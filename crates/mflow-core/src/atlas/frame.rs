//! The places of charts, as a layer.
use super::ChartFrame;
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, Direction, Layer, Mapped, Signature, host};

/// `x = c_k + s_k A_kᵀ y`, where the context `[B, K]` has a 1 in column `k`: from the coordinates around chart
/// `k` to normalised data; `log|det J| = D log s_k`.
///
/// **Shapes**: `[B, D]` to `[B, D]`.
#[derive(Debug)]
pub(super) struct Frames {
    /// `[K, D]`.
    centers: Tensor,
    /// The axes by rows, `[K, D D]`.
    axes: Tensor,
    /// `[K, 1]`.
    scales: Tensor,
    signature: Signature,
}

/// How far axes may be from orthogonal, which a text of them is to rounding.
const TOLERANCE: f64 = 1e-6;

impl Frames {
    pub(super) fn new(
        frames: &[ChartFrame],
        dim: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        for (k, frame) in frames.iter().enumerate() {
            check_frame(frame, dim).map_err(|(field, reason)| {
                mflow_bijectors::Error::config(format!("charts[{k}].{field}"), reason)
            })?;
        }
        let tensor = |width: usize, f: &dyn Fn(&ChartFrame) -> Vec<f64>| -> Result<Tensor> {
            let all: Vec<f64> = frames.iter().flat_map(f).collect();
            let t = Tensor::from_vec(all, (frames.len(), width), &Device::Cpu)?;
            Ok(t.to_dtype(dtype)?.to_device(device)?)
        };
        Ok(Self {
            centers: tensor(dim, &|f| f.center.clone())?,
            axes: tensor(dim * dim, &|f| f.axes.concat())?,
            scales: tensor(1, &|f| vec![f.scale])?,
            signature: Signature::vector(dim, dtype, device)
                .with_context(frames.len())
                .with_conformal(true),
        })
    }
}

/// Refuse a place that cannot be, with the name of the field and what is wrong with it.
pub(crate) fn check_frame(
    frame: &ChartFrame,
    dim: usize,
) -> std::result::Result<(), (&'static str, String)> {
    let ChartFrame { center, axes, scale } = frame;
    if center.len() != dim || !center.iter().all(|c| c.is_finite()) {
        return Err(("center", format!("must be {dim} finite numbers, found {center:?}")));
    }
    if !(*scale > 0. && scale.is_finite()) {
        return Err(("scale", format!("must be positive and finite, found {scale}")));
    }
    if axes.len() != dim || axes.iter().any(|axis| axis.len() != dim) {
        let found: Vec<usize> = axes.iter().map(Vec::len).collect();
        let reason = format!("must be {dim} axes of {dim} numbers, found axes of {found:?}");
        return Err(("axes", reason));
    }
    for (i, a) in axes.iter().enumerate() {
        for (j, b) in axes.iter().enumerate() {
            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            let expected = f64::from(i == j);
            if product.is_nan() || (product - expected).abs() > TOLERANCE {
                let reason = format!(
                    "must be orthogonal and of length 1: expected {expected} as the product of axes {i} and {j}, \
                     found {product}"
                );
                return Err(("axes", reason));
            }
        }
    }
    Ok(())
}

/// Rows `[B, K]` with a 1 in the column that `chart: [B]` names (`u32`).
pub(super) fn one_hot(chart: &Tensor, charts: usize, dtype: DType) -> Result<Tensor> {
    let rows = chart.dim(0)?;
    if rows == 0 {
        return Ok(host::zeros((0, charts), dtype, chart.device())?);
    }
    let all = Tensor::arange(0, u32::try_from(charts).unwrap_or(u32::MAX), chart.device())?;
    let shape = (rows, charts);
    let hit = chart.unsqueeze(D::Minus1)?.broadcast_as(shape)?.eq(&all.broadcast_as(shape)?)?;
    Ok(hit.to_dtype(dtype)?)
}

impl Layer for Frames {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(clippy::indexing_slicing, reason = "a signature of vectors has one axis")]
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> mflow_bijectors::Result<Mapped<T>> {
        let d = self.signature.latent_shape[0];
        let expected = self.centers.dim(0)?;
        let Some(chart) = context.map(|c| c.value().detach()) else {
            let op = "frames";
            return Err(mflow_bijectors::Error::MissingContext { op, expected });
        };
        let rows = chart.dim(0)?;
        if rows == 0 {
            let none = host::zeros(0, self.signature.dtype, &self.signature.device)?;
            return Ok(Mapped { value: x.clone(), log_abs_det: T::constant(&none) });
        }
        let center = T::constant(&chart.matmul(&self.centers)?);
        let axes = chart.matmul(&self.axes)?.reshape((rows, d, d))?;
        let scale = chart.matmul(&self.scales)?.unsqueeze(D::Minus1)?;
        let log_det = (scale.flatten_all()?.log()? * d as f64)?;
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                let map = axes.broadcast_mul(&scale)?;
                (x.linear(|t| t.contiguous()?.matmul(&map))?.add(&center)?, log_det)
            }
            Direction::Inverse => {
                let map = axes.transpose(1, 2)?.broadcast_div(&scale)?.contiguous()?;
                (x.sub(&center)?.linear(|t| t.contiguous()?.matmul(&map))?, log_det.neg()?)
            }
        };
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det) })
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: the formula, by plain loops; the determinant of a map that scales by `s` in `D` dimensions.
    use super::*;
    use mflow_bijectors::{Bijector, Dual};

    const CPU: &Device = &Device::Cpu;

    fn frames() -> Vec<ChartFrame> {
        let ((s, c), (t, e)) = (0.7_f64.sin_cos(), 1.9_f64.sin_cos());
        let turned = vec![vec![c, s * e, s * t], vec![-s, c * e, c * t], vec![0., -t, e]];
        let straight = (0..3).map(|i| (0..3).map(|j| f64::from(i == j)).collect()).collect();
        vec![
            ChartFrame::new(vec![1., -2., 0.5], turned, 0.3),
            ChartFrame::new(vec![0., 4., -1.], straight, 2.),
        ]
    }

    fn numbers(t: &Tensor) -> Vec<f64> {
        host::values_f64(t).unwrap()
    }

    #[test]
    fn frames_are_their_formula_both_ways() {
        let all = frames();
        let layer = Frames::new(&all, 3, DType::F64, CPU).unwrap();
        let charts = [0_u32, 1, 0];
        let chart = Tensor::new(&charts, CPU).unwrap();
        let context = one_hot(&chart, 2, DType::F64).unwrap();
        let y = Tensor::new(&[[0.2, -1., 3.], [1., 0.4, 0.], [0., 0., 0.]], CPU).unwrap();
        let x = layer.forward(&y, Some(&context)).unwrap();
        let (rows, found) = (numbers(&y), numbers(&x.value));
        for (row, &k) in charts.iter().enumerate() {
            let ChartFrame { center, axes, scale } = &all[k as usize];
            for j in 0..3 {
                let along: f64 = (0..3).map(|i| rows[3 * row + i] * axes[i][j]).sum();
                let expected = center[j] + scale * along;
                assert!((found[3 * row + j] - expected).abs() < 1e-14, "row {row}, column {j}");
            }
        }
        let back = layer.inverse(&x.value, Some(&context)).unwrap();
        let gap = numbers(&(back.value - &y).unwrap()).iter().fold(0., |a: f64, b| a.max(b.abs()));
        assert!(gap < 1e-14, "there and back: {gap}");
        let expected = [3. * 0.3_f64.ln(), 3. * 2_f64.ln(), 3. * 0.3_f64.ln()];
        for (log_det, sign) in [(x.log_abs_det, 1.), (back.log_abs_det, -1.)] {
            for (found, expected) in numbers(&log_det).iter().zip(expected) {
                assert!((found - sign * expected).abs() < 1e-14, "{found}, expected {expected}");
            }
        }
        // Tangents are mapped by the same matrix, without the middle.
        let dual = crate::chart::with_frame(&y).unwrap();
        let constant = <Dual as Diff>::constant(&context);
        let pushed = layer.push_forward(&dual, Some(&constant)).unwrap().value;
        let rows = numbers(pushed.tangents().unwrap());
        for (row, &k) in charts.iter().enumerate() {
            let ChartFrame { axes, scale, .. } = &all[k as usize];
            for (at, axis) in axes.iter().flatten().enumerate() {
                assert!(
                    (rows[9 * row + at] - scale * axis).abs() < 1e-14,
                    "row {row}, tangent {at}"
                );
            }
        }
    }

    #[test]
    fn frames_without_a_chart_are_refused() {
        let layer = Frames::new(&frames(), 3, DType::F64, CPU).unwrap();
        let y = Tensor::zeros((1, 3), DType::F64, CPU).unwrap();
        let error = layer.forward(&y, None).unwrap_err().to_string();
        assert!(error.contains("context"), "{error}");
    }
}
