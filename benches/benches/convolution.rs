//! A coupling layer of images: the kernel against the composition of tensor operations, and against its convolutions alone
//! as candle computes them.
//!
//! With `RAYON_NUM_THREADS=1` candle has one thread, as the kernel has in any case.
use candle_core::{DType, Device, Tensor, Var};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mflow_benches::{gradient, must, rows};
use mflow_bijectors::{Dual, ImageCouplingConfig, Mask, NetConfig, ParamStore, Route};

const BATCH: usize = 16;
const CHANNELS: usize = 12;
const BLOCKS: usize = 2;

/// The 3x3 convolutions of the blocks, with ReLU before each, by candle: no more than that of the layer.
struct Candle {
    kernels: Vec<Var>,
}

impl Candle {
    fn new(hidden: usize) -> Self {
        let kernel = |i: usize| {
            let t = rows(hidden, hidden * 9, &format!("kernel {i}"));
            must(Var::from_tensor(&must(t.reshape((hidden, hidden, 3, 3)))))
        };
        Self { kernels: (0..2 * BLOCKS).map(kernel).collect() }
    }
    fn apply(&self, x: &Tensor) -> Tensor {
        self.kernels
            .iter()
            .fold(x.clone(), |x, kernel| must(must(x.relu()).conv2d(kernel, 1, 1, 1, 1)))
    }
}

fn convolution(c: &mut Criterion) {
    for (side, hidden) in [(8, 32), (16, 100)] {
        let name =
            |what: &str| format!("{CHANNELS}x{side}x{side},hidden={hidden},B={BATCH}/{what}");
        let size = side * side * CHANNELS;
        let x = must(rows(BATCH, size, "x").reshape((BATCH, side, side, CHANNELS)));
        let tangents =
            must(rows(2 * BATCH, size, "tangents").reshape((BATCH, 2, side, side, CHANNELS)));
        let dual = must(Dual::new(x.clone(), tangents));
        for (what, route) in [("kernel", Route::Auto), ("composed", Route::Composed)] {
            let mut group = c.benchmark_group(name(what));
            group.sample_size(10);
            let config = ImageCouplingConfig::new(&[side, side, CHANNELS], Mask::Even)
                .with_net(NetConfig::new(hidden, BLOCKS))
                .with_route(route);
            let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
            let tracked = must(store.build(|_| true, |params| config.build(params)));
            let frozen = must(store.build(|_| false, |params| config.build(params)));
            group.bench_function("forward", |b| b.iter(|| must(frozen.forward(&x, None))));
            group.bench_function("gradient", |b| {
                b.iter(|| gradient(&must(tracked.forward(&x, None))));
            });
            group.bench_function("push,K=2", |b| {
                let push = |dual| must(frozen.push_forward(&dual, None));
                b.iter_batched(|| dual.clone(), push, BatchSize::SmallInput);
            });
            group.finish();
        }
        let mut group = c.benchmark_group(name("convolutions by candle"));
        group.sample_size(10);
        let candle = Candle::new(hidden);
        let input =
            must(rows(BATCH, hidden * side * side, "x").reshape((BATCH, hidden, side, side)));
        group.bench_function("forward", |b| b.iter(|| candle.apply(&input.detach())));
        let tracked = must(Var::from_tensor(&input));
        group.bench_function("gradient", |b| {
            b.iter(|| must(must(candle.apply(tracked.as_tensor()).sum_all()).backward()));
        });
        group.finish();
    }
}

criterion_group!(benches, convolution);
criterion_main!(benches);
