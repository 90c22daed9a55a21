//! Models of images: rows stay rows, and tangents are pushed in parts.
use crate::kinds::{Kind, small_net, with_steps};
use crate::numbers::{close, device, normal, numbers};
use crate::subject::{randomise, small_flow};
use mflow_bijectors::{
    BijectorConfig, Diff, Direction, ImageFlowConfig, LinearKind, ParamStore, SqueezeConfig,
};
use mflow_core::candle::DType;
use mflow_core::{Embedding, ImageNetConfig, ModelConfig, PaddedFlow};

/// A single channel of 4 by 4 pixels.
pub(crate) const SHAPE: [usize; 3] = [4, 4, 1];

/// Two levels of one coupling.
pub(crate) fn flow() -> ImageFlowConfig {
    ImageFlowConfig::new(&SHAPE).with_depth(2, 1).with_bins(5, 3.).with_net(small_net())
}

/// Two levels of a few channels.
pub(crate) fn net() -> ImageNetConfig {
    ImageNetConfig::new(&SHAPE).with_size(2, 3, 1).with_hidden(6)
}

/// With flows and networks of images, `h` of vectors.
pub(crate) fn of_images(config: ModelConfig) -> ModelConfig {
    let is_ambient = config.name() == "af";
    let config = config.with_networks(net()).with_outer(flow());
    match is_ambient {
        true => config.with_inner(flow()),
        false => config.with_inner(small_flow(LinearKind::Permutation)),
    }
}

/// Every kind of model that is made for images, on a surface of images.
pub(crate) fn configs() -> Vec<ModelConfig> {
    let all = [
        ModelConfig::af(16),
        ModelConfig::pie(16, 2),
        ModelConfig::m_flow(16, 2),
        ModelConfig::me_flow(16, 2),
        ModelConfig::pae(16, 2),
        with_steps(ModelConfig::free_form(16, 2), 0),
        ModelConfig::vae(16, 2),
        ModelConfig::rif(16, 2),
    ];
    all.map(of_images).into()
}

#[test]
fn every_kind_is_built_over_images_and_knows_it() {
    for config in configs() {
        assert_eq!(config.image(), Some(&SHAPE[..]), "{}", config.name());
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&written).unwrap(), config, "{written}");
        let unchanged = config.clone().start_flat(&vec![0.5; 32]).unwrap();
        assert_eq!(unchanged, config, "no axes");
        let kind = Kind::new(config.clone(), 0.3);
        let x = kind.data(5);
        let projected = kind.model.project(&x, None).unwrap();
        assert_eq!(projected.dims(), [5, 16], "{}", config.name());
        assert!(numbers(&projected).iter().all(|v| v.is_finite()), "{}", config.name());
        let of_none = kind.model.project(&kind.data(0), None).unwrap();
        assert_eq!(of_none.dims(), [0, 16], "{}", config.name());
    }
    assert_eq!(ModelConfig::m_flow(16, 2).image(), None);
}

/// Oracle: the same embedding with all tangents at a time.
#[test]
fn tangents_in_parts_are_those_of_the_whole() {
    let (rows, n) = (4, 5);
    let mut store = ParamStore::new(2, DType::F64, device());
    let f = store.create(&flow().bijector(2).unwrap()).unwrap();
    randomise(&store, 0.3);
    let working = f.signature().working_size * 8;
    let (u, context) = ((normal("u", &[rows, n]) * 0.3).unwrap(), normal("context", &[rows, 2]));
    let padded = |memory| PaddedFlow::new(f.clone(), n).unwrap().with_tangent_memory(memory);
    let all = |memory: usize| {
        let embedding = padded(memory);
        let jacobian = embedding.embed_with_jacobian(&u, Some(&context)).unwrap();
        let volume = embedding.log_volume(&u, Some(&context)).unwrap();
        let (point, same) = embedding.embed_with_volume(&u, Some(&context)).unwrap().unwrap();
        assert_eq!(numbers(&volume), numbers(&same));
        let tangents = jacobian.tangents().unwrap();
        assert_eq!(tangents.dims(), [rows, n, 16]);
        [numbers(jacobian.value()), numbers(tangents), numbers(&volume), numbers(&point)].concat()
    };
    let whole = all(usize::MAX);
    // Two rows at a time; one row with two tangents at a time.
    for memory in [2 * (1 + n) * working, 3 * working] {
        close("in parts", &all(memory), &whole, 1e-12);
    }
    let error = padded(working).log_volume(&u, Some(&context)).unwrap_err().to_string();
    let needed = format!("that {} bytes are needed", 2 * working);
    assert!(error.contains(&needed) && error.contains(&working.to_string()), "{error}");
}

/// A kernel that sees neighbours holds more numbers than the image has.
#[test]
fn layers_say_how_much_they_hold() {
    let of = |hidden: usize| {
        let mut store = ParamStore::new(2, DType::F64, device());
        let mut config = flow();
        config.net.hidden = hidden;
        store.create(&config.bijector(0).unwrap()).unwrap().signature().working_size
    };
    // The first level: 2 by 2 pixels of 4 channels, before and after, and 5 hidden layers.
    assert_eq!(of(100), 4 * (2 * 4 + 5 * 100));
    assert_eq!(of(1), 4 * (2 * 4 + 2 * 14), "parameters of the splines");
}

#[test]
fn what_cannot_be_is_refused() {
    let message = |config: ModelConfig| {
        let mut store = ParamStore::new(1, DType::F64, device());
        config.build(&mut store, |_| true).map(|_| ()).unwrap_err().to_string()
    };
    let wrong = message(of_images(ModelConfig::m_flow(12, 2)));
    assert!(wrong.contains("`outer.shape` must be that of rows of 12 features"), "{wrong}");
    let wrong = message(ModelConfig::pae(12, 2).with_networks(net()));
    assert!(wrong.contains("`image.shape` must be that of data of 12 features"), "{wrong}");
    let wrong = message(of_images(ModelConfig::atlas(16, 2, 3)));
    assert!(wrong.contains("`kind` must be of vectors in `atlas`"), "{wrong}");
    let odd = ImageNetConfig::new(&[6, 4, 1]);
    let wrong = message(ModelConfig::pae(24, 2).with_networks(odd));
    assert!(wrong.contains("`image.shape` must have sides that are multiples of 2^2"), "{wrong}");
    for (config, field) in [
        (net().with_size(0, 3, 1), "levels"),
        (net().with_size(1, 0, 1), "channels"),
        (net().with_hidden(0), "hidden"),
        (ImageNetConfig::new(&[16]), "shape"),
    ] {
        let wrong = message(ModelConfig::pae(16, 2).with_networks(config));
        assert!(wrong.contains(&format!("`image.{field}` must be")), "{wrong}");
    }
    let mut framed = ModelConfig::m_flow(16, 2);
    let x: Vec<f64> = numbers(&normal("x", &[40, 16]));
    framed = framed.start_flat(&x).unwrap();
    assert!(framed.sizes.frame.is_some());
    let wrong = message(of_images(framed));
    assert!(wrong.contains("`frame` must be left out of models of images"), "{wrong}");
}

/// Oracle: the order of files, in which the numbers of a pixel follow one another.
#[test]
fn rows_are_images_in_the_order_height_width_channels() {
    // The first map of the flow, which puts the pixels of a square into channels.
    let mut store = ParamStore::new(1, DType::F64, device());
    let squeeze = BijectorConfig::Squeeze(SqueezeConfig::new(&[2, 2, 3]));
    let squeeze = store.create(&squeeze).unwrap();
    let x = normal("x", &[3, 12]);
    let images = x.reshape((3, 2, 2, 3)).unwrap();
    let squeezed = numbers(&squeeze.map(Direction::Forward, &images, None).unwrap().value);
    let rows = numbers(&x);
    for row in 0..3 {
        for (channel, pixel) in (0..3).flat_map(|c| (0..4).map(move |p| (c, p))) {
            let (found, expected) =
                (12 * row + 4 * channel + pixel, 12 * row + 3 * pixel + channel);
            assert_eq!(squeezed[found], rows[expected], "channel {channel} of pixel {pixel}");
        }
    }
}
