//! The example tried on itself: a small generator with random weights.
use crate::{Result, nearest, sample};
use mflow::bijectors::Stream;
use mflow::core::candle::{DType, Device};
use mflow::core::{DeviceName, Generator, GeneratorConfig, GeneratorLayer, write_tensors};
use mflow::data::io::read_npy;
use std::collections::BTreeMap;

/// Images of 8 by 8 pixels and 3 colours, from 5 numbers.
pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut random = Stream::new(1, "weights");
    let mut weight = |name: &str, shape: &[usize]| -> Result<_> {
        Ok((name.to_owned(), random.normal_tensor(shape, DType::F32, &Device::Cpu)?))
    };
    let tensors =
        BTreeMap::from([weight("0.weight", &[5, 4, 4, 4])?, weight("2.weight", &[4, 3, 4, 4])?]);
    write_tensors(&folder.path().join("toy.safetensors"), &tensors, BTreeMap::new())?;
    let transposed = |tensors: &str, stride, padding| GeneratorLayer::ConvTranspose {
        tensors: tensors.to_owned(),
        stride,
        padding,
        output_padding: 0,
        bias: false,
    };
    let layers = vec![
        GeneratorLayer::Reshape { shape: vec![5, 1, 1] },
        transposed("0", 1, 0),
        GeneratorLayer::LeakyRelu { slope: 0.2 },
        transposed("2", 2, 1),
        GeneratorLayer::Scale { factor: 0.1, shift: 0. },
        GeneratorLayer::Tanh,
        GeneratorLayer::Scale { factor: 127.5, shift: 127.5 },
    ];
    let path = folder.path().join("toy.toml");
    GeneratorConfig::new("toy.safetensors", 5, layers).with_channels_last().write(&path)?;
    let options = sample::Options {
        generator: path,
        out: folder.path().join("n2"),
        free: 2,
        train: 150,
        test: 30,
        grid: Some(3),
        parameter: true,
        average: vec![2],
        seed: 1,
        device: DeviceName::Cpu,
    };
    sample::run(&options)?;
    let part = |name: &str| options.out.join("test").join(name);
    for (side, file) in [(8, "x8.npy"), (4, "x4.npy")] {
        let images = read_npy(&part(file))?;
        assert_eq!(images.row_shape(), Some([side, side, 3].as_slice()), "{file}");
        // The generator beside the data is that of the data, at every size: rounding alone moves images off it, each
        // pixel by up to a half.
        let toml = options.out.join(format!("generator-{side}.toml"));
        let generator = Generator::load(&toml, DType::F32, &Device::Cpu)?;
        let distances = nearest(&generator, &part(file), 30, 4)?;
        let largest = distances.iter().copied().fold(0., f64::max);
        let rounding = 0.5 * (side as f64 * side as f64 * 3.).sqrt();
        println!("{file}: at most {largest:.3} from the manifold, rounding explains {rounding:.3}");
        assert!(largest < rounding, "{file}: {distances:?}");
    }
    let (latents, context) = (read_npy(&part("latents.npy"))?, read_npy(&part("context.npy"))?);
    assert_eq!([latents.rows(), latents.cols(), context.cols()], [30, 2, 1], "tables");
    Ok(())
}
