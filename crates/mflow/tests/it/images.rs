//! Images through the program. Oracles: pixels written by hand, the library.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::{Table, read_npy};
use mflow::data::{Scenes, pixels};
use std::fs::{self, File};
use std::io::BufWriter;

const SIDE: u32 = 4;

/// Pixel `at` of picture `i`.
fn pixel(i: u32, at: u32) -> u8 {
    u8::try_from((i * 31 + at * 13 + (i * at) % 7) % 256).expect("a byte")
}

fn picture(i: u32, channels: u32) -> Vec<u8> {
    (0..SIDE * SIDE * channels).map(|at| pixel(i, at)).collect()
}

/// Writes a PNG file, by the crate `png`, which the program has from another one.
fn png(folder: &Folder, name: &str, bytes: &[u8], width: u32) {
    let path = folder.path(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
    let file = BufWriter::new(File::create(path).expect("a file"));
    let height = u32::try_from(bytes.len()).expect("small") / width;
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(bytes).expect("pixels");
}

const PICTURES: u32 = 120;

/// A folder `p` of grey pictures, and the same as an idx file.
fn pictures() -> Folder {
    let folder = Folder::new();
    let mut idx = vec![0, 0, 8, 3];
    idx.extend([PICTURES, SIDE, SIDE].into_iter().flat_map(u32::to_be_bytes));
    for i in 0..PICTURES {
        png(&folder, &format!("p/{i:03}.png"), &picture(i, 1), SIDE);
        idx.extend(picture(i, 1));
    }
    folder.write("train-images-idx3-ubyte", &idx);
    folder
}

fn array(folder: &Folder, name: &str) -> Table {
    read_npy(&folder.path(name)).expect("an array")
}

fn expected() -> Vec<f64> {
    (0..PICTURES).flat_map(|i| picture(i, 1)).map(f64::from).collect()
}

#[test]
fn folders_and_idx_files_become_arrays_of_bytes() {
    let folder = pictures();
    for source in ["p", "train-images-idx3-ubyte"] {
        let said = folder.succeeds(&format!("data images {source} --out x.npy"));
        assert!(said.contains("x.npy: [120, 4, 4, 1]"), "{said}");
        let table = array(&folder, "x.npy");
        assert_eq!(table.row_shape(), Some([4, 4, 1].as_slice()), "{source}");
        assert_eq!(table.values(), expected(), "{source}");
        assert_eq!(folder.read("x.npy").len(), 128 + 120 * 16, "bytes");
    }
    // The array again takes the same path.
    folder.succeeds("data images x.npy --crop 2 --rgb --out small.npy");
    let small = array(&folder, "small.npy");
    assert_eq!(small.row_shape(), Some([2, 2, 3].as_slice()));
    let first = [5, 6, 9, 10].map(|at| f64::from(pixel(0, at)));
    assert_eq!(small.row(0).expect("a row"), first.map(|v| [v; 3]).as_flattened());
}

#[test]
fn pixels_are_changed_as_the_library_does() {
    let folder = pictures();
    let of = "data images train-images-idx3-ubyte --bits 5 --flips";
    folder.succeeds(&format!("{of} --out bits.npy"));
    let mut all = expected();
    let mut mirrored = all.clone();
    pixels::flip(&mut mirrored, [4, 4, 1]).expect("images");
    all.extend(mirrored);
    pixels::reduce_bits(&mut all, 16, 5).expect("bytes");
    let table = array(&folder, "bits.npy");
    assert_eq!((table.rows(), table.values()), (240, all.as_slice()));
    assert!(all.iter().all(|value| *value < 32.), "5 bits");
    for (seed, options) in [(0, ""), (3, " --seed 3")] {
        folder.succeeds(&format!("{of} --dequantise{options} --out noisy.npy"));
        let mut noisy = all.clone();
        pixels::dequantise(&mut noisy, &mut Stream::new(seed, "dequantise"));
        assert_eq!(array(&folder, "noisy.npy").values(), noisy, "exact in single precision");
    }
}

#[test]
fn a_fit_takes_them_as_they_are_and_gives_images_back() {
    let folder = pictures();
    let epochs = "--config small.toml --epochs 2";
    folder.succeeds(&format!("fit p {epochs} --out folder"));
    folder.succeeds(&format!("fit train-images-idx3-ubyte {epochs} --out idx"));
    folder.succeeds("data images p --out x.npy");
    folder.succeeds(&format!("fit x.npy {epochs} --stream --out array"));
    folder.succeeds("score folder p --out a.csv");
    folder.succeeds("score idx train-images-idx3-ubyte --out b.csv");
    assert_eq!(folder.read("a.csv"), folder.read("b.csv"), "the same rows, the same model");
    folder.succeeds("sample folder -n 3 --out new.npy");
    assert_eq!(array(&folder, "new.npy").row_shape(), Some([4, 4, 1].as_slice()));
    folder.succeeds("project array train-images-idx3-ubyte --out near.npy");
    assert_eq!(array(&folder, "near.npy").row_shape(), Some([4, 4, 1].as_slice()));
    folder.succeeds("dim p");
    let stream = format!("fit p {epochs} --stream --out s");
    folder.fails(&stream, 2, &["a .npy file", "mflow data images"]);
}

#[test]
fn what_cannot_be_used_is_named_or_left_out_on_request() {
    let folder = pictures();
    let whole = folder.read("p/005.png");
    folder.write("p/005.png", &whole[..whole.len() - 20]);
    png(&folder, "p/007.png", &picture(7, 1), 8);
    folder.fails("data images p --out x.npy", 1, &["005.png", "cannot be read as a PNG"]);
    assert!(!folder.path("x.npy").exists(), "nothing is left behind");
    folder.fails("fit p --config small.toml --epochs 1 --out run", 1, &["005.png"]);
    let ended = folder.run("data images p --skip-bad --out x.npy");
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for part in ["2 of 120 images are left out", "005.png", "007.png", "found 2 x 8 pixels"] {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    assert_eq!(array(&folder, "x.npy").rows(), 118);
    for (options, code, parts) in [
        ("p --out x.csv", 2, ["--out x.csv", "extension .npy"]),
        ("p --bits 9 --out y.npy", 2, ["--bits", "found 9"]),
        ("p --grey --rgb --out y.npy", 2, ["--grey", "cannot be used"]),
        ("p --seed 1 --out y.npy", 2, ["--dequantise", "required"]),
        ("p --size 0 --out y.npy", 1, ["the side of images", "found 0"]),
        ("p --crop 5 --out y.npy", 1, ["000.png", "found 4 x 4"]),
        ("data.csv --out y.npy", 1, ["data.csv", "images [n, H, W]"]),
        ("nothing --out y.npy", 1, ["nothing", "folder of images"]),
    ] {
        folder.fails(&format!("data images {options}"), code, &parts);
    }
    fs::create_dir(folder.path("empty")).expect("a folder");
    folder.fails("dim empty", 1, &["empty", "PNG or JPEG files", "0 entries"]);
}

#[test]
fn scenes_come_with_their_factors() {
    let folder = Folder::new();
    let said =
        folder.succeeds("data scenes-8 -n 300 --size 17 --channels 3 --seed 4 --out s --log-prob");
    for part in ["x.npy: [300, 17, 17, 3]", "factors.npy: [300, 8]", "log_prob.npy: [300]"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let scenes = Scenes::new(8, 17, 3).expect("scenes");
    let factors = array(&folder, "s/factors.npy");
    assert_eq!(factors.values(), scenes.draw_factors(300, &mut Stream::new(4, "data")));
    let images = array(&folder, "s/x.npy");
    assert_eq!(images.row_shape(), Some([17, 17, 3].as_slice()));
    let exact = scenes.render(factors.values()).expect("factors");
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-4;
    assert!(images.values().iter().zip(&exact).all(close), "single precision");
    let densities = scenes.log_prob_of(factors.values()).expect("factors");
    assert_eq!(array(&folder, "s/log_prob.npy").values(), densities);
    // However many threads, to the byte; and bytes on request.
    folder.succeeds("data scenes-8 -n 300 --size 17 --channels 3 --seed 4 --out t --threads 3");
    assert_eq!(folder.read("s/x.npy"), folder.read("t/x.npy"));
    folder.succeeds("data scenes-2 -n 7 --bytes --out b");
    let bytes = array(&folder, "b/x.npy");
    assert_eq!(bytes.row_shape(), Some([16, 16, 1].as_slice()));
    assert!(bytes.values().iter().all(|v| v.fract() == 0.), "whole numbers");
    for (options, code, parts) in [
        ("scenes-8 --size 65 --out y", 1, ["16 to 64 pixels", "found 65"]),
        ("scenes-8 --channels 2 --out y", 1, ["channels of a scene", "found 2"]),
        ("scenes-65 --out y", 1, ["scenes-65", "`scenes-64`"]),
        ("scenes-8 --noise 0.1 --out y", 2, ["scenes-8", "leave out --noise"]),
        ("scenes-8 --at 0 --out y", 2, ["scenes-8", "no parameters"]),
        ("scenes-8 --events --out y", 2, ["--events", "wbf"]),
        ("scenes-8 --out s", 2, ["log_prob.npy", "other data"]),
        ("torus --size 32 --out y", 2, ["--size", "leave it out for torus"]),
        ("torus --log-prob --out y", 2, ["--log-prob", "leave it out for torus"]),
        ("wbf --bytes --out y", 2, ["--bytes", "leave it out for wbf"]),
    ] {
        folder.fails(&format!("data {options}"), code, &parts);
    }
    assert!(!folder.path("y").exists(), "nothing is written");
}
