//! The weights of a network: a safetensors file, or what `torch.save` wrote before PyTorch 1.6. Nothing is executed.
use crate::{Error, Result};
use mflow_core::candle::pickle::{Object, Stack};
use mflow_core::candle::{Device, Tensor, safetensors};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The magic number of PyTorch's older format and its version 1001, each a pickle.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";

/// Tensors by name.
#[derive(Debug)]
pub(super) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Weights {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes =
            fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let refuse = |found| Error::Network {
            path: path.to_owned(),
            expected: "a safetensors file, or one of PyTorch's format before 1.6".to_owned(),
            found,
        };
        let tensors = match bytes.strip_prefix(MAGIC) {
            Some(rest) => pytorch(rest)
                .ok_or_else(|| refuse("PyTorch's format, broken or with other types".to_owned()))?,
            None => safetensors::load_buffer(&bytes, &Device::Cpu)
                .map_err(|error| refuse(error.to_string()))?,
        };
        Ok(Self { path: path.to_owned(), tensors })
    }

    /// The numbers of a tensor of this shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let refuse = |found| Error::Network {
            path: self.path.clone(),
            expected: format!("a tensor `{name}` of f32 and of shape {shape:?}"),
            found,
        };
        match self.tensors.get(name) {
            None => Err(refuse("none of this name".to_owned())),
            Some(t) if t.dims() != shape => Err(refuse(format!("{:?}", t.dims()))),
            Some(t) => {
                let values: Vec<f32> =
                    t.flatten_all()?.to_vec1().map_err(|error| refuse(error.to_string()))?;
                match values.iter().find(|v| !v.is_finite()) {
                    Some(v) => Err(refuse(v.to_string())),
                    None => Ok(values),
                }
            }
        }
    }
}

/// What follows: a pickle about the system, one of tensors, one of the names of their storages, and the storages in that
/// order, each with the number of its elements before it. Tensors of other types than f32 are left out.
fn pytorch(mut bytes: &[u8]) -> Option<HashMap<String, Tensor>> {
    pickle(&mut bytes)?;
    let state = pickle(&mut bytes)?.dict().ok()?;
    let Object::List(keys) = pickle(&mut bytes)? else { return None };
    let wanted: Vec<(String, View)> = state
        .into_iter()
        .filter_map(|(name, value)| Some((name.unicode().ok()?, View::of(value)?)))
        .collect();
    let reals: HashSet<&str> = wanted.iter().map(|(_, view)| view.storage.as_str()).collect();
    let mut storages: HashMap<String, Vec<f32>> = HashMap::new();
    for key in keys {
        let key = key.unicode().ok()?;
        let (head, rest) = bytes.split_at_checked(8)?;
        let count = usize::try_from(u64::from_le_bytes(head.try_into().ok()?)).ok()?;
        // All that is of no use here are counts of batches.
        let width = if reals.contains(key.as_str()) { 4 } else { 8 };
        let (data, rest) = rest.split_at_checked(count.checked_mul(width)?)?;
        bytes = rest;
        if width == 4 {
            let (numbers, _) = data.as_chunks::<4>();
            storages.insert(key, numbers.iter().map(|b| f32::from_le_bytes(*b)).collect());
        }
    }
    let tensors = wanted.into_iter().map(|(name, view)| {
        let values = view.values(storages.get(&view.storage)?)?;
        Some((name, Tensor::from_vec(values, view.shape, &Device::Cpu).ok()?))
    });
    tensors.collect()
}

fn pickle(bytes: &mut &[u8]) -> Option<Object> {
    let mut stack = Stack::empty();
    stack.read_loop(bytes).ok()?;
    stack.finalize().ok()
}

/// A tensor of f32 within a storage.
struct View {
    storage: String,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    /// Of `_rebuild_tensor_v2(storage, offset, shape, strides, ..)`.
    fn of(value: Object) -> Option<Self> {
        let (function, arguments) = value.reduce().ok()?;
        let (_, function) = function.class().ok()?;
        if function != "_rebuild_tensor_v2" {
            return None;
        }
        let mut arguments = arguments.tuple().ok()?.into_iter();
        // ("storage", type, key, place, elements, ..)
        let storage = arguments.next()?.persistent_load().ok()?.tuple().ok()?;
        let mut storage = storage.into_iter().skip(1);
        let (_, kind) = storage.next()?.class().ok()?;
        if kind != "FloatStorage" {
            return None;
        }
        let storage = storage.next()?.unicode().ok()?;
        let offset = usize::try_from(arguments.next()?).ok()?;
        let shape = Vec::try_from(arguments.next()?).ok()?;
        let strides: Vec<usize> = Vec::try_from(arguments.next()?).ok()?;
        (strides.len() == shape.len()).then_some(Self { storage, offset, shape, strides })
    }

    /// Row-major.
    fn values(&self, storage: &[f32]) -> Option<Vec<f32>> {
        let mut at = vec![self.offset];
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            let steps = |start: &usize| {
                let start = *start;
                (0..*size).map(move |i| start.checked_add(i.checked_mul(*stride)?))
            };
            // More elements than the storage has are none of a tensor that was saved.
            if at.len().checked_mul(*size)? > storage.len() {
                return None;
            }
            at = at.iter().flat_map(steps).collect::<Option<_>>()?;
        }
        at.iter().map(|i| storage.get(*i).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: what torch saved, `xtask/fixtures/images.py`.
    use super::*;

    const SAVED: &[u8] = include_bytes!("../../tests/image_fixtures/before_1.6.pth");

    fn read(bytes: &[u8]) -> Result<Weights> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.pth");
        fs::write(&path, bytes).unwrap();
        Weights::read(&path)
    }

    #[test]
    fn what_torch_saved_is_read_with_views_and_strides() {
        let weights = read(SAVED).unwrap();
        let range: Vec<f32> = (0_u8..12).map(f32::from).collect();
        assert_eq!(weights.get("table", &[3, 4]).unwrap(), range);
        assert_eq!(weights.get("row", &[4]).unwrap(), range[4..8]);
        let turned: Vec<f32> = (0..12).map(|i| range[i % 3 * 4 + i / 3]).collect();
        assert_eq!(weights.get("turned", &[4, 3]).unwrap(), turned);
        for (name, shape) in [("count", vec![]), ("row", vec![5]), ("other", vec![1])] {
            let error = weights.get(name, &shape).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("saved.pth"), "{error}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..SAVED.len() {
            assert!(read(&SAVED[..length]).is_err(), "{length} of {} bytes", SAVED.len());
        }
    }
}
