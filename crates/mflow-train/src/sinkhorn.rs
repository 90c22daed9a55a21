//! shim
use crate::Result;
use candle_core::Tensor;
pub(crate) struct SinkhornConfig {
    pub(crate) blur: f64,
    pub(crate) scaling: f64,
}
impl Default for SinkhornConfig {
    fn default() -> Self {
        Self { blur: 0.05, scaling: 0.7 }
    }
}
impl SinkhornConfig {
    pub(crate) fn new(blur: f64, scaling: f64) -> Self {
        Self { blur, scaling }
    }
    pub(crate) fn validate(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
pub(crate) struct Divergence {
    pub(crate) value: f64,
    pub(crate) gradient: Tensor,
}
pub(crate) fn sinkhorn(_: &SinkhornConfig, x: &Tensor, _: &Tensor) -> Result<Divergence> {
    Ok(Divergence { value: 0., gradient: x.zeros_like()? })
}
