//! The CUDA kernels, compiled as C++ and run on the CPU, one thread after the other. Oracle: the CPU kernels that they
//! mirror, and candle's `backward` through these.
use crate::cuda_on_cpu::{build, call};
use crate::numbers::{log_abs_det, numbers};
use mflow_bijectors::candle::{DType, Device, Tensor, Var};
use mflow_bijectors::{
    Activation, Bijector, CouplingConfig, Diff, Direction, Dual, Gradient, LuLinearConfig, Mask,
    NetConfig, NetKind, ParamStore, RationalQuadratic, ScalarMap, Stream, Univariate, gradients,
};
use std::path::Path;

const CPU: &Device = &Device::Cpu;

/// One call of a kernel.
struct Call<'a> {
    program: &'a Path,
    map: RationalQuadratic,
    direction: Direction,
    log_det: bool,
    dtype: DType,
}

impl Call<'_> {
    /// The results of `kernel` for the numbers of `arrays`; parameters are `[P, n]` if `transposed`, else `[n, P]`.
    fn run(&self, kernel: &str, n: usize, transposed: bool, arrays: &[&[f64]]) -> Vec<f64> {
        let Self { program, map, direction, log_det, dtype } = self;
        let (stride, step) = if transposed { (n, 1) } else { (1, map.parameters()) };
        let (inverse, circular) = (*direction == Direction::Inverse, map.circular);
        let sizes = format!(
            "{} {} {} {:e} {:e} {} {n} {stride} {step}",
            map.bins,
            u8::from(circular),
            u8::from(inverse),
            map.bound,
            map.logit_scale,
            u8::from(*log_det)
        );
        call(program, kernel, *dtype, &sizes, arrays)
    }

    fn check(&self, what: &str, found: &[f64], expected: &[&Tensor]) {
        let expected: Vec<f64> = expected.iter().flat_map(|t| numbers(t)).collect();
        assert_eq!(found.len(), expected.len(), "{what}: how many numbers");
        let tolerance = if self.dtype == DType::F64 { 1e-11 } else { 2e-3 };
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            let near =
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * (1. + b.abs());
            let (map, direction, dtype) = (self.map, self.direction, self.dtype);
            assert!(near, "{what} {i} of {map:?} {direction:?} {dtype:?}: {a}, expected {b}");
        }
    }
}

/// Rows in the box, on its ends, outside, and one that is NaN.
fn points(bound: f64) -> Vec<f64> {
    let mut x = Stream::new(1, "points").uniform(30, -1.2 * bound, 1.2 * bound);
    x.extend([-bound, bound, 0., 40. * bound, f64::NAN]);
    x
}

fn check(call: &Call<'_>) {
    let Call { map, direction, dtype, log_det, .. } = *call;
    let x = points(map.bound);
    let (n, per) = (x.len(), map.parameters());
    let stream = |purpose: &str, n: usize| Stream::new(2, purpose).normal(n);
    let p = stream("parameters", n * per);
    let tensor = |v: &[f64], shape: &[usize]| {
        Tensor::from_slice(v, shape, CPU).unwrap().to_dtype(dtype).unwrap()
    };
    let x_var = Var::from_tensor(&tensor(&x, &[n, 1])).unwrap();
    let p_var = Var::from_tensor(&tensor(&p, &[n, 1, per])).unwrap();
    let pulled = |outputs: &[&Tensor], g: &[f64], columns: bool| {
        let flat: Vec<Tensor> = outputs.iter().map(|t| t.flatten_all().unwrap()).collect();
        let flat = Tensor::cat(&flat, 0).unwrap();
        // What is NaN has no gradient to compare.
        let g = tensor(g, &[g.len()]);
        let loss = (&flat * g).unwrap().sum_all().unwrap().backward().unwrap();
        let g_p = loss.get(&p_var).unwrap().reshape((n, per)).unwrap();
        let g_p = if columns { g_p.t().unwrap().contiguous().unwrap() } else { g_p };
        (loss.get(&x_var).unwrap().clone(), g_p)
    };

    let columns = numbers(&tensor(&p, &[n, per]).t().unwrap().contiguous().unwrap());
    let [y, l] = map.values(direction, &x_var, &p_var).unwrap();
    call.check("values", &call.run("values", n, true, &[&x, &columns]), &[&y, &l]);
    let g = stream("cotangents", 2 * n);
    let (g_x, g_p) = pulled(&[&y, &l], &g, true);
    call.check("pull", &call.run("pull", n, true, &[&x, &columns, &g]), &[&g_x, &g_p]);

    let Gradient { y, l, dy_dx, dy_dp, log_det: of_slope } =
        map.gradient(direction, &x_var, &p_var, log_det).unwrap();
    let mut all = vec![&y, &l, &dy_dx, &dy_dp];
    if let Some(of_slope) = &of_slope {
        all.extend([&of_slope.dx, &of_slope.dp]);
    }
    call.check("gradient", &call.run("gradient", n, false, &[&x, &p]), &all);
    let g = stream("more cotangents", all.iter().map(|t| t.elem_count()).sum());
    let (g_x, g_p) = pulled(&all, &g, false);
    call.check(
        "pull of gradient",
        &call.run("gradient_pull", n, false, &[&x, &p, &g]),
        &[&g_x, &g_p],
    );
}

#[test]
fn splines_are_those_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = &build("pointwise", folder.path()) else { return };
    let line = |bins| RationalQuadratic::new(bins, 3., 0.7).unwrap();
    let circle = |bins| RationalQuadratic::circle(bins).unwrap();
    for map in [line(1), line(2), line(9), circle(1), circle(5)] {
        for direction in [Direction::Forward, Direction::Inverse] {
            for log_det in [false, true] {
                for dtype in [DType::F64, DType::F32] {
                    check(&Call { program, map, direction, log_det, dtype });
                }
            }
        }
    }
}

/// The largest distance of `a b` from `c`, matrices `[m, k]`, `[k, n]` and `[m, n]`.
fn miss(m: usize, k: usize, n: usize, a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    let entry = |e: usize| -> f64 { (0..k).map(|j| a[e / n * k + j] * b[j * n + e % n]).sum() };
    (0..m * n).map(|e| (entry(e) - c[e]).abs()).fold(0., f64::max)
}

#[test]
fn triangles_times_their_inverses_are_the_identity() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("linear", folder.path()) else { return };
    for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 1e-4)] {
        for d in [1, 2, 5, 40] {
            let numbers = Stream::new(3, "triangle").normal(d * d);
            let entry = |e: usize| match (e / d, e % d) {
                (i, j) if i == j => 1.5 + numbers[e].abs(),
                // What lies above the diagonal is not read.
                (i, j) if i < j => f64::NAN,
                _ => 0.4 * numbers[e],
            };
            let l: Vec<f64> = (0..d * d).map(entry).collect();
            let inverse = call(&program, "lower_inverse", dtype, &format!("1 1 {d}"), &[&l]);
            let l: Vec<f64> = l.iter().map(|v| if v.is_nan() { 0. } else { *v }).collect();
            let identity: Vec<f64> = (0..d * d).map(|e| f64::from(e / d == e % d)).collect();
            let miss = miss(d, d, d, &l, &inverse, &identity);
            assert!(miss < tolerance, "{dtype:?}, size {d}: off by {miss:e}");
        }
    }
}

#[test]
fn volumes_are_determinants_and_their_pullbacks_solve() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("linear", folder.path()) else { return };
    for (dtype, tolerance) in [(DType::F64, 1e-10), (DType::F32, 1e-3)] {
        for (points, n, d) in [(3, 1, 2), (40, 2, 3), (5, 4, 4), (7, 6, 11)] {
            let rows = Stream::new(4, "rows").normal(points * n * d);
            let g = Stream::new(5, "cotangents").normal(points);
            let sizes = format!("{points} {n} {d}");
            let found = call(&program, "gram", dtype, &sizes, &[&rows]);
            let pulled = call(&program, "gram_pull", dtype, &sizes, &[&rows, &g]);
            for (i, t) in rows.chunks(n * d).enumerate() {
                let product =
                    |e: usize| -> f64 { (0..d).map(|k| t[e / n * d + k] * t[e % n * d + k]).sum() };
                let gram: Vec<f64> = (0..n * n).map(product).collect();
                let matrix: Vec<Vec<f64>> = gram.chunks(n).map(<[f64]>::to_vec).collect();
                let expected = log_abs_det(&matrix);
                let near = (found[i] - expected).abs() < tolerance * (1. + expected.abs());
                assert!(near, "{dtype:?}, {n} rows: {}, expected {expected}", found[i]);
                // (T Tᵀ) out = 2 g T.
                let out = &pulled[i * n * d..(i + 1) * n * d];
                let right: Vec<f64> = t.iter().map(|v| 2. * g[i] * v).collect();
                let scale = 1. + out.iter().fold(0., |a: f64, v| a.max(v.abs()));
                let miss = miss(n, n, d, &gram, out, &right);
                assert!(miss < 10. * tolerance * scale, "{dtype:?}, {n} rows: off by {miss:e}");
            }
        }
    }
    let dependent = [1., 2., 3., 2., 4., 6.];
    let found = call(&program, "gram", DType::F64, "1 2 3", &[&dependent]);
    assert_eq!(found, [f64::NEG_INFINITY], "dependent rows have no volume");
}

#[test]
fn features_are_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("permute", folder.path()) else { return };
    let x: Vec<f64> = (0..8).map(f64::from).collect();
    for dtype in [DType::F64, DType::F32] {
        let run = |given: usize, len: usize| {
            let sizes = format!("3 6 {given} {len}");
            call(&program, "permute", dtype, &sizes, &[&[2., 0., 1.], &x[..given]])
        };
        let rows = [2., 0., 1., 5., 3., 4.];
        assert_eq!(run(6, 6), rows);
        assert_eq!(run(8, 6), rows);
        assert_eq!(run(6, 8), [&rows[..], &[0., 0.]].concat());
        assert_eq!(run(8, 8), [&rows[..], &[6., 7.]].concat());
    }
}

/// A coupling layer and what a kernel has to know of it.
struct Coupling {
    config: CouplingConfig,
    keep: Vec<usize>,
    moved: Vec<usize>,
    bins: usize,
}

impl Coupling {
    fn new(dim: usize, mask: Mask, context: usize, bins: usize, net: NetConfig) -> Self {
        let is_moved = |k: &usize| match mask {
            Mask::Even => k.is_multiple_of(2),
            _ => !k.is_multiple_of(2),
        };
        let (moved, keep) = (0..dim).partition(is_moved);
        let config = CouplingConfig::new(dim, mask).with_bins(bins, 3.);
        let config = config.with_context(context).with_net(net);
        Self { config, keep, moved, bins }
    }

    /// `points` with `k` tangents each, by the kernels `kind`.
    fn check(
        &self,
        program: &Path,
        (kind, points, k): (&str, usize, usize),
        direction: Direction,
        dtype: DType,
    ) {
        let CouplingConfig { dim, context_dim, net, .. } = &self.config;
        let (dim, context_dim) = (*dim, *context_dim);
        let mut store = ParamStore::new(1, dtype, CPU);
        let layer = store.build(|_| true, |params| self.config.build(params)).unwrap();
        let theta = store.parameters().next().unwrap().var.clone();
        let numbers_of = |purpose: &str, n: usize| Stream::new(6, purpose).normal(n);
        let weights: Vec<f64> =
            numbers_of("weights", theta.elem_count()).iter().map(|v| 0.4 * v).collect();
        let tensor = |v: &[f64], shape: &[usize]| {
            Tensor::from_slice(v, shape, CPU).unwrap().to_dtype(dtype).unwrap()
        };
        let var = |v: &[f64], shape: &[usize]| Var::from_tensor(&tensor(v, shape)).unwrap();
        theta.set(&tensor(&weights, &[weights.len()])).unwrap();
        let n = points * (1 + k) * dim;
        let x: Vec<f64> = numbers_of("points", n).iter().map(|v| 1.5 * v).collect();
        let context = numbers_of("context", points * context_dim);
        let g = numbers_of("cotangents", n + points);
        // The log-dets of a layer before, in one of the directions: they are added to, and have the same cotangents.
        let has_before = direction == Direction::Inverse;
        let before = numbers_of("before", if has_before { points } else { 0 });

        let (of_values, of_tangents) = x.split_at(points * dim);
        let value = var(of_values, &[points, dim]);
        let tangents = (k > 0).then(|| var(of_tangents, &[points, k, dim]));
        let of_context = (context_dim > 0).then(|| var(&context, &[points, context_dim]));
        let mut vars = vec![value.clone()];
        vars.extend(tangents.clone());
        vars.extend(of_context.clone());
        vars.push(theta);
        let c = of_context.as_ref().map(Var::as_tensor);
        let parts = match &tangents {
            None => {
                let mapped = layer.map(direction, &value, c).unwrap();
                vec![mapped.value, mapped.log_abs_det]
            }
            Some(tangents) => {
                let x = Dual::new(value.as_tensor().clone(), tangents.as_tensor().clone()).unwrap();
                let c = c.map(Dual::constant);
                let mapped = layer.push(direction, &x, c.as_ref()).unwrap();
                let tangents = mapped.value.tangents().unwrap();
                vec![
                    mapped.value.value().clone(),
                    tangents.clone(),
                    mapped.log_abs_det.value().clone(),
                ]
            }
        };
        let flat: Vec<Tensor> = parts.iter().map(|t| t.flatten_all().unwrap()).collect();
        let flat = Tensor::cat(&flat, 0).unwrap();
        let loss = (&flat * tensor(&g, &[g.len()])).unwrap().sum_all().unwrap();
        let pulled = gradients(&loss, &vars).unwrap();
        let mut expected = numbers(&flat);
        expected[n..].iter_mut().zip(&before).for_each(|(v, before)| *v += before);
        let (of_points, others) = pulled.split_at(if k > 0 { 2 } else { 1 });
        expected.extend(of_points.iter().flat_map(|g| numbers(g.as_ref().unwrap())));
        expected.extend(&g[n..n + before.len()]);
        expected.extend(others.iter().flat_map(|g| numbers(g.as_ref().unwrap())));

        let (depth, activation) = (
            if net.kind == NetKind::Residual { 2 } else { 1 },
            match net.activation {
                Activation::Relu => 0,
                Activation::Silu => 1,
                Activation::Tanh => 2,
                _ => 3,
            },
        );
        let (keep, moved) = (&self.keep, &self.moved);
        let sizes = format!(
            "{points} {k} {} {dim} {} {} {context_dim} {} {} {depth} {} {activation} {} 0 {} 3 {:e} {}",
            u8::from(has_before),
            keep.len(),
            moved.len(),
            net.hidden,
            net.blocks,
            u8::from(net.gate && context_dim > 0),
            self.bins,
            u8::from(direction == Direction::Inverse),
            (net.hidden as f64).sqrt().recip(),
            // So that sums over rows are in parts too.
            1 + points / 10,
        );
        let index = |all: &[usize]| all.iter().map(|&k| k as f64).collect::<Vec<_>>();
        let x = [x, before].concat();
        let arrays = [&index(keep), &index(moved), &x, &context, &weights, &g];
        let found = call(program, kind, dtype, &sizes, &arrays.map(Vec::as_slice));
        assert_eq!(found.len(), expected.len(), "how many numbers");
        let tolerance = if dtype == DType::F64 { 1e-10 } else { 3e-3 };
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            let near = (a - b).abs() <= tolerance * (1. + b.abs());
            let config = &self.config;
            let what = format!("{i} of {points} points, {k} tangents, kernels {kind}");
            assert!(near, "{what}, {direction:?}, {dtype:?}, {config:?}: {a}, not {b}");
        }
    }
}

#[test]
fn couplings_are_those_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("coupling", folder.path()) else { return };
    let net = |hidden, blocks, kind, activation| {
        let mut net = NetConfig::default();
        (net.hidden, net.blocks, net.kind, net.activation) = (hidden, blocks, kind, activation);
        net
    };
    let (residual, mlp) = (NetKind::Residual, NetKind::Mlp);
    let mut open = net(6, 2, residual, Activation::Silu);
    open.gate = false;
    let cases = [
        Coupling::new(3, Mask::Even, 0, 4, net(20, 2, residual, Activation::Relu)),
        Coupling::new(4, Mask::Odd, 2, 3, net(7, 1, residual, Activation::Silu)),
        Coupling::new(4, Mask::Odd, 2, 3, open),
        Coupling::new(2, Mask::Even, 1, 5, net(18, 0, residual, Activation::Tanh)),
        Coupling::new(5, Mask::Even, 0, 2, net(33, 2, mlp, Activation::Gelu)),
        // The input of the network is wider than two hidden layers.
        Coupling::new(9, Mask::Even, 11, 2, net(5, 2, mlp, Activation::Silu)),
        Coupling::new(1, Mask::Even, 3, 3, net(5, 1, mlp, Activation::Relu)),
    ];
    let (single, double) = (DType::F32, DType::F64);
    for (i, coupling) in cases.iter().enumerate() {
        for direction in [Direction::Forward, Direction::Inverse] {
            let check = |kind, points, k, dtype| {
                coupling.check(&program, (kind, points, k), direction, dtype);
            };
            check("values", 37, 0, double);
            check("16", 11, 2, double);
            check("32", 3, 16, double);
            if i < 2 {
                check("values", 16, 0, single);
                check("values", 1, 0, double);
                check("16", 3, 15, double);
                check("16", 11, 2, single);
            }
        }
    }
}

fn check_lu(program: &Path, d: usize, points: usize, k: usize, direction: Direction, dtype: DType) {
    let mut store = ParamStore::new(1, dtype, CPU);
    let layer = store.build(|_| true, |params| LuLinearConfig::new(d).build(params)).unwrap();
    let theta = store.parameters().next().unwrap().var.clone();
    let numbers_of = |purpose: &str, n: usize| Stream::new(7, purpose).normal(n);
    let tensor = |v: &[f64], shape: &[usize]| {
        Tensor::from_slice(v, shape, CPU).unwrap().to_dtype(dtype).unwrap()
    };
    let all = points * (1 + k);
    let weights: Vec<f64> =
        numbers_of("weights", theta.elem_count()).iter().map(|v| 0.5 * v).collect();
    theta.set(&tensor(&weights, &[weights.len()])).unwrap();
    let (x, g) = (numbers_of("points", all * d), numbers_of("cotangents", all * d + points));
    let (value, rows) = x.split_at(points * d);
    let value = Var::from_tensor(&tensor(value, &[points, d])).unwrap();
    let rows = Var::from_tensor(&tensor(rows, &[points, k, d])).unwrap();
    let dual = Dual::new(value.as_tensor().clone(), rows.as_tensor().clone()).unwrap();
    let mapped = layer.push(direction, &dual, None).unwrap();
    let parts =
        [mapped.value.value(), mapped.value.tangents().unwrap(), mapped.log_abs_det.value()];
    let flat = parts.map(|t| t.flatten_all().unwrap());
    let flat = Tensor::cat(&flat, 0).unwrap();
    let loss = (&flat * tensor(&g, &[g.len()])).unwrap().sum_all().unwrap();
    let mut expected = numbers(&flat);
    let pulled = gradients(&loss, &[value, rows, theta]).unwrap();
    let pulled: Vec<Vec<f64>> = pulled.iter().map(|g| numbers(g.as_ref().unwrap())).collect();
    // The log-dets of a layer before, in one of the directions: they are added to, and have the same cotangents.
    let inverse = u8::from(direction == Direction::Inverse);
    let before = numbers_of("before", points * usize::from(inverse));
    expected[all * d..].iter_mut().zip(&before).for_each(|(v, before)| *v += before);
    expected.extend(pulled[..2].concat());
    expected.extend(&g[all * d..all * d + before.len()]);
    expected.extend(&pulled[2]);

    let sizes = format!("{d} {inverse} 1e-3 {inverse} {points} {all} {}", 1 + all / 30);
    let x = [x, before].concat();
    let found = call(program, "all", dtype, &sizes, &[&x, &weights, &g]);
    assert_eq!(found.len(), expected.len(), "how many numbers");
    let tolerance = if dtype == DType::F64 { 1e-10 } else { 3e-3 };
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        let near = (a - b).abs() <= tolerance * (1. + b.abs());
        assert!(near, "{i} of {points} points in {d}, {direction:?}, {dtype:?}: {a}, not {b}");
    }
}

#[test]
fn linear_maps_are_those_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build("lu", folder.path()) else { return };
    for direction in [Direction::Forward, Direction::Inverse] {
        for (d, points, k) in [(1, 3, 1), (3, 16, 2), (5, 7, 4), (17, 5, 1)] {
            check_lu(&program, d, points, k, direction, DType::F64);
        }
        check_lu(&program, 3, 37, 2, direction, DType::F32);
    }
}
