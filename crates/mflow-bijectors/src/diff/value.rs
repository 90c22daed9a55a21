//! [`Diff`] for plain tensors: values only.
use super::Diff;
use crate::Result;
use crate::bijector::{Bijector, Direction, Mapped};
use crate::kernel::FusedLayer;
use crate::nn::Conditioned;
use crate::univariate::Univariate;
use candle_core::{D, Tensor};

impl Diff for Tensor {
    fn value(&self) -> &Self {
        self
    }
    fn constant(value: &Self) -> Self {
        value.clone()
    }
    fn linear(&self, f: impl Fn(&Self) -> candle_core::Result<Self>) -> Result<Self> {
        Ok(f(&self.unsqueeze(1)?)?.squeeze(1)?)
    }
    fn elementwise(
        &self,
        value: Self,
        _: impl FnOnce() -> candle_core::Result<Self>,
    ) -> Result<Self> {
        Ok(value)
    }
    fn add(&self, rhs: &Self) -> Result<Self> {
        Ok(self.broadcast_add(rhs)?)
    }
    fn mul(&self, rhs: &Self) -> Result<Self> {
        Ok(self.broadcast_mul(rhs)?)
    }
    fn cat(parts: &[&Self]) -> Result<Self> {
        Ok(Self::cat(parts, D::Minus1)?)
    }
    fn through(
        &self,
        map: &dyn Bijector,
        direction: Direction,
        context: Option<&Self>,
    ) -> Result<Mapped<Self>> {
        map.map(direction, self, context)
    }
    fn fused<F: FusedLayer>(
        &self,
        kernel: &F,
        context: Option<&Self>,
    ) -> Result<Option<Mapped<Self>>> {
        kernel.values(self, context).map(Some)
    }
    fn univariate<U: Univariate>(
        &self,
        net: &Conditioned<Self>,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>> {
        let (b, t) = self.dims2()?;
        let p = Diff::affine(&net.hidden, &net.last)?.reshape((b, t, map.parameters()))?;
        self.pointwise(&p, map, direction)
    }
    fn pointwise<U: Univariate>(
        &self,
        p: &Self,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>> {
        let [value, log_slopes] = map.values(direction, self, p)?;
        Ok(Mapped { value, log_abs_det: log_slopes.sum(D::Minus1)? })
    }
    fn check_tangents(_: &'static str, _: &Self, _: &Self) -> Result<()> {
        Ok(())
    }
}
