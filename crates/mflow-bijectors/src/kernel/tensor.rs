//! Between candle tensors and slices.
use crate::host;
use candle_core::{CpuStorage, Error, Layout, Result, Storage, Tensor, WithDType};

/// Contiguous CPU data of a storage.
pub(crate) fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        // A view of no rows may start behind the end of its storage.
        Some((start, end)) if start == end => Ok(&[]),
        Some((start, end)) => Ok(&T::cpu_storage_as_slice(storage)?[start..end]),
        None => Err(Error::Msg("a CPU kernel was given a strided tensor".into())),
    }
}

/// Run `f` on the data of `t`, which is made contiguous first.
pub(crate) fn with_slice<T: WithDType, R>(t: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let t = t.contiguous()?;
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(slice(cpu, layout)?)),
        _ => Err(Error::Msg("a CPU kernel was given a tensor of another device".into())),
    }
}

/// Cut a flat tensor into consecutive pieces.
///
/// Halving recursively keeps candle's backward of `narrow`, which pads to the full length, at
/// `O(n log pieces)` instead of `O(n pieces)`.
///
/// # Errors
/// If the lengths do not add up.
pub fn split(flat: &Tensor, lens: &[usize]) -> Result<Vec<Tensor>> {
    let total: usize = lens.iter().sum();
    if total != flat.elem_count() {
        let found = flat.elem_count();
        return Err(Error::Msg(format!("pieces of {total} numbers in all, cut from {found}")));
    }
    if let [0] = lens {
        // Without a graph: GPUs have no gradients of nothing.
        return Ok(vec![host::zeros(0, flat.dtype(), flat.device())?]);
    }
    if let [_] | [] = lens {
        return Ok(lens.iter().map(|_| flat.clone()).collect());
    }
    let (left, right) = lens.split_at(lens.len() / 2);
    let n = left.iter().sum::<usize>();
    let mut pieces = split(&flat.narrow(0, 0, n)?, left)?;
    pieces.extend(split(&flat.narrow(0, n, right.iter().sum())?, right)?);
    Ok(pieces)
}
