//! Model files. Oracle: what was written, to the bit; and for broken ones the documented errors.
use crate::numbers::{device, numbers};
use crate::subject::{Case, Subject};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{
    Error, FORMAT_VERSION, LoadedModel, Model, ModelCard, Result, RowLayout, load_model,
    read_tensors, save_model, write_atomically, write_tensors,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn subject() -> Subject {
    Case::new(3, 2).scaled().with_context(2).build_as(DType::F32)
}

fn card(subject: &Subject) -> ModelCard {
    let provenance = [("seed", "5"), ("data", "a \"quoted\" näme\n")];
    ModelCard {
        config: subject.config.clone(),
        layout: RowLayout::default(),
        columns: Some(["x", "y", "Größe, m²"].map(str::to_owned).to_vec()),
        provenance: provenance.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    }
}

/// A folder with `model.safetensors` in it.
///
/// A loaded model is frozen, and kernels that keep nothing for a backward pass sum in another order;
/// so the subject is frozen too.
fn saved() -> (TempDir, Subject) {
    let folder = tempfile::tempdir().unwrap();
    let mut subject = subject();
    subject.model = subject.config.build(&mut subject.store, |_| false).unwrap();
    save_model(&folder.path().join("model.safetensors"), &card(&subject), &subject.store).unwrap();
    (folder, subject)
}

fn bits(t: &Tensor) -> Vec<u64> {
    numbers(t).iter().map(|v| v.to_bits()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|n| n.into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn refused(what: &str, path: &Path, result: Result<LoadedModel>, parts: &[&str]) {
    let error = result.map(|m| m.card).unwrap_err();
    assert!(matches!(error, Error::ModelFile { .. }), "{what}: {error:?}");
    let message = error.to_string();
    assert!(message.starts_with(&path.display().to_string()), "{what} names the file: {message}");
    for part in parts {
        assert!(message.contains(part), "{what} says `{part}`: {message}");
    }
}

#[test]
fn a_model_comes_back_to_the_bit() {
    let (folder, subject) = saved();
    let path = folder.path().join("model.safetensors");
    let loaded = load_model(&path, None, device()).unwrap();
    assert_eq!(loaded.card, card(&subject), "the card");
    assert_eq!(loaded.model.signature().dtype, DType::F32, "the dtype of the file");
    let (old, new) = (subject.store.to_named().unwrap(), loaded.store.to_named().unwrap());
    assert!(old.keys().eq(new.keys()), "the names of the tensors");
    for (name, tensor) in &old {
        assert_eq!(bits(tensor), bits(&new[name]), "{name}");
        assert_eq!(tensor.dtype(), new[name].dtype(), "dtype of {name}");
    }
    let (x, context) = (subject.data(20), subject.context(20));
    let of = |m: &dyn Model| bits(&m.log_prob(&x, context.as_ref()).unwrap());
    assert_eq!(of(subject.model.as_ref()), of(loaded.model.as_ref()), "densities");
    assert_eq!(names(folder.path()), ["model.safetensors"], "no other file is left");
}

#[test]
fn saving_twice_gives_the_same_bytes() {
    let (folder, subject) = saved();
    let [a, b] = ["model.safetensors", "again.safetensors"].map(|n| folder.path().join(n));
    let loaded = load_model(&a, None, device()).unwrap();
    save_model(&b, &loaded.card, &loaded.store).unwrap();
    let (a, b) = (read_tensors(&a).unwrap(), read_tensors(&b).unwrap());
    assert_eq!(a.metadata, b.metadata, "metadata");
    for (name, tensor) in &a.tensors {
        assert_eq!(bits(tensor), bits(&b.tensors[name]), "{name}");
    }
    assert_eq!(subject.store.dtype(), DType::F32, "the dtype of the test");
}

#[test]
fn a_model_loads_in_another_precision() {
    let (folder, subject) = saved();
    let path = folder.path().join("model.safetensors");
    let loaded = load_model(&path, Some(DType::F64), device()).unwrap();
    assert_eq!(loaded.model.signature().dtype, DType::F64, "the dtype asked for");
    for (name, tensor) in subject.store.to_named().unwrap() {
        let found = &loaded.store.to_named().unwrap()[&name];
        assert_eq!(bits(&tensor), bits(found), "{name} is exact in f64");
    }
    let (x, context) = (subject.data(20), subject.context(20));
    let double = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let wide = loaded.model.log_prob(&double(&x), context.as_ref().map(double).as_ref()).unwrap();
    let narrow = subject.model.log_prob(&x, context.as_ref()).unwrap();
    crate::numbers::close("densities", &numbers(&narrow), &numbers(&wide), 2e-4);
}

#[test]
fn tensors_lie_as_other_programs_expect() {
    let (folder, subject) = saved();
    let file = read_tensors(&folder.path().join("model.safetensors")).unwrap();
    let shape = |name: &str| {
        let found = file.tensors.get(name).map(|t| t.dims().to_vec());
        found.unwrap_or_else(|| panic!("{name} is one of {:?}", file.tensors.keys()))
    };
    // With LU maps outside, couplings are every third layer; 5 bins make 14 numbers per feature.
    assert_eq!(shape("outer.2.net.blocks.0.linear.0.weight"), [16, 16], "a hidden weight");
    assert_eq!(shape("inner.1.net.blocks.0.linear.1.bias"), [16], "a hidden bias");
    assert_eq!(shape("inner.1.net.initial.weight"), [16, 1 + 2], "[out, in], with the context");
    assert_eq!(shape("inner.1.net.final.weight"), [14, 16], "[out, in] of the last layer");
    // In memory the same weight lies [in, out], first in the flat vector.
    let parameter = subject.store.parameters().find(|p| p.name == "inner.1").unwrap();
    let flat = numbers(parameter.var.as_tensor());
    let stored = numbers(&file.tensors["inner.1.net.initial.weight"]);
    for (i, j) in [(0, 0), (3, 1), (15, 2)] {
        assert_eq!(stored[i * 3 + j], flat[j * 16 + i], "weight [{i}, {j}]");
    }
    assert_eq!(file.metadata["format"], "mflow-model", "the format is named");
    assert_eq!(file.metadata["format_version"], FORMAT_VERSION.to_string(), "and its version");
}

#[test]
fn published_sizes_have_published_names() {
    let mut store = mflow_bijectors::ParamStore::new(1, DType::F32, device());
    // The published flow of the polynomial surface: permutations, and couplings at odd places.
    let flow = mflow_bijectors::SplineFlowConfig::default();
    let config = mflow_core::ModelConfig::m_flow(3, 2).with_outer(flow.clone()).with_inner(flow);
    config.build(&mut store, |_| true).unwrap();
    let shape = store.to_named().unwrap()["outer.1.net.blocks.1.linear.0.weight"].dims().to_vec();
    assert_eq!(shape, [100, 100], "the second block of the first coupling");
}

#[test]
fn a_truncated_file_is_refused() {
    let (folder, _) = saved();
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let header = usize::try_from(header).unwrap() + 8;
    let lengths = [0, 1, 7, 8, 9, header / 2, header - 1, header, header + 1, bytes.len() - 1];
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        let parts = ["expected a complete safetensors file", &format!("found {length} bytes")];
        refused(&format!("{length} bytes"), &path, load_model(&path, None, device()), &parts);
    }
    let longer = [&bytes[..], &[0]].concat();
    fs::write(&path, longer).unwrap();
    refused("one byte too many", &path, load_model(&path, None, device()), &[]);
}

#[test]
fn a_flipped_byte_is_noticed_wherever_it_is() {
    let (folder, _) = saved();
    let path = folder.path().join("model.safetensors");
    assert!(load_model(&path, None, device()).unwrap().checked, "a file as it was written");
    let bytes = fs::read(&path).unwrap();
    let mut unchecked = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 1500) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x15;
        fs::write(&path, &bytes).unwrap();
        match load_model(&path, None, device()) {
            // The name of the checksum's own entry.
            Ok(loaded) => {
                assert!(!loaded.checked, "byte {at} of {}", bytes.len());
                unchecked += 1;
            }
            Err(error) => assert!(matches!(error, Error::ModelFile { .. }), "byte {at}: {error:?}"),
        }
    }
    assert!(unchecked <= "checksum".len(), "{unchecked} of 1500 load without a checksum");
}

#[test]
fn a_weight_that_is_another_number_is_refused() {
    let (folder, _) = saved();
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let expected = ["expected the checksum crc32:", "that it was written with, found crc32:"];
    refused("one bit", &path, load_model(&path, None, device()), &expected);
}

#[test]
fn a_file_from_before_checksums_is_read() {
    let (folder, subject) = saved();
    let path = folder.path().join("model.safetensors");
    let file = read_tensors(&path).unwrap();
    let mut metadata = file.metadata;
    metadata.remove("checksum").expect("a checksum");
    let bytes = safetensors::serialize(file.tensors.iter(), Some(metadata)).unwrap();
    fs::write(&path, bytes).unwrap();
    let loaded = load_model(&path, None, device()).unwrap();
    assert!(!loaded.checked, "nothing says that it is whole");
    assert_eq!(loaded.card, card(&subject), "the card");
}

#[test]
fn foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign");
    for garbage in [&b"not a model"[..], &[0xff; 100], &[0; 64], b"{\"a\": 1}\n"] {
        fs::write(&path, garbage).unwrap();
        let expected = ["expected a complete safetensors file"];
        refused("garbage", &path, load_model(&path, None, device()), &expected);
    }
    let tensors =
        BTreeMap::from([("a".to_owned(), Tensor::ones(3, DType::F32, device()).unwrap())]);
    write_tensors(&path, &tensors, BTreeMap::new()).unwrap();
    let expected = ["expected the format entry `mflow-model`, found `none`"];
    refused("another's tensors", &path, load_model(&path, None, device()), &expected);
    let metadata = [("format".to_owned(), "pt".to_owned())];
    write_tensors(&path, &tensors, metadata.into()).unwrap();
    let expected = ["expected the format entry `mflow-model`, found `pt`"];
    refused("another format", &path, load_model(&path, None, device()), &expected);
}

/// Save a model, change tensors and metadata, and load it.
fn tampered(
    change: impl FnOnce(&mut BTreeMap<String, Tensor>, &mut BTreeMap<String, String>),
) -> (TempDir, Result<LoadedModel>) {
    let (folder, _) = saved();
    let path = folder.path().join("model.safetensors");
    let file = read_tensors(&path).unwrap();
    let (mut tensors, mut metadata) = (file.tensors, file.metadata.into_iter().collect());
    change(&mut tensors, &mut metadata);
    write_tensors(&path, &tensors, metadata).unwrap();
    let loaded = load_model(&path, None, device());
    (folder, loaded)
}

#[test]
fn files_that_do_not_fit_are_refused() {
    type Change = fn(&mut BTreeMap<String, Tensor>, &mut BTreeMap<String, String>);
    const BIAS: &str = "inner.1.net.final.bias";
    fn put(metadata: &mut BTreeMap<String, String>, key: &str, value: &str) {
        metadata.insert(key.to_owned(), value.to_owned());
    }
    let cases: [(&str, Change, &[&str]); 13] = [
        (
            "a newer version",
            |_, m| put(m, "format_version", "2"),
            &["format version 2 is newer than 1", "update mflow"],
        ),
        (
            "no version",
            |_, m| drop(m.remove("format_version")),
            &["expected a format version, found none"],
        ),
        (
            "a strange version",
            |_, m| put(m, "format_version", "one"),
            &["expected a format version, found `one`"],
        ),
        ("no config", |_, m| drop(m.remove("config")), &["the metadata has no entry `config`"]),
        ("no columns", |_, m| drop(m.remove("columns")), &["has no entry `columns`"]),
        (
            "a config that is no JSON",
            |_, m| put(m, "config", "{"),
            &["metadata entry `config`", "EOF"],
        ),
        (
            "an unknown key",
            |_, m| {
                let config = m["config"].replacen("data_dim", "depth\":1,\"data_dim", 1);
                put(m, "config", &config);
            },
            &["metadata entry `config`", "unknown field `depth`"],
        ),
        (
            "an unknown model",
            |_, m| put(m, "config", r#"{"kind": "gan"}"#),
            &["metadata entry `config`", "unknown variant `gan`"],
        ),
        (
            "a config out of range",
            |_, m| {
                let config = m["config"].replacen("\"manifold_dim\":2", "\"manifold_dim\":3", 1);
                put(m, "config", &config);
            },
            &["its weights do not fit its config", "`manifold_dim`", "found 3"],
        ),
        ("a missing tensor", |t, _| drop(t.remove(BIAS)), &["missing", BIAS]),
        (
            "a tensor too many",
            |t, _| {
                let extra = t[BIAS].clone();
                t.insert("inner.9.bias".to_owned(), extra);
            },
            &["unexpected", "inner.9.bias"],
        ),
        (
            "a tensor of another shape",
            |t, _| {
                let reshaped = t[BIAS].reshape((2, 7)).unwrap();
                t.insert(BIAS.to_owned(), reshaped);
            },
            &[BIAS, "expected shape [14], found [2, 7]"],
        ),
        (
            "a broken permutation",
            |t, _| {
                let name = t.keys().find(|n| n.starts_with("outer.0.")).unwrap().clone();
                let zeros = t[&name].zeros_like().unwrap();
                t.insert(name, zeros);
            },
            &["outer.0."],
        ),
    ];
    for (what, change, parts) in cases {
        let (folder, result) = tampered(change);
        refused(what, &folder.path().join("model.safetensors"), result, parts);
    }
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let subject = subject();
    fs::write(folder.path().join("file"), "").unwrap();
    let missing = [folder.path().join("none"), folder.path().join("no/folder/none")];
    let below_a_file = folder.path().join("file/model");
    for path in missing.iter().chain([&below_a_file, &folder.path().to_owned()]) {
        let error = load_model(path, None, device()).map(|m| m.card).unwrap_err();
        let is_named = match path.is_dir() {
            true => error.to_string().contains("expected a file, found a folder"),
            false => matches!(error, Error::Io { .. }),
        };
        assert!(is_named, "reading {}: {error:?}", path.display());
        assert!(error.to_string().starts_with(&path.display().to_string()), "named: {error}");
    }
    for path in [&missing[1], &below_a_file, &folder.path().to_owned()] {
        let error = save_model(path, &card(&subject), &subject.store).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "writing {}: {error:?}", path.display());
        assert!(error.to_string().starts_with(&path.display().to_string()), "named: {error}");
    }
    assert_eq!(names(folder.path()), ["file"], "nothing is left behind");
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    write_atomically(&path, |f| f.write_all(b"old")).unwrap();
    let full = || std::io::Error::new(std::io::ErrorKind::StorageFull, "no space left");
    let result = write_atomically(&path, |f| {
        f.write_all(&[0; 100_000])?;
        Err(full())
    });
    let error = result.unwrap_err();
    let expected = format!("{}: no space left", path.display());
    assert_eq!(error.to_string(), expected, "the file and the reason");
    assert_eq!(fs::read(&path).unwrap(), b"old", "the old file");
    assert_eq!(names(folder.path()), ["a.txt"], "no part of the new one");
    write_atomically(&path, |f| f.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new", "a later write");
    assert_eq!(names(folder.path()), ["a.txt"], "no other file");
    // A folder in the way cannot be replaced by a file.
    let folder_in_the_way = folder.path().join("folder");
    fs::create_dir(&folder_in_the_way).unwrap();
    let result = write_atomically(&folder_in_the_way, |f| f.write_all(b"new"));
    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    assert_eq!(names(folder.path()), ["a.txt", "folder"], "no other file after a failed rename");
}
