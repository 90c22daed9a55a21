//! Models that were trained elsewhere.
use crate::{Error, Result};
use mflow_bijectors::{BijectorConfig, ParamStore, from_nflows};
use mflow_core::candle::{DType, Device, Tensor, pickle};
use mflow_core::{Model, ModelConfig, ModelParts, read_tensors};
use std::collections::BTreeMap;
use std::path::Path;

type Named = BTreeMap<String, Tensor>;

/// A state dict of PyTorch: a safetensors file, or what `torch.save(flow.state_dict(), path)` writes (PyTorch 1.6 or newer). Nothing
/// in it is executed.
///
/// # Errors
/// If the file is neither, or damaged.
pub fn read_state_dict(path: &Path) -> Result<Named> {
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        return Ok(read_tensors(path)?.tensors);
    }
    let all = pickle::read_all(path).map_err(|error| Error::Run {
        path: path.to_owned(),
        reason: format!(
            "expected a .safetensors file, or what torch.save(flow.state_dict(), ..) writes: {error}"
        ),
    })?;
    Ok(all.into_iter().collect())
}

/// What of a state dict has no part in the maps: base densities, whose parameters are constants.
const CONSTANTS: [&str; 5] = [
    "_distribution",
    "latent_distribution",
    "manifold_latent_distribution",
    "orthogonal_latent_distribution",
    "projection",
];

/// The flows of a model with their groups of parameters and their names in the code of the published M-flows. A flow alone is
/// `transform` there, `_transform` in nflows.
fn flows(config: &ModelConfig) -> Result<Vec<(&'static str, &'static str, BijectorConfig)>> {
    let (sizes, context) = (&config.sizes, config.sizes.context_dim);
    let of_manifold = if sizes.conditional_manifold { context } else { 0 };
    match &config.parts {
        _ if config.image().is_some() => Err(refuse(
            "must be a model of vectors: images are laid out in another way in nflows".to_owned(),
        )),
        ModelParts::Af { inner } => {
            Ok(vec![("inner", "", inner.bijector(sizes.data_dim, context)?)])
        }
        ModelParts::MFlow { outer, inner, .. } | ModelParts::Pie { outer, inner, .. } => Ok(vec![
            ("outer", "outer_transform", outer.bijector(sizes.data_dim, of_manifold)?),
            ("inner", "inner_transform", inner.bijector(sizes.manifold_dim, context)?),
        ]),
        _ => Err(refuse(format!(
            "must be `af`, `m-flow` or `pie`, whose parts are flows of nflows; found `{}`",
            config.name()
        ))),
    }
}

fn refuse(reason: String) -> Error {
    Error::Config { field: "model", reason }
}

/// The model of this config, and its parameters, from the `state_dict` of a flow of the Python package nflows, or of an ambient flow,
/// an M-flow or a PIE of the code of Brehmer & Cranmer (2020), arXiv 2003.13913, which has the same names. See [`from_nflows`].
///
/// `dtype` converts the weights; by default they keep their own.
///
/// # Errors
/// If the model is of another kind, a flow of it has other maps than the state dict, or a tensor another shape.
pub fn import_nflows(
    config: &ModelConfig,
    state: Named,
    dtype: Option<DType>,
) -> Result<(Box<dyn Model>, ParamStore)> {
    let stored = state.values().map(Tensor::dtype).find(DType::is_float);
    let flows = flows(config)?;
    let mut named = Named::new();
    let mut of_flows: BTreeMap<&str, Named> = BTreeMap::new();
    let mut unexpected = vec![];
    for (name, tensor) in state {
        let (first, rest) = name.split_once('.').unwrap_or(("", &name));
        if CONSTANTS.contains(&first) {
            continue;
        }
        let of_flow = flows.iter().find(|(_, theirs, _)| *theirs == first || theirs.is_empty());
        match of_flow {
            Some((group, theirs, _)) => {
                // Of a flow alone compositions are told by the names themselves.
                let is_prefix = !theirs.is_empty() || first == "transform";
                let rest = if is_prefix { rest.to_owned() } else { name };
                of_flows.entry(group).or_default().insert(rest, tensor);
            }
            None => unexpected.push(name),
        }
    }
    if !unexpected.is_empty() {
        return Err(mflow_bijectors::Error::ParameterNames { missing: vec![], unexpected }.into());
    }
    for (group, _, flow) in &flows {
        let parameters = from_nflows(of_flows.remove(group).unwrap_or_default(), flow)?;
        named.extend(parameters.into_iter().map(|(name, t)| (format!("{group}.{name}"), t)));
    }
    let dtype = dtype.or(stored).unwrap_or(DType::F32);
    let mut store = ParamStore::from_named(named, dtype, &Device::Cpu);
    let model = config.build(&mut store, |_| false)?;
    Ok((model, store))
}
