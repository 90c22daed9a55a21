//! The CUDA kernels, compiled as C++ and run on the CPU, one thread after the other. Oracle: the CPU kernels that they
//! mirror, and candle's `backward` through these.
use crate::numbers::{log_abs_det, numbers};
use mflow_bijectors::candle::{DType, Device, Tensor, Var};
use mflow_bijectors::{
    Activation, Bijector, CouplingConfig, Diff, Direction, Dual, Gradient, LuLinearConfig, Mask,
    NetConfig, NetKind, ParamStore, RationalQuadratic, ScalarMap, Stream, Univariate, gradients,
};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CPU: &Device = &Device::Cpu;

/// The program of this name, built in `folder`; none where there is no C++ compiler, which mflow itself does not need.
fn build(name: &str, folder: &Path) -> Option<PathBuf> {
    if Command::new("c++").arg("--version").output().is_err() {
        let mut out = std::io::stderr();
        writeln!(out, "NOT TESTED: there is no C++ compiler called c++").expect("standard error");
        return None;
    }
    // From the package's folder, where tests run.
    let sources = Path::new("tests/support/cuda");
    let program = folder.join(name);
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++20", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror"]);
    compiler
        .args(["-Wno-unknown-pragmas", "-o"])
        .arg(&program)
        .arg(sources.join(format!("{name}.cpp")));
    assert!(compiler.status().expect("a C++ compiler called c++").success(), "{name}: compiles");
    Some(program)
}

/// The numbers that `program` gives for a call.
fn call(program: &Path, kernel: &str, dtype: DType, sizes: &str, arrays: &[&[f64]]) -> Vec<f64> {
    let mut input = format!("{sizes}\n");
    for v in arrays.iter().flat_map(|array| array.iter()) {
        writeln!(input, "{v:e}").expect("a text");
    }
    let mut command = Command::new(program);
    command.args([kernel, dtype.as_str()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("is piped");
    // In its own thread, so that neither pipe can fill up.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads");
    assert!(output.status.success(), "{kernel}");
    let text = String::from_utf8(output.stdout).expect("a text");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

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

    fn check(&self, program: &Path, rows: usize, direction: Direction, dtype: DType) {
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
        theta.set(&tensor(&weights, &[weights.len()])).unwrap();
        let x: Vec<f64> = numbers_of("points", rows * dim).iter().map(|v| 1.5 * v).collect();
        let context = numbers_of("context", rows * context_dim);
        let g = numbers_of("cotangents", rows * (dim + 1));
        let (g_y, g_l) = g.split_at(rows * dim);

        let x_var = Var::from_tensor(&tensor(&x, &[rows, dim])).unwrap();
        let mut vars = vec![x_var.clone()];
        let of_context = (context_dim > 0).then(|| tensor(&context, &[rows, context_dim]));
        let of_context = of_context.map(|c| Var::from_tensor(&c).unwrap());
        vars.extend(of_context.clone());
        vars.push(theta);
        let c = of_context.as_ref().map(Var::as_tensor);
        let mapped = layer.map(direction, &x_var, c).unwrap();
        let loss = (&mapped.value * tensor(g_y, &[rows, dim])).unwrap().sum_all().unwrap();
        let of_log_det = (&mapped.log_abs_det * tensor(g_l, &[rows])).unwrap().sum_all().unwrap();
        let pulled = gradients(&(loss + of_log_det).unwrap(), &vars).unwrap();
        let mut expected = [numbers(&mapped.value), numbers(&mapped.log_abs_det)].concat();
        expected.extend(pulled.iter().flat_map(|g| numbers(g.as_ref().unwrap())));

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
            "{rows} {dim} {} {} {context_dim} {} {} {depth} {activation} {} 0 {} 3 {:e}",
            keep.len(),
            moved.len(),
            net.hidden,
            net.blocks,
            self.bins,
            u8::from(direction == Direction::Inverse),
            (net.hidden as f64).sqrt().recip(),
        );
        let index = |all: &[usize]| all.iter().map(|&k| k as f64).collect::<Vec<_>>();
        let arrays = [&index(keep), &index(moved), &x, &context, &weights, &g];
        let found = call(program, "all", dtype, &sizes, &arrays.map(Vec::as_slice));
        assert_eq!(found.len(), expected.len(), "how many numbers");
        let tolerance = if dtype == DType::F64 { 1e-10 } else { 3e-3 };
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            let near = (a - b).abs() <= tolerance * (1. + b.abs());
            let config = &self.config;
            assert!(near, "{i} of {rows} rows, {direction:?}, {dtype:?}, {config:?}: {a}, not {b}");
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
        // No kernel has gates.
        net.gate = false;
        net
    };
    let (residual, mlp) = (NetKind::Residual, NetKind::Mlp);
    let cases = [
        Coupling::new(3, Mask::Even, 0, 4, net(20, 2, residual, Activation::Relu)),
        Coupling::new(4, Mask::Odd, 2, 3, net(7, 1, residual, Activation::Silu)),
        Coupling::new(2, Mask::Even, 1, 5, net(18, 0, residual, Activation::Tanh)),
        Coupling::new(5, Mask::Even, 0, 2, net(33, 2, mlp, Activation::Gelu)),
        Coupling::new(1, Mask::Even, 3, 3, net(5, 1, mlp, Activation::Relu)),
    ];
    for coupling in &cases {
        for direction in [Direction::Forward, Direction::Inverse] {
            for (rows, dtype) in
                [(1, DType::F64), (16, DType::F64), (37, DType::F64), (37, DType::F32)]
            {
                coupling.check(&program, rows, direction, dtype);
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
    expected.extend(pulled.iter().flat_map(|g| numbers(g.as_ref().unwrap())));

    let inverse = u8::from(direction == Direction::Inverse);
    let sizes = format!("{d} {inverse} 1e-3 {points} {all}");
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
