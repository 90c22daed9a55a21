//! All that an embedding says of some inputs.
use super::Failure;
use crate::embedding::Embedding;
use candle_core::Tensor;
use mflow_bijectors::Diff;
use mflow_bijectors::laws::differs;

/// Points, tangents and volumes at `u`, and the coordinates of `x`, by name.
pub(super) fn outputs(
    embedding: &dyn Embedding,
    u: &Tensor,
    x: &Tensor,
    context: Option<&Tensor>,
) -> Result<Vec<(&'static str, Tensor)>, Failure> {
    let dual = embedding.embed_with_jacobian(u, context)?;
    let Some(tangents) = dual.tangents() else {
        return differs("the tangents of embed_with_jacobian", "none", "rows of the Jacobian");
    };
    let mut all = vec![
        ("embed", embedding.embed(u, context)?),
        ("the value of embed_with_jacobian", dual.value().clone()),
        ("tangents", tangents.clone()),
        ("log_volume", embedding.log_volume(u, context)?),
        ("coordinates", embedding.coordinates(x, context)?),
    ];
    if let Some((point, volume)) = embedding.embed_with_volume(u, context)? {
        all.extend([
            ("the point of embed_with_volume", point),
            ("the volume of embed_with_volume", volume),
        ]);
    }
    Ok(all)
}

/// The output of this name.
pub(super) fn of<'a>(
    outputs: &'a [(&'static str, Tensor)],
    name: &str,
) -> Result<&'a Tensor, Failure> {
    let found = outputs.iter().find(|(known, _)| *known == name);
    found.map(|(_, t)| t).ok_or_else(|| Failure::Error(format!("no output {name}")))
}
