//! Every map by itself, at two sizes: forward, inverse, and the gradient of value and log-det. Couplings
//! and autoregressive layers also as compositions of tensor operations.
use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::{gradient, must, rows};
use mflow_bijectors::{
    ActNormConfig, AffineScale, AutoregressiveConfig, BijectorConfig, CouplingConfig,
    ElementwiseConfig, Function, FunctionConfig, ImageCouplingConfig, LuLinearConfig, Mask,
    NetConfig, OrthogonalConfig, ParamStore, PermutationConfig, QrLinearConfig,
    ResidualBlockConfig, Route, SpecialConformalConfig, SqueezeConfig, SvdLinearConfig,
    TanhMixtureConfig, UnivariateConfig,
};
use std::time::Duration;

/// Element-wise maps of 8 bins on `[-4, 4]`.
fn univariate() -> Vec<(&'static str, UnivariateConfig)> {
    let (bins, tail_bound) = (8, 4.);
    vec![
        ("additive", UnivariateConfig::Additive),
        ("affine", UnivariateConfig::Affine { scale: AffineScale::Exp { bound: 3. } }),
        ("linear", UnivariateConfig::LinearSpline { bins, tail_bound }),
        ("quadratic", UnivariateConfig::QuadraticSpline { bins, tail_bound }),
        ("cubic", UnivariateConfig::CubicSpline { bins, tail_bound }),
        ("rational_quadratic", UnivariateConfig::RationalQuadratic { bins, tail_bound }),
    ]
}

/// Maps of `dim` features by name.
fn vectors(dim: usize) -> Vec<(String, BijectorConfig)> {
    let mut all = vec![];
    for (kind, route) in [("fused", Route::Auto), ("composed", Route::Composed)] {
        for (map, config) in univariate() {
            let coupling = CouplingConfig::new(dim, Mask::Even).with_map(config).with_route(route);
            all.push((format!("coupling_{map}/{kind}"), BijectorConfig::Coupling(coupling)));
        }
        for (map, config) in [univariate().swap_remove(1), univariate().swap_remove(5)] {
            let layer = AutoregressiveConfig::new(dim).with_map(config).with_route(route);
            all.push((
                format!("autoregressive_{map}/{kind}"),
                BijectorConfig::Autoregressive(layer),
            ));
        }
        let splines = ElementwiseConfig::new(&[dim], univariate().swap_remove(5).1);
        let splines = BijectorConfig::Elementwise(splines.with_route(route));
        all.push((format!("elementwise_rational_quadratic/{kind}"), splines));
    }
    let function = |function| BijectorConfig::Function(FunctionConfig::new(&[dim], function));
    let others = [
        ("permutation", BijectorConfig::Permutation(PermutationConfig::new(dim))),
        ("lu", BijectorConfig::LuLinear(LuLinearConfig::new(dim))),
        ("qr", BijectorConfig::QrLinear(QrLinearConfig::new(dim))),
        ("svd", BijectorConfig::SvdLinear(SvdLinearConfig::new(dim))),
        ("orthogonal", BijectorConfig::Orthogonal(OrthogonalConfig::new(dim))),
        ("act_norm", BijectorConfig::ActNorm(ActNormConfig::new(dim))),
        ("sigmoid", function(Function::Sigmoid)),
        ("log_tanh", function(Function::LogTanh { cut: 1. })),
        ("special_conformal", BijectorConfig::SpecialConformal(SpecialConformalConfig::new(dim))),
        ("tanh_mixture", BijectorConfig::TanhMixture(TanhMixtureConfig::new(&[dim], 4))),
        ("residual_block", BijectorConfig::ResidualBlock(ResidualBlockConfig::new(dim))),
    ];
    all.extend(others.map(|(name, config)| (name.to_owned(), config)));
    all
}

/// Maps of images of 12 channels by name.
fn images(side: usize) -> Vec<(&'static str, BijectorConfig)> {
    let shape = [side, side, 12];
    let coupling = ImageCouplingConfig::new(&shape, Mask::Even).with_net(NetConfig::new(32, 1));
    let pixelwise = |of| BijectorConfig::Pixelwise { height: side, width: side, of: Box::new(of) };
    vec![
        ("image_coupling", BijectorConfig::ImageCoupling(coupling)),
        ("one_by_one_convolution", pixelwise(BijectorConfig::LuLinear(LuLinearConfig::new(12)))),
        ("squeeze", BijectorConfig::Squeeze(SqueezeConfig::new(&shape))),
    ]
}

fn measure(c: &mut Criterion, name: &str, config: &BijectorConfig, x: &Tensor) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(600));
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let tracked = must(store.create(config));
    let frozen = must(store.build(|_| false, |params| config.build(params)));
    let y = must(frozen.forward(x, None)).value;
    group.bench_function("forward", |b| b.iter(|| must(frozen.forward(x, None))));
    group.bench_function("inverse", |b| b.iter(|| must(frozen.inverse(&y, None))));
    group.bench_function("gradient", |b| b.iter(|| gradient(&must(tracked.forward(x, None)))));
    group.finish();
}

fn maps(c: &mut Criterion) {
    for dim in [3, 40] {
        for (name, config) in vectors(dim) {
            measure(c, &format!("map/D={dim},B=100/{name}"), &config, &rows(100, dim, "x"));
        }
    }
    for side in [8, 16] {
        let x = must(rows(16, 12 * side * side, "images").reshape((16, side, side, 12)));
        for (name, config) in images(side) {
            measure(c, &format!("map/12x{side}x{side},B=16/{name}"), &config, &x);
        }
    }
}

criterion_group!(benches, maps);
criterion_main!(benches);
