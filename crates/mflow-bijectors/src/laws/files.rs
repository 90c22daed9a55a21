//! Laws of what is written down: a config, and the named tensors.
use super::compare::gap;
use super::finding::{Failure, differs};
use super::{Inputs, Trial};
use crate::{BijectorConfig, Error, ParamStore, Result as MapResult};
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A config survives a file, and a misspelt key does not.
pub(super) fn config(trial: &Trial<'_>, _: &Inputs) -> Result<(), Failure> {
    let Some(config) = trial.subject.config() else { return Ok(()) };
    let text = serde_json::to_string(config).map_err(|e| Failure::Error(e.to_string()))?;
    match serde_json::from_str::<BijectorConfig>(&text) {
        Ok(back) if back == *config => {}
        back => return differs("the config, read back", format!("{back:?}"), text),
    }
    let more = text.replacen('{', "{\"mistake\": 1, ", 1);
    match serde_json::from_str::<BijectorConfig>(&more) {
        Err(_) => Ok(()),
        Ok(read) => differs(format!("the text {more}"), format!("read as {read:?}"), "refused"),
    }
}

/// The named tensors are all there is to a map; one more or one less is refused.
pub(super) fn parameters(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    if !trial.subject.is_rebuilt() {
        return Ok(());
    }
    let named = trial.forms.store.to_named()?;
    let load = |named: BTreeMap<String, Tensor>| -> MapResult<Arc<dyn crate::Bijector>> {
        let mut store = ParamStore::from_named(named, DType::F64, &trial.options.device);
        store.build(|_| true, |p| trial.subject.build(p))
    };
    let loaded = load(named.clone())?;
    let apply =
        |map: &dyn crate::Bijector| map.map(trial.direction, &inputs.x, inputs.context.as_ref());
    let (a, b) = (apply(loaded.as_ref())?, apply(trial.forms.map.as_ref())?);
    let change = gap(&a.value, &b.value)? + gap(&a.log_abs_det, &b.log_abs_det)?;
    if change > 0. {
        let found = format!("another result, by {change:.1e}");
        return differs("a map with the same named tensors", found, "the same result");
    }
    let mut more = named.clone();
    more.insert("mistake".into(), Tensor::zeros(1, DType::F64, &Device::Cpu)?);
    match load(more) {
        Err(Error::ParameterNames { .. }) => {}
        Err(other) => return differs("one tensor more", other.to_string(), "refused by its name"),
        Ok(_) => return differs("one tensor more", "a map", "refused"),
    }
    for name in named.keys() {
        let mut less = named.clone();
        less.remove(name);
        match load(less) {
            Err(e) if e.to_string().contains(name.as_str()) => {}
            Err(e) => {
                let what = format!("a file without {name}");
                return differs(what, format!("refused: {e}"), "refused by its name");
            }
            Ok(_) => return differs(format!("a file without {name}"), "a map", "refused"),
        }
    }
    Ok(())
}
