//! Model files: one safetensors file holds a whole model.
use crate::atomic::write_atomically;
use crate::models::ModelConfig;
use crate::{DeviceName, Error, Model, Result};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::ParamStore;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Version of the file format that this crate writes; it reads this one and older ones.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT: &str = "mflow-model";

/// The metadata entry of the [`RowLayout`].
const LAYOUT: &str = "layout";

/// How a row of data is taken from a file, and what it looks like there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowLayout {
    /// The columns that were chosen of the data, if not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<ChosenColumns>,
    /// The shape of a row that has several dimensions: `[4, 4, 3]` of images `[n, 4, 4, 3]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
}

/// Columns chosen of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenColumns {
    /// Their positions, in the order of the features.
    pub positions: Vec<usize>,
    /// How many columns the table had.
    pub of: usize,
}

/// What a model file says besides its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// The model, normalisation included.
    pub config: ModelConfig,
    /// Names of the data columns, if they have names.
    pub columns: Option<Vec<String>>,
    /// How a row is taken from a file.
    pub layout: RowLayout,
    /// Where the model comes from: versions, seed, data, date; free-form.
    pub provenance: BTreeMap<String, String>,
}

/// A model with its parameters and its card.
#[derive(Debug)]
pub struct LoadedModel {
    /// The model.
    pub model: Box<dyn Model>,
    /// Its parameters.
    pub store: ParamStore,
    /// What the file says of it.
    pub card: ModelCard,
    /// Whether a checksum says that the file is as it was written; older files have none.
    pub checked: bool,
}

/// Named tensors with string metadata, as one safetensors file, written atomically.
///
/// # Errors
/// If the file cannot be written.
pub fn write_tensors(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
) -> Result<()> {
    let bytes = tensor_bytes(path, tensors, metadata)?;
    write_atomically(path, |file| file.write_all(&bytes))
}

/// What [`write_tensors`] writes. Errors name `path`.
fn tensor_bytes(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    mut metadata: BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let bytes = safetensors::serialize(tensors.iter(), None).map_err(candle_core::Error::from)?;
    let checksum = checksum(&bytes, &metadata).map_err(candle_core::Error::from)?;
    metadata.insert(CHECKSUM.to_owned(), checksum);
    Ok(with_metadata(&bytes, &json(path, &metadata)?))
}

/// The metadata entry of the [`checksum`].
const CHECKSUM: &str = "checksum";

/// The CRC-32 of all other metadata and all tensors, by name, of a safetensors file: a damaged file, whose weights are numbers
/// still, would else be used.
fn checksum(
    bytes: &[u8],
    metadata: &BTreeMap<String, String>,
) -> Result<String, safetensors::SafeTensorError> {
    let mut hasher = crc32fast::Hasher::new();
    // Lengths are hashed too, so that nothing can move from one piece to the next.
    let mut update = |piece: &[u8]| {
        hasher.update(&(piece.len() as u64).to_le_bytes());
        hasher.update(piece);
    };
    for (key, value) in metadata.iter().filter(|(key, _)| *key != CHECKSUM) {
        update(key.as_bytes());
        update(value.as_bytes());
    }
    let file = safetensors::SafeTensors::deserialize(bytes)?;
    for (name, tensor) in BTreeMap::from_iter(file.iter()) {
        update(name.as_bytes());
        update(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        update(tensor.data());
    }
    Ok(format!("crc32:{:08x}", hasher.finalize()))
}

/// The safetensors file `bytes`, which has no metadata, with the JSON object `metadata`.
///
/// The library writes metadata in hash order: the same model would give other bytes each time.
fn with_metadata(bytes: &[u8], metadata: &str) -> Vec<u8> {
    /// Bytes of the header's length, to a multiple of which the header is padded.
    const WORD: usize = 8;
    let (length, rest) = bytes.split_at(WORD);
    let length = length.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte));
    let (header, data) = rest.split_at(length);
    let header = String::from_utf8_lossy(header);
    let entries = header.trim_end().strip_prefix('{').unwrap_or_default();
    let comma = if entries == "}" { "" } else { "," };
    let header = format!("{{\"__metadata__\":{metadata}{comma}{entries}");
    let length = header.len().next_multiple_of(WORD);
    let mut file = (length as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(WORD + length, b' ');
    file.extend(data);
    file
}

/// Tensors and metadata of a safetensors file.
#[derive(Debug)]
pub struct TensorFile {
    /// The tensors, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata.
    pub metadata: HashMap<String, String>,
}

/// Read what [`write_tensors`] wrote. Nothing is mapped into memory and nothing executed. Files of mflow before checksums have
/// none, and are read without.
///
/// # Errors
/// If the file is missing, truncated, no safetensors file, or not as it was written.
pub fn read_tensors(path: &Path) -> Result<TensorFile> {
    // A config may name any path, and a device may never end.
    let is_file = std::fs::metadata(path).map_err(Error::io(path))?.is_file();
    if !is_file {
        let reason = "expected a file, found a folder or a device".to_owned();
        return Err(Error::ModelFile { path: path.to_owned(), reason });
    }
    tensors_of(&std::fs::read(path).map_err(Error::io(path))?, path)
}

/// The tensors of the bytes of a file, which errors call `path`.
fn tensors_of(bytes: &[u8], path: &Path) -> Result<TensorFile> {
    let foreign = |e: &dyn std::fmt::Display| Error::ModelFile {
        path: path.to_owned(),
        reason: format!("expected a complete safetensors file, found {} bytes: {e}", bytes.len()),
    };
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).map_err(|e| foreign(&e))?;
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|e| foreign(&e))?
        .into_iter()
        .collect();
    let metadata = header.metadata().clone().unwrap_or_default();
    if let Some(expected) = metadata.get(CHECKSUM) {
        let sorted = metadata.clone().into_iter().collect();
        let found = checksum(bytes, &sorted).map_err(|e| foreign(&e))?;
        if found != *expected {
            let reason = format!(
                "expected the checksum {expected} that it was written with, found {found}: the file was damaged or changed; \
                 copy it again, or make it again"
            );
            return Err(Error::ModelFile { path: path.to_owned(), reason });
        }
    }
    Ok(TensorFile { tensors, metadata })
}

impl TensorFile {
    /// Whether the file has a checksum, which was then found to be right.
    pub fn is_checked(&self) -> bool {
        self.metadata.contains_key(CHECKSUM)
    }

    /// Check the format name and version, and parse the metadata entry `key` as JSON.
    ///
    /// # Errors
    /// If the file is of another format or a newer version, or the entry is missing or malformed.
    pub fn parse<T: DeserializeOwned>(
        &self,
        path: &Path,
        format: &str,
        newest: u32,
        key: &str,
    ) -> Result<T> {
        let reject = |reason: String| Err(Error::ModelFile { path: path.to_owned(), reason });
        let entry = |key: &str| self.metadata.get(key).map(String::as_str);
        if entry("format") != Some(format) {
            let found = entry("format").unwrap_or("none");
            return reject(format!("expected the format entry `{format}`, found `{found}`"));
        }
        let Some(version) = entry("format_version") else {
            return reject("expected a format version, found none".to_owned());
        };
        let Ok(version) = version.parse::<u32>() else {
            return reject(format!("expected a format version, found `{version}`"));
        };
        if version > newest {
            return reject(format!(
                "format version {version} is newer than {newest}, the newest this program reads: \
                 update mflow"
            ));
        }
        let Some(text) = entry(key) else {
            return reject(format!("the metadata has no entry `{key}`"));
        };
        serde_json::from_str(text).or_else(|e| reject(format!("metadata entry `{key}`: {e}")))
    }
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::ModelFile { path: path.to_owned(), reason: e.to_string() })
}

/// Write a model: its tensors by name, weights `[out, in]`, and its card as metadata.
///
/// # Errors
/// If the file cannot be written.
pub fn save_model(path: &Path, card: &ModelCard, store: &ParamStore) -> Result<()> {
    let bytes = bytes_of(path, card, store)?;
    write_atomically(path, |file| file.write_all(&bytes))
}

/// The bytes of the file that [`save_model`] writes, for those who keep models elsewhere.
///
/// # Errors
/// If a tensor cannot be read.
pub fn model_bytes(card: &ModelCard, store: &ParamStore) -> Result<Vec<u8>> {
    bytes_of(Path::new("the bytes of a model"), card, store)
}

fn bytes_of(path: &Path, card: &ModelCard, store: &ParamStore) -> Result<Vec<u8>> {
    let mut metadata = BTreeMap::from([
        ("format".to_owned(), FORMAT.to_owned()),
        ("format_version".to_owned(), FORMAT_VERSION.to_string()),
        ("config".to_owned(), json(path, &card.config)?),
        ("columns".to_owned(), json(path, &card.columns)?),
        ("provenance".to_owned(), json(path, &card.provenance)?),
    ]);
    // Most models have none: their files stay as they were.
    if card.layout != RowLayout::default() {
        metadata.insert(LAYOUT.to_owned(), json(path, &card.layout)?);
    }
    tensor_bytes(path, &store.to_named()?, metadata)
}

/// Rebuild a model from its file, strict on names both ways. `dtype` converts the weights once; by
/// default they keep their own.
///
/// # Errors
/// If the file is missing, truncated, foreign, of a newer version, or does not fit its own config; or the device cannot
/// hold `dtype`.
pub fn load_model(path: &Path, dtype: Option<DType>, device: &Device) -> Result<LoadedModel> {
    rebuild(read_tensors(path)?, path, dtype, device)
}

/// [`load_model`] of the bytes of a model file, which errors call `name`.
///
/// # Errors
/// As [`load_model`].
pub fn load_model_bytes(
    bytes: &[u8],
    name: &str,
    dtype: Option<DType>,
    device: &Device,
) -> Result<LoadedModel> {
    let path = Path::new(name);
    rebuild(tensors_of(bytes, path)?, path, dtype, device)
}

fn rebuild(
    file: TensorFile,
    path: &Path,
    dtype: Option<DType>,
    device: &Device,
) -> Result<LoadedModel> {
    let card = ModelCard {
        config: file.parse(path, FORMAT, FORMAT_VERSION, "config")?,
        columns: file.parse(path, FORMAT, FORMAT_VERSION, "columns")?,
        layout: match file.metadata.contains_key(LAYOUT) {
            true => file.parse(path, FORMAT, FORMAT_VERSION, LAYOUT)?,
            false => RowLayout::default(),
        },
        provenance: file.parse(path, FORMAT, FORMAT_VERSION, "provenance")?,
    };
    let checked = file.is_checked();
    let stored = file.tensors.values().map(Tensor::dtype).find(DType::is_float);
    let dtype = dtype.or(stored).unwrap_or(DType::F32);
    DeviceName::of(device).check(dtype)?;
    let mut store = ParamStore::from_named(file.tensors, dtype, device);
    let model = card.config.build(&mut store, |_| false).map_err(|e| Error::ModelFile {
        path: path.to_owned(),
        reason: format!("its weights do not fit its config: {e}"),
    })?;
    Ok(LoadedModel { model, store, card, checked })
}
