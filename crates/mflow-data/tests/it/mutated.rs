//! Damaged files of all kinds: whatever reading returns, it does return, and what it says names the file.

use std::fs;
use std::sync::OnceLock;

use mflow_data::io::{Columns, Missing, ReadOptions, read};
use proptest::prelude::*;

use crate::files::{directory, file, fixture};

/// Files of each kind.
const KINDS: [&str; 10] = [
    "index.csv",
    "blanks.csv",
    "counted.csv",
    "semicolons.csv.gz",
    "tabs.tsv.gz",
    "f8_little.npy",
    "images.npy",
    "images_fortran.npy",
    "several.npz",
    "only.npz",
];

/// Parquet files.
const PARQUET: [&str; 7] = ["none", "snappy", "gzip", "lz4", "zstd", "missing", "types"];

/// The files with their names.
fn originals() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let parquet = PARQUET.map(|name| format!("{name}.parquet"));
        let parquet = parquet.into_iter().filter(|_| cfg!(feature = "parquet"));
        let names = KINDS.map(str::to_owned).into_iter().chain(parquet);
        names.map(|name| (name.clone(), fs::read(fixture(&name)).expect("a fixture"))).collect()
    })
}

/// A change of a file at a place, both as parts of 1.
#[derive(Clone, Debug)]
enum Change {
    Set(f64, u8),
    Flip(f64, u8),
    Cut(f64),
    Remove(f64, usize),
    Repeat(f64, usize),
    Insert(f64, Vec<u8>),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let at = || 0.0..1.0_f64;
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (at(), 0..8_u8).prop_map(|(at, bit)| Self::Flip(at, 1 << bit)),
            at().prop_map(Self::Cut),
            (at(), 1..40_usize).prop_map(|(at, len)| Self::Remove(at, len)),
            (at(), 1..40_usize).prop_map(|(at, len)| Self::Repeat(at, len)),
            (at(), prop::collection::vec(any::<u8>(), 1..20))
                .prop_map(|(at, bytes)| Self::Insert(at, bytes)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of 1")]
        let place = |at: f64| (at * bytes.len() as f64) as usize;
        match *self {
            Self::Set(at, byte) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|b| *b = byte);
            }
            Self::Flip(at, mask) => {
                let at = place(at);
                bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= mask);
            }
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Remove(at, len) => {
                let at = place(at);
                bytes.drain(at..(at + len).min(bytes.len()));
            }
            Self::Repeat(at, len) => {
                let at = place(at);
                let part = bytes[at..(at + len).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Insert(at, ref new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

/// Damaged files: as many as proptest is asked for, else 1500.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1500)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_damage_makes_it_panic(
        kind in 0..originals().len(),
        changes in prop::collection::vec(Change::any(), 1..4),
        drops in any::<bool>(),
        picks in prop_oneof![Just(None), "[a-z0-9.,]{0,6}".prop_map(Some)],
    ) {
        let (name, bytes) = &originals()[kind];
        let mut bytes = bytes.clone();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let directory = directory();
        let path = file(&directory, name, &bytes);
        let missing = if drops { Missing::Drop } else { Missing::Refuse };
        let columns = picks.map_or(Columns::All, |text| {
            Columns::Except(text.split(',').map(|pick| pick.parse().unwrap()).collect())
        });
        let options = ReadOptions { columns, missing, ..ReadOptions::default() };
        #[cfg(feature = "parquet")]
        if name.ends_with(".parquet") {
            // The same, a row group at a time.
            match mflow_data::io::ParquetFile::open_columns(&path, &options.columns) {
                Ok(table) => {
                    let values = table.read_rows(0, usize::MAX).unwrap();
                    prop_assert_eq!(values.len(), table.rows() * table.cols());
                }
                Err(error) => prop_assert!(error.to_string().contains(name.as_str())),
            }
        }
        match read(&path, &options) {
            Ok(loaded) => {
                let table = loaded.table;
                prop_assert_eq!(table.values().len(), table.rows() * table.cols());
                prop_assert!(table.values().iter().all(|value| value.is_finite()));
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(name.as_str()), "{:?} does not name {}", text, name);
            }
        }
    }
}
