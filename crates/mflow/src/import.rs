//! Models that other libraries trained: flows of the Python package `nflows`.
//!
//! Our layers have the formulas and the parameters of theirs, under other names, and a flow has them in the same order, from data to
//! latent. So a state dict becomes a model of a config with the same architecture: layer after layer, nothing left over.
use crate::{Error, Result};
use mflow_bijectors::{BijectorConfig, ParamStore};
use mflow_core::candle::{DType, Device, Tensor, pickle};
use mflow_core::{
    LoadedModel, ModelCard, ModelConfig, ModelParts, RowLayout, VectorFlowConfig, read_tensors,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Named = BTreeMap<String, Tensor>;

/// A state dict of PyTorch: a safetensors file, or what `torch.save(flow.state_dict(), path)` writes (PyTorch 1.6 or newer).
///
/// # Errors
/// If the file is neither, or damaged.
pub fn read_state(path: &Path) -> Result<Named> {
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

/// The model of `config`, in `dtype`, with the weights of an nflows state dict, which messages call `path`.
///
/// The names say which flow a tensor is of:
///
/// | their prefix | our part |
/// | --- | --- |
/// | `_transform.` (`nflows.flows.Flow`) | the flow of an `af` |
/// | `outer_transform.`, `inner_transform.` (M-flows and PIEs of Brehmer & Cranmer's code) | `outer`, `inner` |
///
/// # Errors
/// If the config has other layers than the state, or a tensor is missing, left over or of another shape.
pub fn from_nflows(
    state: &Named,
    config: &ModelConfig,
    dtype: DType,
    path: &Path,
) -> Result<LoadedModel> {
    let refuse = |reason: String| Error::Run { path: path.to_owned(), reason };
    let mut named = Named::new();
    let mut used = BTreeSet::new();
    for (theirs, ours, flow) in flows(config).map_err(refuse)? {
        let part = || state.iter().filter(|(name, _)| name.starts_with(theirs));
        used.extend(part().map(|(name, _)| name));
        let layers = layers(&flow);
        let groups: BTreeSet<Vec<usize>> = part().map(|(name, _)| split(name, theirs).0).collect();
        if groups.len() != layers.len() {
            return Err(refuse(format!(
                "`{theirs}`: expected {} layers, as the config has for `{ours}`, found {}",
                layers.len(),
                groups.len()
            )));
        }
        let position: BTreeMap<Vec<usize>, usize> =
            groups.into_iter().enumerate().map(|(k, group)| (group, k)).collect();
        for (name, tensor) in part() {
            let (group, parameter) = split(name, theirs);
            let k = position.get(&group).copied().unwrap_or_default();
            if parameter == "transform_features" {
                let expected = match layers.get(k) {
                    Some(BijectorConfig::Coupling(coupling)) => Some(coupling.moved()?),
                    _ => None,
                };
                check_mask(name, tensor, expected).map_err(refuse)?;
            }
            if let Some(parameter) = renamed(&parameter) {
                named.insert(format!("{ours}.{k}.{parameter}"), of_our_type(&parameter, tensor)?);
            }
        }
    }
    // Constants of distributions.
    let is_constant = |name: &str| name.ends_with("_log_z");
    if let Some(name) = state.keys().find(|name| !used.contains(name) && !is_constant(name)) {
        let name = mflow_bijectors::printable(name);
        return Err(refuse(format!(
            "the tensor `{name}` belongs to no part of a `{}`",
            config.name()
        )));
    }
    let mut store = ParamStore::from_named(named, dtype, &Device::Cpu);
    let model = config
        .build(&mut store, |_| false)
        .map_err(|error| refuse(format!("its weights do not fit the config: {error}")))?;
    let provenance = BTreeMap::from([("imported".to_owned(), path.display().to_string())]);
    let (config, layout) = (config.clone(), RowLayout::default());
    let card = ModelCard { config, columns: None, layout, provenance };
    Ok(LoadedModel { model, store, card, checked: false })
}

/// A flow of the model: what their names start with, what ours do, and its map.
type Flow = (&'static str, &'static str, BijectorConfig);

fn flows(config: &ModelConfig) -> Result<Vec<Flow>, String> {
    let sizes = &config.sizes;
    let of = |theirs, ours, flow: &VectorFlowConfig, dim, context| {
        let map = flow.bijector(dim, context).map_err(|error| error.to_string())?;
        let layers = layers(&map);
        match layers.iter().position(|layer| !is_shared(layer)) {
            None => Ok((theirs, ours, map)),
            Some(k) => Err(format!(
                "layer {k} of `{ours}` in the config cannot be imported; expected permutations, linear maps by LU factors, and couplings \
                 with splines"
            )),
        }
    };
    let (d, n, c) = (sizes.data_dim, sizes.manifold_dim, sizes.context_dim);
    let of_manifold = if sizes.conditional_manifold { c } else { 0 };
    match &config.parts {
        ModelParts::Af { inner } => Ok(vec![of("_transform.", "inner", inner, d, c)?]),
        ModelParts::MFlow { chart: None, outer, inner } | ModelParts::Pie { outer, inner, .. } => {
            Ok(vec![
                of("outer_transform.", "outer", outer, d, of_manifold)?,
                of("inner_transform.", "inner", inner, n, c)?,
            ])
        }
        _ => Err(format!(
            "a `{}` cannot be imported; expected a config of af, pie, or m-flow without a chart",
            config.name()
        )),
    }
}

/// Whether nflows has a layer with the same parameters.
fn is_shared(layer: &BijectorConfig) -> bool {
    use mflow_bijectors::UnivariateConfig as U;
    match layer {
        BijectorConfig::Permutation(_) | BijectorConfig::LuLinear(_) => true,
        BijectorConfig::Coupling(coupling) => matches!(
            coupling.map,
            U::RationalQuadratic { .. }
                | U::LinearSpline { .. }
                | U::QuadraticSpline { .. }
                | U::CubicSpline { .. }
        ),
        _ => false,
    }
}

/// The layers of a flow, from data to latent.
fn layers(map: &BijectorConfig) -> Vec<&BijectorConfig> {
    match map {
        BijectorConfig::Chain { layers: all } => all.iter().flat_map(layers).collect(),
        BijectorConfig::Inverted { of } => layers(of),
        layer => vec![layer],
    }
}

/// Where a tensor is among nested `CompositeTransform`s, and its name there: `[0, 1]` and `bias` of
/// `_transforms.0._transforms.1.bias`.
fn split(name: &str, prefix: &str) -> (Vec<usize>, String) {
    let mut rest = name.strip_prefix(prefix).unwrap_or(name);
    let mut group = vec![];
    let next = |rest: &'_ str| {
        let (number, rest) = rest.strip_prefix("_transforms.")?.split_once('.')?;
        Some((number.parse().ok()?, rest.len()))
    };
    while let Some((number, length)) = next(rest) {
        group.push(number);
        rest = rest.get(rest.len() - length..).unwrap_or_default();
    }
    (group, rest.to_owned())
}

/// Our name of a parameter of a layer; none of what the config says.
fn renamed(name: &str) -> Option<String> {
    const PARTS: [(&str, &str); 6] = [
        ("transform_net.", "net."),
        ("initial_layer.", "initial."),
        ("final_layer.", "final."),
        (".linear_layers.", ".linear."),
        (".context_layer.", ".context."),
        ("_permutation", "permutation"),
    ];
    let is_implied = matches!(name, "identity_features" | "transform_features");
    let rename = |name: String, (theirs, ours): &(&str, &str)| name.replace(theirs, ours);
    (!is_implied).then(|| PARTS.iter().fold(name.to_owned(), rename))
}

/// Permutations are integers of 64 bits there.
fn of_our_type(parameter: &str, tensor: &Tensor) -> Result<Tensor> {
    let cast = match parameter {
        "permutation" => tensor.to_dtype(DType::U32),
        _ => Ok(tensor.clone()),
    };
    Ok(cast.map_err(mflow_core::Error::from)?)
}

/// Refuse couplings of other features than those of the config.
fn check_mask(name: &str, tensor: &Tensor, expected: Option<Vec<usize>>) -> Result<(), String> {
    let found = tensor.to_dtype(DType::U32).and_then(|tensor| tensor.to_vec1::<u32>());
    let found = found.map_err(|error| format!("`{name}`: {error}"))?;
    let same = |expected: &Vec<usize>| {
        expected.len() == found.len()
            && expected.iter().zip(&found).all(|(a, b)| usize::try_from(*b) == Ok(*a))
    };
    match expected {
        Some(expected) if same(&expected) => Ok(()),
        Some(expected) => Err(format!(
            "`{name}`: expected the features {expected:?}, which this coupling of the config moves, found {found:?}"
        )),
        None => Err(format!("`{name}`: the config has no coupling here")),
    }
}
