//! Features of Inception-v3. Oracle: the package pytorch-fid with torch in double precision and weights by a formula
//! (`xtask/fixtures/images.py` made the fixture).
use crate::features::{check, image, made_up, norm};
use mflow_eval::features::{Features, ImageShape, InceptionV3};
use mflow_eval::statistics::Sample;
use std::time::Instant;

/// Names of convolutions with the channels out and in, and the kernel's rows and columns.
const CONVOLUTIONS: &str = "
Conv2d_1a_3x3 32 3 3 3
Conv2d_2a_3x3 32 32 3 3
Conv2d_2b_3x3 64 32 3 3
Conv2d_3b_1x1 80 64 1 1
Conv2d_4a_3x3 192 80 3 3
Mixed_6a.branch3x3 384 288 3 3
Mixed_6a.branch3x3dbl_1 64 288 1 1
Mixed_6a.branch3x3dbl_2 96 64 3 3
Mixed_6a.branch3x3dbl_3 96 96 3 3
Mixed_7a.branch3x3_1 192 768 1 1
Mixed_7a.branch3x3_2 320 192 3 3
Mixed_7a.branch7x7x3_1 192 768 1 1
Mixed_7a.branch7x7x3_2 192 192 1 7
Mixed_7a.branch7x7x3_3 192 192 7 1
Mixed_7a.branch7x7x3_4 192 192 3 3";

/// A block with its `C` and `P`.
type Repeat = (&'static str, usize, usize);

/// Of blocks with `C` channels, `P` of which come of the pooled image, or with `P` in between.
const REPEATED: [(&str, &[Repeat]); 3] = [
    (
        "
branch1x1 64 C 1 1
branch5x5_1 48 C 1 1
branch5x5_2 64 48 5 5
branch3x3dbl_1 64 C 1 1
branch3x3dbl_2 96 64 3 3
branch3x3dbl_3 96 96 3 3
branch_pool P C 1 1",
        &[("Mixed_5b", 192, 32), ("Mixed_5c", 256, 64), ("Mixed_5d", 288, 64)],
    ),
    (
        "
branch1x1 192 C 1 1
branch7x7_1 P C 1 1
branch7x7_2 P P 1 7
branch7x7_3 192 P 7 1
branch7x7dbl_1 P C 1 1
branch7x7dbl_2 P P 7 1
branch7x7dbl_3 P P 1 7
branch7x7dbl_4 P P 7 1
branch7x7dbl_5 192 P 1 7
branch_pool 192 C 1 1",
        &[
            ("Mixed_6b", 768, 128),
            ("Mixed_6c", 768, 160),
            ("Mixed_6d", 768, 160),
            ("Mixed_6e", 768, 192),
        ],
    ),
    (
        "
branch1x1 320 C 1 1
branch3x3_1 384 C 1 1
branch3x3_2a 384 384 1 3
branch3x3_2b 384 384 3 1
branch3x3dbl_1 448 C 1 1
branch3x3dbl_2 384 448 3 3
branch3x3dbl_3a 384 384 1 3
branch3x3dbl_3b 384 384 3 1
branch_pool P C 1 1",
        &[("Mixed_7b", 1280, 192), ("Mixed_7c", 2048, 192)],
    ),
];

/// The tensors of the file that pytorch-fid downloads.
fn names() -> Vec<(String, Vec<usize>)> {
    let mut all = vec![("fc.weight".to_owned(), vec![1]), ("fc.bias".to_owned(), vec![1])];
    let mut read = |prefix: &str, lines: &str, channels: usize, special: usize| {
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let name = format!("{prefix}{}", words.next().unwrap());
            let shape: Vec<usize> = words
                .map(|word| match word {
                    "C" => channels,
                    "P" => special,
                    number => number.parse().unwrap(),
                })
                .collect();
            norm(&mut all, &format!("{name}.bn"), shape[0]);
            all.push((format!("{name}.conv.weight"), shape));
        }
    };
    read("", CONVOLUTIONS, 0, 0);
    for (lines, blocks) in REPEATED {
        for (name, channels, special) in blocks {
            read(&format!("{name}."), lines, *channels, *special);
        }
    }
    all
}

#[test]
fn the_network_computes_what_pytorch_fid_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = made_up(folder.path(), names());
    let load = |shape| InceptionV3::load(&path, shape, 1).unwrap();
    check(load, ("inception-v3", 2048), include_str!("../image_fixtures/inception.json"));
    let error = InceptionV3::load(&path.join("none"), SHAPE, 1).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
    let two = ImageShape { channels: 2, ..SHAPE };
    let error = InceptionV3::load(&path, two, 1).unwrap_err().to_string();
    assert!(error.contains("1 or 3 channels"), "{error}");
}

const SHAPE: ImageShape = ImageShape { channels: 3, height: 64, width: 64, range: [0., 1.] };

/// Run alone, with `--ignored`.
#[test]
#[ignore = "says how fast the network is, and checks nothing"]
fn images_per_second() {
    let folder = tempfile::tempdir().unwrap();
    let network = InceptionV3::load(&made_up(folder.path(), names()), SHAPE, 1).unwrap();
    let images = image(SHAPE).repeat(8);
    let start = Instant::now();
    network.of(Sample::new(&images, SHAPE.pixels()).unwrap()).unwrap();
    println!("{:.2} images/s on one thread", 8. / start.elapsed().as_secs_f64());
}
