//! Folders of images. Oracles: what Pillow and NumPy wrote and read (`fixtures/images/make.py`); pixels by hand.
#![cfg(feature = "images")]

use std::fs;
use std::path::{Path, PathBuf};

use mflow_data::Error;
use mflow_data::io::{
    BadImages, Colours, ImageOptions, Images, ReadOptions, align_rows, read, read_npy, read_table,
};

use crate::files::{assert_error, directory, fixture};

fn picture(name: &str) -> PathBuf {
    fixture("images").join(name)
}

/// A folder with these pictures under these names.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = directory();
    for (name, of) in files {
        fs::copy(picture(of), folder.path().join(name)).unwrap();
    }
    folder
}

fn pixels(of: &Images) -> Vec<f64> {
    let mut all = Vec::new();
    of.for_each_block(&mut |block| {
        all.extend_from_slice(block);
        Ok(())
    })
    .unwrap();
    all
}

/// The one picture as it is read.
fn one(name: &str, options: &ImageOptions) -> mflow_data::Result<([usize; 3], Vec<f64>)> {
    let folder = folder(&[(name, name)]);
    let images = Images::open(folder.path(), options)?;
    Ok((images.shape(), pixels(&images)))
}

fn array(name: &str) -> Vec<f64> {
    read_npy(&picture(name)).unwrap().into_values()
}

#[test]
fn a_folder_is_a_table_in_the_order_of_names() {
    let folder = folder(&[("b.png", "rgb.png"), ("c.PNG", "opaque.png"), ("a.jpg", "rgb.jpg")]);
    fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    fs::write(folder.path().join("._b.png"), "notes of another program").unwrap();
    fs::create_dir(folder.path().join("more.png")).unwrap();
    let table = read_table(folder.path()).unwrap();
    assert_eq!((table.rows(), table.row_shape().unwrap()), (3, [12, 17, 3].as_slice()));
    let close =
        table.row(0).unwrap().iter().zip(array("jpeg.npy")).all(|(a, b)| (a - b).abs() <= 3.);
    assert!(close, "decoders of JPEG differ in rounding only");
    assert_eq!(table.row(1).unwrap(), array("rgb.npy"), "to the byte");
    assert_eq!(table.row(2).unwrap(), array("rgb.npy"), "an opaque alpha channel is dropped");
}

#[test]
fn kinds_of_pixels_are_read_exactly_or_refused() {
    let keep = ImageOptions::default();
    for name in ["grey.png", "bits.png"] {
        let (shape, found) = one(name, &keep).unwrap();
        assert_eq!(shape, [12, 17, 1], "{name}");
        let grey = array("grey.npy");
        let expected = grey.into_iter().map(|v| match name {
            "bits.png" if v > 90. => 255.,
            "bits.png" => 0.,
            _ => v,
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "{name}");
    }
    let (shape, found) = one("palette.png", &keep).unwrap();
    assert_eq!((shape, found), ([12, 17, 3], tripled(&array("grey.npy"))), "a palette has colours");
    assert_error(one("transparent.png", &keep), &["transparent.png", "opaque", "line 4, column 6"]);
    assert_error(one("transparent_grey.png", &keep), &["opaque", "line 4, column 6"]);
    assert_error(one("deep.png", &keep), &["deep.png", "expected 8 bits", "found 16 bits"]);
    let to_8_bits = ImageOptions { to_8_bits: true, ..keep };
    assert_eq!(one("deep.png", &to_8_bits).unwrap().1, array("grey.npy"), "exact");
}

fn tripled(grey: &[f64]) -> Vec<f64> {
    grey.iter().flat_map(|&v| [v; 3]).collect()
}

#[test]
fn a_photograph_is_turned_as_its_camera_says() {
    let (shape, found) = one("turned.jpg", &ImageOptions::default()).unwrap();
    assert_eq!(shape, [17, 12, 3]);
    let (lying, _) = (one("rgb.jpg", &ImageOptions::default()).unwrap().1, ());
    for (y, x) in [(0, 0), (3, 10), (16, 11)] {
        // Clockwise: the first column of the file, from below, is the first line.
        let from = ((11 - x) * 17 + y) * 3;
        let to = (y * 12 + x) * 3;
        assert_eq!(found[to..to + 3], lying[from..from + 3], "{y}, {x}");
    }
}

#[test]
fn colours_become_grey_as_pillow_has_it_and_grey_becomes_colours() {
    let grey = ImageOptions { colours: Colours::Grey, ..ImageOptions::default() };
    let (shape, found) = one("rgb.png", &grey).unwrap();
    assert_eq!(shape, [12, 17, 1]);
    // Pillow's weights have 16 bits.
    assert!(found.iter().zip(array("luma.npy")).all(|(a, b)| (a - b).abs() <= 1.), "{found:?}");
    assert_eq!(one("grey.png", &grey).unwrap().1, array("grey.npy"), "to the byte");
    let rgb = ImageOptions { colours: Colours::Rgb, ..ImageOptions::default() };
    assert_eq!(one("grey.png", &rgb).unwrap(), ([12, 17, 3], tripled(&array("grey.npy"))));
}

#[test]
fn the_centre_is_cut_out_and_resampled_as_pillow_does() {
    let rgb = array("rgb.npy");
    let by_hand = |side: usize, top: usize, left: usize| -> Vec<f64> {
        let line = |y: usize| rgb[(y * 17 + left) * 3..(y * 17 + left + side) * 3].to_vec();
        (top..top + side).flat_map(line).collect()
    };
    for (crop, top, left) in [(12, 0, 2), (7, 2, 5), (1, 5, 8)] {
        let options = ImageOptions { crop: Some(crop), ..ImageOptions::default() };
        assert_eq!(one("rgb.png", &options).unwrap(), ([crop, crop, 3], by_hand(crop, top, left)));
    }
    let sized = |size| ImageOptions { size: Some(size), ..ImageOptions::default() };
    let (shape, found) = one("rgb.png", &sized(12)).unwrap();
    assert_eq!((shape, found), ([12, 12, 3], by_hand(12, 0, 2)), "nothing to resample");
    for side in [5, 20] {
        let (shape, found) = one("rgb.png", &sized(side)).unwrap();
        assert_eq!(shape, [side, side, 3]);
        let expected = array(&format!("lanczos_{side}.npy"));
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0., f64::max);
        assert!(worst <= 2., "{side}: {worst}");
    }
    let larger = ImageOptions { crop: Some(13), ..ImageOptions::default() };
    assert_error(one("rgb.png", &larger), &["rgb.png", "13 x 13 pixels or more", "found 12 x 17"]);
    assert_error(one("rgb.png", &sized(0)), &["the side of images", "1 pixel", "found 0"]);
}

#[test]
fn the_first_that_does_not_fit_is_named_with_expected_and_found() {
    let fails = |files: &[(&str, &str)], parts: &[&str]| {
        assert_error(read_table(folder(files).path()), parts);
    };
    let good = ("a.png", "rgb.png");
    fails(
        &[good, ("b.png", "grey.png"), ("c.png", "deep.png")],
        &[
            "b.png",
            "expected 12 x 17 pixels in colour (height x width) as `a.png` has",
            "found 12 x 17 pixels in grey",
        ],
    );
    fails(
        &[good, ("b.jpg", "turned.jpg")],
        &["b.jpg", "12 x 17", "found 17 x 12 pixels in colour"],
    );
    fails(&[good, ("b.png", "make.py")], &["b.png", "a PNG or JPEG image", "other bytes"]);
    let empty = directory();
    fs::write(empty.path().join("a.txt"), "").unwrap();
    assert_error(read_table(empty.path()), &["PNG or JPEG files", "none among 1 entries"]);
}

/// Damage in a folder: a file that ends early, one that is text, one of another size.
fn damaged() -> tempfile::TempDir {
    let folder = folder(&[
        ("0.jpg", "turned.jpg"),
        ("1.png", "rgb.png"),
        ("3.png", "make.py"),
        ("4.png", "opaque.png"),
    ]);
    let whole = fs::read(picture("rgb.png")).unwrap();
    fs::write(folder.path().join("2.png"), &whole[..whole.len() / 2]).unwrap();
    folder
}

#[test]
fn bad_images_are_left_out_on_request_only_and_named() {
    let folder = damaged();
    let error = read_table(folder.path()).unwrap_err().to_string();
    assert!(error.contains("1.png") && error.contains("as `0.jpg` has"), "{error}");
    let bad = BadImages::Skip;
    let images = ImageOptions { bad, ..ImageOptions::default() };
    let loaded = read(folder.path(), &ReadOptions { images, ..ReadOptions::default() }).unwrap();
    // What most of them have, not what the first has.
    assert_eq!(loaded.table.row_shape().unwrap(), [12, 17, 3]);
    assert_eq!(loaded.table.values(), [array("rgb.npy"), array("rgb.npy")].concat());
    assert_eq!(loaded.dropped, [0, 2, 3]);
    let said = loaded.warnings[0].to_string();
    for part in ["3 of 5 images are left out", "0.jpg", "2.png", "3.png: expected a PNG"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A context of all images goes without those rows too.
    let context = directory();
    let path = context.path().join("context.csv");
    fs::write(&path, "10\n11\n12\n13\n14\n").unwrap();
    let context = read(&path, &ReadOptions::default()).unwrap();
    let aligned = align_rows(vec![loaded, context]).unwrap();
    assert_eq!(aligned[1].table.values(), [11., 14.]);
    // None is left.
    for name in ["1.png", "4.png", "0.jpg"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let none = Images::open(folder.path(), &images);
    assert_error(none, &["can be used", "none among 2", "2.png"]);
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_memory_is_taken() {
    let mut bytes = fs::read(picture("rgb.png")).unwrap();
    // Width and height of the header, and its checksum.
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    let folder = directory();
    fs::write(folder.path().join("vast.png"), bytes).unwrap();
    let parts = ["vast.png", "at most 536870912 bytes", "found 65536 x 65536 pixels"];
    assert_error(read_table(folder.path()), &parts);
}

#[test]
fn every_truncation_and_change_of_a_file_is_an_error_or_an_image() {
    for name in ["rgb.png", "rgb.jpg"] {
        let whole = fs::read(picture(name)).unwrap();
        let folder = directory();
        let path = folder.path().join(name);
        let try_out = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            match read_table(folder.path()) {
                Ok(table) => assert!(table.rows() == 1 && table.row_shape().is_some(), "{name}"),
                Err(Error::Io { .. } | Error::ImageFile { .. } | Error::Image { .. }) => {}
                Err(other) => panic!("{name}: {other}"),
            }
        };
        for at in 0..whole.len() {
            try_out(&whole[..at]);
            let mut changed = whole.clone();
            changed[at] ^= 0x41;
            try_out(&changed);
        }
    }
}

#[test]
fn arrays_and_idx_files_take_the_same_path() {
    let keep = ImageOptions::default();
    let open = |path: &Path| Images::open(path, &keep).unwrap();
    let idx = open(&picture("images-idx3-ubyte.gz"));
    let expected: Vec<f64> = (0..24).map(f64::from).collect();
    assert_eq!((idx.shape(), idx.rows(), pixels(&idx)), ([3, 4, 1], 2, expected));
    let out = directory();
    let path = out.path().join("x.npy");
    let mut writer = mflow_data::io::NpyWriter::create_bytes(&path, &[2, 3, 4]).unwrap();
    writer.write(&(0..24).map(f64::from).collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    let square = ImageOptions { crop: Some(3), ..keep };
    let cut = Images::open(&path, &square).unwrap();
    let expected = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22];
    assert_eq!((cut.shape(), pixels(&cut)), ([3, 3, 1], expected.map(f64::from).to_vec()));
    assert_error(Images::open(&fixture("f8_little.npy"), &keep), &["images [n, H, W]", "[]"]);
    assert_error(
        Images::open(&fixture("images.npy"), &keep),
        &["1 channel (grey) or 3", "[2, 3, 2]"],
    );
    let signed = Images::open(&picture("type_09.idx"), &keep);
    assert_error(signed, &["type_09.idx", "[3, 2, 2]"]);
}

#[test]
fn a_pixel_that_is_no_byte_is_named() {
    let folder = directory();
    let path = folder.path().join("a.idx");
    let header = [0, 0, 9, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    fs::write(&path, [header.as_slice(), &[1, 2, 3, 255]].concat()).unwrap();
    let images = Images::open(&path, &ImageOptions::default()).unwrap();
    let seen = images.for_each_block(&mut |_| Ok(()));
    assert_error(seen, &["a.idx", "row 1", "value 1", "0 to 255", "found -1"]);
}
