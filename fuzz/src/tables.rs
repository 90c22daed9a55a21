//! Readers of tables: NumPy's formats, text, Parquet, idx files and images.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use mflow::data::io::{
    Array, BadImages, Choice, Colours, Columns, Delimiter, Dtype, ImageOptions, Images, LheReader,
    Missing, NpyFile, ParquetFile, ReadOptions, Table, npy_bytes, npz_names, read, read_npy_bytes,
};

use crate::{check, scratch};

/// `.npy` in memory, and the same as a file of which rows are read.
pub fn npy(bytes: &[u8]) {
    let name = "body.npy";
    let read = read_npy_bytes(bytes, name);
    match &read {
        Ok(table) => {
            check::table(table);
            assert_eq!(
                read_npy_bytes(&written(table), name).ok().as_ref(),
                Some(table),
                "written and read again"
            );
        }
        Err(error) => check::error(error, name),
    }
    let path = scratch::file("x.npy", bytes);
    match NpyFile::open(&path) {
        Ok(file) => {
            let table = read.expect("what can be read row by row can be read whole");
            let rows = file
                .read_rows(0, usize::MAX)
                .expect("rows that were looked at when the file was opened");
            check::same(&rows, table.values());
            assert_eq!((file.rows(), file.cols()), (table.rows(), table.cols()), "the same shape");
        }
        Err(error) => check::error(&error, "x.npy"),
    }
}

/// The table in NumPy's format.
fn written(table: &Table) -> Vec<u8> {
    let array = Array::table(table, Dtype::F64);
    let array = match table.row_shape() {
        Some(shape) => array.with_row_shape(shape).expect("the shape of a row"),
        None => array,
    };
    npy_bytes(&array).expect("numbers in double precision")
}

/// `.npz`: the array `x` or the only one, and the list of all.
pub fn npz(bytes: &[u8]) {
    let path = scratch::file("x.npz", bytes);
    match npz_names(&path) {
        Ok(names) => assert!(names.is_sorted(), "names in order"),
        Err(error) => check::error(&error, "x.npz"),
    }
    whole(&path, &ReadOptions::default());
}

/// Text. The first byte says how it is read.
pub fn csv(bytes: &[u8]) {
    let Some((how, text)) = bytes.split_first() else { return };
    let bit = |n: u8| how >> n & 1 == 1;
    let options = ReadOptions {
        delimiter: [None, Some(Delimiter::Char(b',')), Some(Delimiter::Blanks), None]
            [usize::from(how & 3)],
        header: [None, Some(true), Some(false), None][usize::from(how >> 2 & 3)],
        missing: if bit(4) { Missing::Drop } else { Missing::Refuse },
        comment: bit(5).then(|| "#".to_owned()),
        columns: if bit(6) {
            Columns::Only(vec!["0".parse().expect("a position")])
        } else {
            Columns::All
        },
        ..ReadOptions::default()
    };
    let table = whole(&scratch::file("x.csv", text), &options);
    // A header of nothing but empty names is none.
    let has_names = |table: &Table| {
        table.columns().is_none_or(|names| names.iter().any(|name| !name.is_empty()))
    };
    if let Some(table) = table.filter(has_names) {
        let path = scratch::folder().join("again.csv");
        let array = Array::table(&table, Dtype::F64);
        mflow::data::io::write_csv(&path, &array).expect("a table of finite numbers");
        // What is written has a header or counts nothing, so that it may be read in the one way only.
        let header = Some(table.columns().is_some());
        let options = ReadOptions {
            header,
            delimiter: Some(Delimiter::Char(b',')),
            ..ReadOptions::default()
        };
        let again = read(&path, &options).expect("a table that was written").table;
        check::same(again.values(), table.values());
    }
}

/// Parquet, whole and a row group at a time.
pub fn parquet(bytes: &[u8]) {
    check::foreign_panics_are_caught();
    let path = scratch::file("x.parquet", bytes);
    let table = whole(&path, &ReadOptions::default());
    match ParquetFile::open_columns(&path, &Columns::All) {
        Ok(file) => {
            let rows = file
                .read_rows(0, usize::MAX)
                .expect("rows that were looked at when the file was opened");
            let table = table.expect("what can be read in groups can be read whole");
            check::same(&rows, table.values());
            assert_eq!(Some(file.columns().as_slice()), table.columns(), "the same names");
        }
        Err(error) => check::error(&error, "x.parquet"),
    }
    whole(&path, &ReadOptions { missing: Missing::Drop, ..ReadOptions::default() });
}

/// idx files, plain or packed, as rows and as images.
pub fn idx(bytes: &[u8]) {
    let path = scratch::file("x.idx", bytes);
    whole(&path, &ReadOptions::default());
    images_of(&path, &ImageOptions::default());
}

/// What a gzip stream unpacks to, as `.npy` and as text: the bytes themselves, and packed.
pub fn gzip(bytes: &[u8]) {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).expect("memory");
    let packed = packer.finish().expect("memory");
    for bytes in [bytes, &packed] {
        for name in ["x.npy.gz", "x.csv.gz"] {
            whole(&scratch::file(name, bytes), &ReadOptions::default());
        }
    }
}

/// An image in a folder of its own. The first byte says how it is read.
pub fn image(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let options = ImageOptions {
        crop: [None, Some(2), Some(5), None][usize::from(how & 3)],
        size: [None, Some(3), None, Some(8)][usize::from(how >> 2 & 3)],
        colours: [Colours::Keep, Colours::Grey, Colours::Rgb, Colours::Keep]
            [usize::from(how >> 4 & 3)],
        to_8_bits: how >> 6 & 1 == 1,
        bad: if how >> 7 == 1 { BadImages::Skip } else { BadImages::Refuse },
    };
    let folder = scratch::folder().join("images");
    std::fs::create_dir_all(&folder).expect("a folder in the temporary folder");
    // The name does not say the format, the content does.
    std::fs::write(folder.join("x.png"), bytes).expect("a file in the temporary folder");
    images_of(&folder, &options);
    whole(&folder, &ReadOptions { images: options, ..ReadOptions::default() });
}

fn images_of(path: &std::path::Path, options: &ImageOptions) {
    let images = match Images::open(path, options) {
        Ok(images) => images,
        Err(error) => return check::error(&error, "x."),
    };
    let (mut found, numbers) = (0, images.shape().iter().product::<usize>());
    let read = images.for_each_block(&mut |block| {
        assert!(block.iter().all(|value| (0.0..=255.0).contains(value)), "bytes");
        found += block.len();
        Ok(())
    });
    match read {
        Ok(()) => assert_eq!(found, images.rows() * numbers, "all images"),
        Err(error) => check::error(&error, "x."),
    }
    images.warning().iter().for_each(|warning| check::printable(&warning.to_string()));
}

/// Events of generators, plain or packed.
pub fn lhe(bytes: &[u8]) {
    let path = scratch::file("x.lhe", bytes);
    let reader = match LheReader::open(&path) {
        Ok(reader) => reader,
        Err(error) => return check::error(&error, "x.lhe"),
    };
    let mut last = 0;
    for event in reader {
        match event {
            Ok(event) => {
                assert!(event.line >= last, "events in the order of the file");
                last = event.line;
                assert!(
                    event.particles.iter().all(|p| p.momentum.iter().all(|v| v.is_finite())),
                    "finite momenta"
                );
            }
            Err(error) => check::error(&error, "x.lhe"),
        }
    }
}

/// Reads a table by its name and checks what comes of it.
fn whole(path: &std::path::Path, options: &ReadOptions) -> Option<Table> {
    match read(path, options) {
        Ok(loaded) => {
            check::table(&loaded.table);
            let fits =
                |choice: &Choice| choice.positions.iter().all(|&position| position < choice.of);
            assert!(loaded.choice.as_ref().is_none_or(fits), "columns that there are");
            loaded.warnings.iter().for_each(|warning| check::printable(&warning.to_string()));
            Some(loaded.table)
        }
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            check::error(&error, &name);
            None
        }
    }
}
