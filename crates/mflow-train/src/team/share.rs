//! What training does with a team: pieces of work, in an order, of which each rank does some.
use super::Team;
use crate::shards::cut;
use crate::{Error, Result};
use candle_core::{Device, Shape, Tensor, Var};
use mflow_bijectors::host;
use std::ops::Range;

/// Which of `n` pieces this rank does.
pub(crate) fn own(team: &dyn Team, n: usize) -> Range<usize> {
    cut(n, team.size(), team.rank())
}

/// What each rank has, if of `n` pieces the `i`-th has `of(i)` numbers.
fn lengths(team: &dyn Team, n: usize, of: impl Fn(usize) -> usize) -> Vec<usize> {
    (0..team.size()).map(|rank| cut(n, team.size(), rank).map(&of).sum()).collect()
}

/// The numbers of all `n` pieces, of which this rank has its own.
pub(crate) fn numbers(team: &dyn Team, own: Vec<f64>, n: usize) -> Result<Vec<f64>> {
    if team.size() == 1 {
        return Ok(own);
    }
    let count = own.len();
    let own = Tensor::from_vec(own, count, &Device::Cpu)?;
    Ok(host::values(&team.gather(&own, &lengths(team, n, |_| 1))?)?)
}

/// The rows of all `n` pieces, `[rows, D]`, of which this rank has its own; piece `i` has `of(i)` rows.
pub(crate) fn rows(
    team: &dyn Team,
    own: &Tensor,
    n: usize,
    of: impl Fn(usize) -> usize,
) -> Result<Tensor> {
    if team.size() == 1 {
        return Ok(own.clone());
    }
    let d = own.dim(1)?;
    let all = team.gather(&own.flatten_all()?, &lengths(team, n, |i| of(i) * d))?;
    Ok(all.reshape(((), d))?)
}

/// Whether one of the ranks says so.
pub(crate) fn any(team: &dyn Team, own: bool) -> Result<bool> {
    let all = numbers(team, vec![f64::from(u8::from(own))], team.size())?;
    Ok(all.iter().any(|v| *v > 0.))
}

/// Refuse to go on if ranks differ in `what`, of which each has the hash. Nobody passes before all have come.
pub(crate) fn agree(team: &dyn Team, what: &'static str, hash: u64) -> Result<()> {
    // f64 holds halves exactly.
    for half in [hash >> 32, hash & 0xffff_ffff] {
        let all = numbers(team, vec![half as f64], team.size())?;
        if let Some(rank) = all.iter().position(|v| Some(v) != all.first()) {
            return Err(Error::Ranks { what, rank });
        }
    }
    Ok(())
}

/// The gradients of all `n` pieces, of which this rank has its own: as they are in a process by itself, else summed in
/// the order of the pieces.
///
/// Each rank sums a part of the elements over all pieces, and takes the sums of the others: of `G` numbers about
/// `(pieces / ranks + 1) G` go out from each rank, whatever their number.
#[expect(clippy::indexing_slicing, reason = "a rank is below the size of its team")]
pub(crate) fn summed(
    team: &dyn Team,
    own: Vec<Vec<Option<Tensor>>>,
    n: usize,
    vars: &[Var],
) -> Result<Vec<Vec<Option<Tensor>>>> {
    if team.size() == 1 {
        return Ok(own);
    }
    let Some(first) = vars.first() else { return Ok(own) };
    let (dtype, device) = (first.dtype(), first.device());
    let elements: usize = vars.iter().map(|v| v.elem_count()).sum();
    let ranges: Vec<Range<usize>> =
        (0..team.size()).map(|rank| cut(elements, team.size(), rank)).collect();
    let flat = |shard: &Vec<Option<Tensor>>| -> Result<Tensor> {
        let parts = shard.iter().zip(vars).map(|(gradient, var)| match gradient {
            Some(gradient) => gradient.flatten_all(),
            None => Tensor::zeros(var.elem_count(), dtype, device),
        });
        Ok(Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 0)?)
    };
    let shards = own.iter().map(flat).collect::<Result<Vec<_>>>()?;
    let for_rank = |range: &Range<usize>| -> Result<Tensor> {
        let parts = shards.iter().map(|shard| shard.narrow(0, range.start, range.len()));
        let parts = parts.collect::<candle_core::Result<Vec<_>>>()?;
        match parts.is_empty() {
            true => Ok(host::zeros(Shape::from(0), dtype, device)?),
            false => Ok(Tensor::cat(&parts, 0)?),
        }
    };
    let out = ranges.iter().map(for_rank).collect::<Result<Vec<_>>>()?;
    let here = ranges[team.rank()].len();
    let pieces = |rank: usize| cut(n, team.size(), rank).len();
    let come: Vec<usize> = (0..team.size()).map(|rank| pieces(rank) * here).collect();
    let came = team.exchange(&out, &come)?;
    let mut sum: Option<Tensor> = None;
    for (rank, part) in came.iter().enumerate() {
        for piece in 0..pieces(rank) {
            let part = part.narrow(0, piece * here, here)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
    }
    let Some(sum) = sum else { return Ok(vec![]) };
    let lengths: Vec<usize> = ranges.iter().map(Range::len).collect();
    let all = team.gather(&sum, &lengths)?;
    let mut start = 0;
    let of_var = |var: &Var| -> Result<Option<Tensor>> {
        let part = all.narrow(0, start, var.elem_count())?.reshape(var.shape())?;
        start += var.elem_count();
        Ok(Some(part))
    };
    Ok(vec![vars.iter().map(of_var).collect::<Result<Vec<_>>>()?])
}
