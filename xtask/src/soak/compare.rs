//! What a run left, beside what an undisturbed one leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The files of a folder and of those in it, by their names.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// All files below a folder; none if there is no folder.
pub(super) fn tree(folder: &Path) -> Result<Tree> {
    let mut files = Tree::new();
    if folder.exists() {
        collect(folder, "", &mut files)?;
    }
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Tree) -> Result<()> {
    let reading = || format!("reading {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path()).with_context(reading)?);
        }
    }
    Ok(())
}

/// Refuses other files than those that are expected, and files with other contents.
pub(super) fn same(expected: &Tree, found: &Tree) -> Result<()> {
    if let Some(name) = expected.keys().find(|name| !found.contains_key(*name)) {
        bail!("{name} is missing");
    }
    if let Some(name) = found.keys().find(|name| !expected.contains_key(*name)) {
        bail!("{name} is left, which an undisturbed run does not have");
    }
    expected.iter().try_for_each(|(name, bytes)| is_same(name, bytes, &found[name]))
}

/// Refuses a file with other bytes, but for what depends on time.
pub(super) fn is_same(name: &str, expected: &[u8], found: &[u8]) -> Result<()> {
    let is_equal = match name.rsplit_once('.') {
        // Seconds are in them, and when it was last written.
        Some((_, "html")) => is_whole(name, found),
        _ if name.ends_with("checkpoint.safetensors") => is_whole(name, found),
        Some((_, "json")) => {
            let parse = |bytes| serde_json::from_slice(bytes).map(timeless);
            match (parse(expected), parse(found)) {
                (Ok(expected), Ok(found)) => expected == found,
                _ => false,
            }
        }
        _ => expected == found,
    };
    ensure!(is_equal, "{name} has other contents ({} bytes, {})", found.len(), expected.len());
    Ok(())
}

/// The value without what another run of the same command has otherwise.
fn timeless(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_kept = |name: &str| !matches!(name, "seconds" | "peak_memory_mib");
            let kept = fields.into_iter().filter(|(name, _)| is_kept(name));
            Value::Object(kept.map(|(name, value)| (name, timeless(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(timeless).collect()),
        value => value,
    }
}

/// Whether a file has its end, as far as its format tells.
pub(super) fn is_whole(name: &str, bytes: &[u8]) -> bool {
    match name.rsplit_once('.') {
        Some((_, "html")) => bytes.trim_ascii_end().ends_with(b"</html>"),
        Some((_, "json")) => serde_json::from_slice::<Value>(bytes).is_ok(),
        Some((_, "safetensors")) => tensors_end(bytes) == Some(bytes.len()),
        _ => false,
    }
}

/// Where the last tensor of a safetensors file ends: behind the length of the header, the header, and its offset.
fn tensors_end(bytes: &[u8]) -> Option<usize> {
    let header = usize::try_from(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?)).ok()?;
    let start = header.checked_add(8)?;
    let tensors: BTreeMap<String, Value> = serde_json::from_slice(bytes.get(8..start)?).ok()?;
    let ends = tensors.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    Some(start + usize::try_from(ends.max()?).ok()?)
}

/// Whether a file of this name is a part of one that was being written.
pub(super) fn is_part(name: &str) -> bool {
    name.ends_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trees(files: [(&str, &str); 2]) -> Tree {
        files.into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn other_bytes_missing_and_left_files_are_noticed() {
        let expected = trees([("a.npy", "1"), ("b/c.json", r#"{"a": 1, "seconds": 2}"#)]);
        let is_same = |found: [(&str, &str); 2]| same(&expected, &trees(found)).is_ok();
        let json = r#"{"a": 1, "seconds": 3}"#;
        assert!(is_same([("a.npy", "1"), ("b/c.json", json)]), "but for seconds");
        assert!(!is_same([("a.npy", "2"), ("b/c.json", json)]), "other bytes");
        assert!(!is_same([("a.npy", "1"), ("b/c.json", "{}")]), "other values");
        assert!(!is_same([("a.npy", "1"), ("c.json", json)]), "another name");
        let mut more = expected.clone();
        more.insert("a.npy.1.tmp".to_owned(), vec![]);
        assert!(same(&expected, &more).is_err(), "a part is left");
    }

    #[test]
    fn ends_are_missed() {
        let header = br#"{"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
        let length = u64::try_from(header.len()).unwrap().to_le_bytes();
        let tensors = [&length[..], header, &[1, 2, 3]].concat();
        for (name, whole) in [
            ("a.safetensors", &tensors[..]),
            ("a.json", b"{\"a\": 1}"),
            ("a.html", b"<html></html>\n"),
        ] {
            assert!(is_whole(name, whole), "{name}");
            assert!(!is_whole(name, &whole[..whole.len() - 2]), "{name}, cut");
            assert!(!is_whole(name, b""), "{name}, empty");
        }
    }
}
