//! What a model has learned: its manifold where that can be drawn, else points of it, with its density.
use super::sheet::{Shape, Sheet};
use crate::Result;
use crate::experiment::has_manifold_density;
use crate::latents::Region;
use mflow_bijectors::Stream;
use mflow_core::Density;
use mflow_core::candle::{DType, Tensor};
use mflow_eval::metrics::Evaluated;

/// Points of a line.
const LINE: usize = 400;
/// Percents of each latent beyond either end of what is drawn: there the decoder has seen next to no data.
const TAILS: f64 = 0.5;

/// The manifold of a model, or `points` samples where it has more than two dimensions, fills the space, or is
/// a surface of several charts; a surface has `side` points along each side. `context` is the row that all points share.
pub(super) fn learned(
    of: Evaluated<'_>,
    context: &[f64],
    side: usize,
    points: usize,
) -> Result<Sheet> {
    let signature = of.model.signature();
    let decode = |latents: &[f64]| -> Result<Vec<f64>> {
        let u = of.tensor(latents, signature.latent_dim())?;
        let c = of.context(&context.repeat(latents.len() / signature.latent_dim()))?;
        Ok(of.by_rows(&u, c.as_ref(), |u, c| of.model.decode(u, c))?)
    };
    let (shape, points) = match signature.manifold_dim {
        1 if signature.data_dim > 1 => {
            let curves = Region::of(of, TAILS)?.curves(LINE, decode)?;
            let curves: Result<Vec<Vec<f64>>> = curves.iter().map(|u| decode(u)).collect();
            // A point that is none ends a line.
            (Shape::Line, curves?.join(&[f64::NAN].repeat(signature.data_dim)[..]))
        }
        2 if signature.data_dim > 2 && signature.charts == 1 => {
            (Shape::Grid(side, side), decode(&Region::of(of, TAILS)?.grid(side))?)
        }
        _ => (Shape::Cloud, samples(of, context, points)?),
    };
    let name = if shape == Shape::Cloud { "samples of the model" } else { "learned manifold" };
    let color = log_density(of, context, &points)?;
    Ok(Sheet { name: name.to_owned(), shape, points, color })
}

/// `rows` samples, `[rows, D]`.
fn samples(of: Evaluated<'_>, context: &[f64], rows: usize) -> Result<Vec<f64>> {
    let context = of.context(&context.repeat(rows))?;
    let mut stream = Stream::new(0, "samples of a report");
    let samples = of.model.sample(rows, context.as_ref(), &mut stream)?;
    Ok(of.by_rows(&samples, None, |x, _| Ok(x.clone()))?)
}

/// The log-density of points `[n, D]`: on the manifold where there is one, else that of all of the space; NaN
/// where a point is not finite. None if the model has no density.
fn log_density(of: Evaluated<'_>, context: &[f64], points: &[f64]) -> Result<Option<Vec<f64>>> {
    let signature = of.model.signature();
    let kind = match signature.density {
        Some(_) if has_manifold_density(of.model) => Density::Manifold,
        Some(density) => density,
        None => return Ok(None),
    };
    // The model refuses points that its precision cannot hold.
    let largest = if signature.dtype == DType::F64 { f64::MAX } else { f64::from(f32::MAX) };
    let finite = |row: &&[f64]| row.iter().all(|x| x.abs() <= largest);
    let rows = || points.chunks_exact(signature.data_dim);
    let kept: Vec<f64> = rows().filter(finite).flatten().copied().collect();
    let mut found = if kept.is_empty() {
        vec![]
    } else {
        let x = of.tensor(&kept, signature.data_dim)?;
        let c = of.context(&context.repeat(kept.len() / signature.data_dim))?;
        let density = |x: &Tensor, c: Option<&Tensor>| of.model.log_density(kind, x, c);
        of.by_rows(&x, c.as_ref(), density)?
    }
    .into_iter();
    let value = |row| if finite(&row) { found.next() } else { None }.unwrap_or(f64::NAN);
    Ok(Some(rows().map(value).collect()))
}
