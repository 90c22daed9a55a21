//! Divergence of a model from the truth in a chart that both share.
use super::Evaluated;
use crate::{Error, Estimate, Result};
use mflow_bijectors::Stream;
use mflow_data::PolynomialSurface;

/// `KL(q || p) = E_q[log q(z) - log p(z)]` in nats at the parameter `theta`, where `z` are the first
/// two coordinates of a point in the surface's own frame and `q` is the density of the `z` of the
/// model's samples.
///
/// With `z` a function of the latent `ũ` of a sample, `log q(z) = log p(ũ) - log|det dz/dũ|`. Exact
/// where `ũ -> z` is one to one; a learned manifold that folds over the chart would need a sum over
/// sheets. Unlike the log-likelihood gap it is a true divergence, since both densities live on `R²`.
///
/// # Errors
/// If the model cannot be evaluated or a result is not finite.
pub fn chart_kl(
    of: Evaluated<'_>,
    surface: &PolynomialSurface,
    theta: f64,
    samples: usize,
    stream: &mut Stream,
) -> Result<Estimate> {
    let context = of.context(&vec![theta; samples])?;
    let latent = of.model.sample_latent(samples, stream)?;
    let x = of.by_rows(&latent, context.as_ref(), |z, c| of.model.decode(z, c))?;
    let rows = of.by_rows(&latent, context.as_ref(), |z, c| of.model.decode_jacobian(z, c))?;
    let base = of.by_rows(&latent, None, |z, _| of.model.latent_log_prob(z))?;
    let points = x.as_chunks::<3>().0.iter();
    let tangents = rows.as_chunks::<6>().0.iter();
    let latents = base.iter();
    let fits = points.len() == samples && tangents.len() == samples && latents.len() == samples;
    if !fits || of.model.signature().charts > 1 {
        let expected = "a surface of one chart in three dimensions".into();
        let found = format!("{of:?}");
        return Err(Error::Model { what: "chart_kl", expected, found });
    }
    let terms = points.zip(tangents).zip(latents).map(|((x, t), log_base)| {
        // The chart is linear, so it maps tangents as it maps points.
        let [a, b] = surface.chart([t[0], t[1], t[2]]);
        let [c, d] = surface.chart([t[3], t[4], t[5]]);
        let log_q = log_base - (a * d - b * c).abs().ln();
        Ok(log_q - surface.log_prob_chart(surface.chart(*x), theta)?)
    });
    let terms = terms.collect::<mflow_data::Result<Vec<_>>>()?;
    Estimate::mean(&terms)
}
