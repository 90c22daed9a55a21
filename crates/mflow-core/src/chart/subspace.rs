//! Affine subspaces.
use super::{Chart, numbers, refuse};
use crate::Result;
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain};

/// The affine subspace `x = A u + b` with `A: [D, N]` of full rank; `½ log det Jᵀ J = ½ log det Aᵀ A`.
///
/// The nearest point is the least-squares solution, by the QR factors of `A`.
#[derive(Clone, Debug)]
pub struct LinearSubspace {
    /// `Aᵀ`, `[N, D]`.
    transposed: Tensor,
    /// The pseudo-inverse, transposed, `[D, N]`.
    inverse: Tensor,
    offset: Tensor,
    log_volume: f64,
}

impl LinearSubspace {
    /// Spanned by `basis`, `N` vectors of length `D`, from `offset`.
    ///
    /// # Errors
    /// If a vector has another length than `offset`, there is none or too many, or one depends on
    /// those before it.
    #[expect(
        clippy::indexing_slicing,
        reason = "`r` is n by n, `rows` n by d, and `q` has n vectors of d numbers when it is read"
    )]
    pub fn new(basis: &[Vec<f64>], offset: &[f64], dtype: DType, device: &Device) -> Result<Self> {
        let (n, d) = (basis.len(), offset.len());
        if n == 0 || n > d {
            let reason = format!("must have 1 to {d} vectors, found {n}");
            return refuse("linear_subspace.basis", reason);
        }
        // Gram-Schmidt, twice: q are orthonormal, r is upper triangular, basis_j = Σ_i r_ij q_i.
        let (mut q, mut r): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![vec![0.; n]; n]);
        for (j, vector) in basis.iter().enumerate() {
            if vector.len() != d {
                let reason = format!("must have vectors of {d} numbers, found {}", vector.len());
                return refuse("linear_subspace.basis", reason);
            }
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let (mut v, size) = (vector.clone(), dot(vector, vector).sqrt());
            for _ in 0..2 {
                for (i, unit) in q.iter().enumerate() {
                    let along = dot(unit, &v);
                    r[i][j] += along;
                    v.iter_mut().zip(unit).for_each(|(v, u)| *v -= along * u);
                }
            }
            let norm = dot(&v, &v).sqrt();
            if !(norm > 1e-12 * size && norm.is_finite()) {
                let reason = format!("must be independent, found that vector {j} is not");
                return refuse("linear_subspace.basis", reason);
            }
            r[j][j] = norm;
            q.push(v.into_iter().map(|v| v / norm).collect());
        }
        // The rows of the pseudo-inverse R⁻¹ Qᵀ, last to first.
        let mut rows = vec![vec![0.; d]; n];
        for i in (0..n).rev() {
            for k in 0..d {
                let known: f64 = (i + 1..n).map(|j| r[i][j] * rows[j][k]).sum();
                rows[i][k] = (q[i][k] - known) / r[i][i];
            }
        }
        let inverse = numbers(&rows.concat(), &[n, d], dtype, device)?.t()?.contiguous()?;
        Ok(Self {
            transposed: numbers(&basis.concat(), &[n, d], dtype, device)?,
            inverse,
            offset: numbers(offset, &[d], dtype, device)?,
            log_volume: (0..n).map(|i| r[i][i].ln()).sum(),
        })
    }
}

impl Chart for LinearSubspace {
    #[expect(clippy::indexing_slicing, reason = "a matrix has two axes")]
    fn coordinate_dim(&self) -> usize {
        self.transposed.dims()[0]
    }
    fn data_dim(&self) -> usize {
        self.offset.elem_count()
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.offset.dtype()
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        Ok(u.matmul(&self.transposed)?.add(&T::constant(&self.offset))?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        Ok(Diff::matmul(&x.broadcast_sub(&self.offset)?, &self.inverse)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        Ok((Tensor::ones(u.dim(0)?, u.dtype(), u.device())? * self.log_volume)?)
    }
}
