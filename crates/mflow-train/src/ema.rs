//! shim
use crate::Result;
use crate::shards::Pool;
use candle_core::Tensor;
use mflow_bijectors::Parameter;
use std::collections::BTreeMap;
pub(crate) struct Ema;
impl Ema {
    pub(crate) fn new(_: f64, _: Vec<Parameter>) -> Result<Self> {
        Ok(Self)
    }
    pub(crate) fn update(&mut self, _: &Pool) -> Result<()> {
        Ok(())
    }
    pub(crate) fn swap(&mut self) -> Result<()> {
        Ok(())
    }
    pub(crate) fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(BTreeMap::new())
    }
    pub(crate) fn restore(&mut self, _: &BTreeMap<String, Tensor>, _: u64) -> Result<()> {
        Ok(())
    }
}
