//! [`from_nflows`]: trained flows of the Python package nflows, and of code with the same names, such as that of the published
//! M-flows.
use crate::config::BijectorConfig;
use crate::univariate::{AffineScale, UnivariateConfig};
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;

type Named = BTreeMap<String, Tensor>;

/// Our parameters of `config` from those of a transform of nflows, by the names of its `state_dict`.
///
/// `config` lists the maps in the order of nflows, data to latent; how they are nested does not matter, nor do maps without
/// parameters. Features that a mask chooses, masks and degrees follow from the config and are left out. Whether names and shapes
/// fit is checked when the maps are built of the result ([`crate::ParamStore::from_named`]).
///
/// Networks of masked autoregressive maps that see a context are other ones there: these are refused.
///
/// # Errors
/// If there are not as many transforms with parameters as maps with parameters.
pub fn from_nflows(state: Named, config: &BijectorConfig) -> Result<Named> {
    let mut transforms: BTreeMap<Vec<usize>, Named> = BTreeMap::new();
    for (name, tensor) in state {
        let (place, name) = split(&name);
        if !is_implied(name) {
            let (name, tensor) = (rename(name), of_our_kind(name, tensor)?);
            transforms.entry(place).or_default().insert(name, tensor);
        }
    }
    let transforms: Vec<(Vec<usize>, Named)> = transforms.into_iter().flat_map(in_two).collect();
    let mut maps = vec![];
    list(config, "", &mut maps);
    if maps.len() != transforms.len() {
        let places: Vec<String> = transforms.iter().map(|(place, _)| joined(place)).collect();
        let reason = format!(
            "must list the {} transforms with parameters of nflows, `{}`; found {} maps with parameters",
            places.len(),
            places.join("`, `"),
            maps.len()
        );
        return Err(Error::config("layers", reason));
    }
    let mut named = Named::new();
    for ((prefix, map), (_, parameters)) in maps.into_iter().zip(transforms) {
        let adapted = adapt(map, parameters)?;
        named.extend(adapted.into_iter().map(|(name, tensor)| (join(&prefix, &name), tensor)));
    }
    Ok(named)
}

/// Where a transform is among those that compositions hold, and the name of its own parameter.
fn split(name: &str) -> (Vec<usize>, &str) {
    let (mut place, mut rest) = (vec![], name);
    while let Some((head, tail)) = rest.split_once('.') {
        match (head, head.parse()) {
            (_, Ok(number)) => place.push(number),
            ("_transforms" | "_transform", _) => {}
            _ => break,
        }
        rest = tail;
    }
    (place, rest)
}

/// A 1x1 convolution owns a permutation, which is a map of its own here.
fn in_two((place, mut parameters): (Vec<usize>, Named)) -> Vec<(Vec<usize>, Named)> {
    match parameters.remove("permutation.permutation") {
        None => vec![(place, parameters)],
        Some(order) => {
            let permutation = Named::from([("permutation".to_owned(), order)]);
            vec![(place.clone(), permutation), (place, parameters)]
        }
    }
}

fn joined(place: &[usize]) -> String {
    place.iter().map(usize::to_string).collect::<Vec<_>>().join(".")
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Whether the config says it already.
fn is_implied(name: &str) -> bool {
    let implied = ["identity_features", "transform_features", "degrees", "mask"];
    name.rsplit('.').next().is_some_and(|last| implied.contains(&last))
}

/// Our name of a parameter.
fn rename(name: &str) -> String {
    let parts = [
        ("transform_net.", "net."),
        ("autoregressive_net.", "net."),
        ("initial_layer.", "initial."),
        ("final_layer.", "final."),
        // The blocks of a feed-forward MADE have one layer, which bears no number.
        (".linear.", ".linear.0."),
        (".linear_layers.", ".linear."),
        (".conv_layers.", ".conv."),
        (".context_layer.", ".context."),
        ("_permutation", "permutation"),
    ];
    parts.iter().fold(name.to_owned(), |name, (theirs, ours)| name.replace(theirs, ours))
}

/// The kernel of a 1x1 convolution is a matrix here; indices and flags have fewer bits.
fn of_our_kind(name: &str, tensor: Tensor) -> Result<Tensor> {
    if name.ends_with("_permutation") {
        return Ok(tensor.to_dtype(DType::U32)?);
    }
    if name.ends_with("initialized") {
        return Ok(tensor.to_dtype(DType::U8)?.reshape(1)?);
    }
    Ok(match tensor.dims() {
        &[outputs, inputs, 1, 1] => tensor.reshape((outputs, inputs))?,
        _ => tensor,
    })
}

/// The maps that have parameters, with the prefix of their names.
fn list<'a>(
    config: &'a BijectorConfig,
    prefix: &str,
    maps: &mut Vec<(String, &'a BijectorConfig)>,
) {
    use BijectorConfig as B;
    match config {
        B::Chain { layers: parts } | B::Multiscale { levels: parts } | B::Concat { parts } => {
            for (i, part) in parts.iter().enumerate() {
                list(part, &join(prefix, &i.to_string()), maps);
            }
        }
        B::Inverted { of } | B::Pixelwise { of, .. } | B::Partial { of, .. } => {
            list(of, prefix, maps);
        }
        B::Function(_) | B::FeatureAffine(_) | B::Squeeze(_) | B::Reshape(_) => {}
        _ => maps.push((prefix.to_owned(), config)),
    }
}

/// Parameters that are laid out in another way there.
fn adapt(map: &BijectorConfig, mut parameters: Named) -> Result<Named> {
    let BijectorConfig::Coupling(coupling) = map else { return Ok(parameters) };
    if let UnivariateConfig::Affine { scale: AffineScale::Sigmoid } = coupling.map {
        interleave(&mut parameters)?;
    }
    if coupling.identity.is_some() {
        join_unconditional(&mut parameters)?;
    }
    Ok(parameters)
}

/// The net's outputs: all shifts and then all `u` there; here `u` and shift, feature by feature.
fn interleave(parameters: &mut Named) -> Result<()> {
    for name in ["net.final.weight", "net.final.bias"] {
        if let Some(old) = parameters.get_mut(name) {
            let features = old.dim(0)? / 2;
            let shifts = old.narrow(0, 0, features)?;
            let u = old.narrow(0, features, features)?;
            *old = Tensor::stack(&[u, shifts], 1)?.reshape(old.shape())?;
        }
    }
    Ok(())
}

/// Splines of the kept features: three arrays there, one here.
fn join_unconditional(parameters: &mut Named) -> Result<()> {
    let parts = ["widths", "heights", "derivatives"].map(|part| {
        let name = format!("unconditional_transform.unnormalized_{part}");
        parameters
            .remove(&name)
            .ok_or(Error::ParameterNames { missing: vec![name], unexpected: vec![] })
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
    parameters.insert("identity.parameters".to_owned(), Tensor::cat(&parts, 1)?);
    Ok(())
}
