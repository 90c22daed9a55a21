//! Laws of what is written down: model files and configs.
use super::super::inputs::Inputs;
use super::outputs::outputs;
use super::{Failure, Trial};
use crate::file::{ModelCard, RowLayout, load_model, save_model};
use crate::model::Model;
use crate::models::ModelConfig;
use candle_core::Tensor;
use mflow_bijectors::laws::compare::close;
use mflow_bijectors::laws::differs;
use mflow_bijectors::{ParamStore, host};
use std::collections::BTreeMap;

/// A model that is written and read again computes the same bits; both are frozen.
pub(super) fn file(trial: &Trial<'_>, inputs: &Inputs) -> Result<(), Failure> {
    let Some(config) = trial.config else { return Ok(()) };
    let folder = tempfile::tempdir().map_err(|e| Failure::Error(e.to_string()))?;
    let path = folder.path().join("model.safetensors");
    let card = ModelCard {
        config: config.clone(),
        columns: None,
        layout: RowLayout::default(),
        provenance: BTreeMap::new(),
    };
    save_model(&path, &card, trial.store)?;
    let loaded = load_model(&path, None, &trial.options.device)?;
    if loaded.card != card {
        return differs("the card", format!("{:?}", loaded.card), format!("{card:?}"));
    }
    let [_, x] = trial.points(inputs)?;
    let bits = |model: &dyn Model| -> Result<Vec<(&'static str, Vec<u64>)>, Failure> {
        let all = outputs(model, &inputs.u, &x, inputs.context.as_ref())?;
        let bits = |t: Tensor| -> Result<Vec<u64>, Failure> {
            Ok(host::values_f64(&t)?.into_iter().map(f64::to_bits).collect())
        };
        let some = all.into_iter().filter_map(|(name, _, t)| t.map(|t| (name, t)));
        some.map(|(name, t)| Ok((name, bits(t)?))).collect()
    };
    // What was tried so far is what the config says; it tracks its parameters, so that its last bits are others.
    let tried = outputs(trial.model, &inputs.u, &x, inputs.context.as_ref())?;
    let read = outputs(&*loaded.model, &inputs.u, &x, inputs.context.as_ref())?;
    for ((name, _, a), (.., b)) in tried.iter().zip(&read) {
        if let (Some(a), Some(b)) = (a, b) {
            close(&format!("{name} of the loaded model"), b, a, trial.exact())?;
        }
    }
    let named = trial.store.to_named()?;
    let mut store = ParamStore::from_named(named, trial.store.dtype(), &trial.options.device);
    let frozen = config.build(&mut store, |_| false)?;
    for ((name, a), (_, b)) in bits(&*frozen)?.iter().zip(&bits(&*loaded.model)?) {
        if a != b {
            return differs(format!("{name} of the loaded model"), "other bits", "the same bits");
        }
    }
    Ok(())
}

/// A config survives a file, and a misspelt key does not.
pub(super) fn config(trial: &Trial<'_>, _: &Inputs) -> Result<(), Failure> {
    let Some(config) = trial.config else { return Ok(()) };
    let text = serde_json::to_string(config).map_err(|e| Failure::Error(e.to_string()))?;
    match serde_json::from_str::<ModelConfig>(&text) {
        Ok(back) if back == *config => {}
        back => return differs("the config, read back", format!("{back:?}"), text),
    }
    let more = text.replacen('{', "{\"mistake\": 1, ", 1);
    match serde_json::from_str::<ModelConfig>(&more) {
        Err(_) => Ok(()),
        Ok(read) => differs(format!("the text {more}"), format!("read as {read:?}"), "refused"),
    }
}
