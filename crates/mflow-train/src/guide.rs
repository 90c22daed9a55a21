//! Coordinates of rows that are found before the model is trained, to guide its start.
use crate::loss::Scale;
use crate::member::Setting;
use crate::schedule::{Phase, TrainConfig};
use crate::source::{Batch, RowSource as _, Rows};
use crate::trainer::Trainer;
use crate::{Error, Loss, Result, Silent};
use candle_core::{D, Device, Tensor};
use mflow_bijectors::{Activation, NetConfig, ParamStore, host};
use mflow_core::{ModelConfig, PrincipalAxes, UnrollMethod, UnrollOptions, unroll};
use serde::{Deserialize, Serialize};

/// Where the coordinates of [`Loss::Guided`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Guide {
    /// Distances along the manifold, from a graph of neighbours: landmark Isomap. See [`unroll`].
    Isomap,
    /// Tangent planes of neighbourhoods, brought into line: local tangent space alignment. It is faster, but
    /// tolerates less noise. See [`unroll`].
    TangentAlignment,
    /// The codes of an autoencoder: networks without constraint, which learn the same rows first.
    Autoencoder,
}

/// Training rows that are guided, at most: enough to cover a manifold of a few dimensions.
const ROWS: usize = 20_000;
/// Validation rows with a guide, at most.
const VALIDATION_ROWS: usize = 2000;
/// Standard deviation of the coordinates along their widest axis: well inside of the box of splines.
const SPREAD: f64 = 1.5;

/// Training and validation rows with their coordinates, for a phase with [`Loss::Guided`]. If an autoencoder finds them,
/// it trains for about `updates` updates.
pub(crate) fn guided(
    guide: Guide,
    setting: &Setting<'_>,
    scale: &Scale,
    updates: usize,
) -> Result<(Rows, Rows)> {
    let train = setting.train.spread(ROWS)?;
    let validation = setting.validation.spread(VALIDATION_ROWS)?;
    let rows = train.rows();
    // Together, so that both are on the same coordinates.
    let x = scale.normalize(&Tensor::cat(&[&train.x, &validation.x], 0)?)?;
    let n = setting.model.sizes.manifold_dim;
    let Coordinates { u, outliers } = match guide {
        Guide::Isomap => unrolled(&x, n, UnrollMethod::Isomap, setting.seed)?,
        Guide::TangentAlignment => unrolled(&x, n, UnrollMethod::TangentAlignment, setting.seed)?,
        Guide::Autoencoder => codes(&x, rows, n, setting, updates)?,
    };
    let u = Tensor::from_vec(scaled(&u, n), (x.dim(0)?, n), &Device::Cpu)?;
    let u = u.to_dtype(x.dtype())?.to_device(x.device())?;
    let with = |batch: Batch, start: usize| -> Result<Rows> {
        let guide = Some(u.narrow(0, start, batch.rows())?);
        let all = Rows::with_data(Batch { guide, ..batch })?;
        let known = |row: &usize| outliers.binary_search(&(start + row)).is_err();
        let known: Vec<usize> = (0..all.rows()).filter(known).collect();
        match known.is_empty() {
            // A phase needs rows: a guess is better than none.
            true => Ok(all),
            false => Rows::with_data(all.gather(&known)?),
        }
    };
    Ok((with(train, 0)?, with(validation, rows)?))
}

/// Coordinates of rows.
struct Coordinates {
    /// `[rows, N]`, row-major.
    u: Vec<f64>,
    /// Rows, in order, whose coordinates are a guess. A wrong guide does more harm than none: a few rows far along a
    /// spiral that are put onto its inner turn bend all of it.
    outliers: Vec<usize>,
}

#[expect(
    clippy::indexing_slicing,
    reason = "coordinates have n numbers in each row, n is 1 or more, and rows of pieces are rows of the data"
)]
fn unrolled(x: &Tensor, n: usize, method: UnrollMethod, seed: u64) -> Result<Coordinates> {
    let cols = x.dim(D::Minus1)?;
    let options = UnrollOptions { method, seed, ..UnrollOptions::default() };
    let unrolled = unroll(&host::values_f64(x)?, cols, n, &options)?;
    let mut u = unrolled.coordinates;
    // Pieces, each around 0, are laid side by side along the first axis.
    let mut end = None;
    for piece in &unrolled.pieces {
        let first = || piece.rows.iter().map(|&row| u[row * n]);
        let (low, high) = first()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let shift = end.map_or(0., |end| end + 0.5 * (high - low) - low);
        end = Some(high + shift);
        piece.rows.iter().for_each(|&row| u[row * n] += shift);
    }
    Ok(Coordinates { u, outliers: unrolled.outliers })
}

/// Coordinates with mean 0 and standard deviation [`SPREAD`] along their widest axis; all axes by the same factor.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "coordinates have n numbers in each row, n is 1 or more, and rows of pieces are rows of the data"
)]
fn scaled(u: &[f64], n: usize) -> Vec<f64> {
    let axes = PrincipalAxes::of(u, n);
    let rows = (u.len() / n) as f64;
    let widest = (axes.squares[0] / rows).sqrt();
    let factor = if widest > 0. { SPREAD / widest } else { 1. };
    u.iter().enumerate().map(|(i, v)| (v - axes.mean[i % n]) * factor).collect()
}

/// The codes `[all rows, n]` that an autoencoder gives to the rows of `x`, of which the first `rows` train it.
fn codes(
    x: &Tensor,
    rows: usize,
    n: usize,
    setting: &Setting<'_>,
    updates: usize,
) -> Result<Coordinates> {
    let (all, d) = x.dims2()?;
    let batch_size = 100;
    let net = NetConfig::new(100, 2).with_activation(Activation::Silu);
    let model = ModelConfig::pae(d, n).with_networks(net);
    let losses = vec![Loss::reconstruction().weighted(1.)];
    let epochs = (updates * batch_size).div_ceil(rows).max(1);
    let mut phase = Phase::new("autoencoder", &["encoder", "decoder"], losses, epochs);
    (phase.batch_size, phase.ema) = (batch_size, 0.999);
    phase.optimizer.set_learning_rate(2e-3);
    let config = TrainConfig { shards: setting.shards, ..TrainConfig::new(vec![phase]) };
    let part = |start: usize, len: usize| -> Result<Rows> {
        Rows::with_data(Batch::new(x.narrow(0, start, len)?, None))
    };
    let (train, validation) = (part(0, rows)?, part(rows, all - rows)?);
    let mut store = ParamStore::new(setting.seed, x.dtype(), x.device());
    let mut trainer = Trainer {
        model: &model,
        store: &mut store,
        data: &train,
        validation: Some(&validation),
        config: &config,
        seed: setting.seed,
        pool: setting.pool,
        run: None,
    };
    // After an interruption these codes guide nothing: the phase ends before its first update, and a resumed one starts here.
    trainer.run(&mut Silent, setting.stop)?;
    let model = model.build(&mut store, |_| false)?;
    let u = setting.pool.by_rows(x.device(), all, |range| -> Result<Tensor, mflow_core::Error> {
        model.coordinates(&x.narrow(0, range.start, range.len())?, None)
    });
    Ok(Coordinates { u: host::values_f64(&u.map_err(Error::from)?)?, outliers: vec![] })
}
