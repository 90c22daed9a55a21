//! Agreement with the Python package nflows: `tests/fixtures` holds what its transforms compute.
//!
//! `xtask/fixtures` makes the files; its README has the formulas, the layouts and nflows's own
//! errors. A map that has a counterpart there is one line in [`cases`].
use crate::cases::{DIRECTIONS, composed, net};
use crate::numbers::{device, gap_of, identity_rows, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor, safetensors};
use mflow_bijectors::{
    ActNormConfig, Activation, AffineScale, AutoregressiveConfig, BatchNormConfig, Bijector,
    BijectorConfig, CouplingConfig, Diff, Direction, Dual, Function, FunctionConfig,
    ImageCouplingConfig, LuLinearConfig, Mask, NetConfig, Order, OrthogonalConfig, ParamStore,
    PermutationConfig, QrLinearConfig, SqueezeConfig, SvdLinearConfig, UnivariateConfig,
    from_nflows,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Named = BTreeMap<String, Tensor>;

/// One file: what nflows computed, and the parameters, under our names once adapted.
struct Fixture {
    parameters: Named,
    /// The masks of masked layers, under the names of their weights.
    masks: Named,
    x: Tensor,
    context: Option<Tensor>,
    y: Tensor,
    log_det: Tensor,
}

/// A map that nflows has too.
struct Case {
    /// Name of the fixture.
    name: &'static str,
    config: BijectorConfig,
    /// Does to the fixture what [`from_nflows`] cannot.
    adapt: fn(&mut Fixture),
}

fn same(name: &'static str, config: BijectorConfig) -> Case {
    adapted(name, config, |_| ())
}

fn adapted(name: &'static str, config: BijectorConfig, adapt: fn(&mut Fixture)) -> Case {
    Case { name, config, adapt }
}

/// Every map that nflows has too. nflows's `MADE` with a context is missing on purpose: it adds the
/// context in each block, where ours gates the block with it, as residual networks do everywhere.
fn cases() -> Vec<Case> {
    use BijectorConfig as B;
    let (bins, tail_bound) = (5, 3.);
    let rational = UnivariateConfig::RationalQuadratic { bins, tail_bound };
    let affine = |scale| UnivariateConfig::Affine { scale };
    let residual = |blocks| net(8, blocks, Activation::Relu);
    let coupling = |mask, map| CouplingConfig::new(5, mask).with_map(map).with_net(residual(1));
    let even = |map| B::Coupling(coupling(Mask::Even, map));
    let image = ImageCouplingConfig::new(&[4, 4, 4], Mask::Even)
        .with_map(rational.clone())
        .with_net(NetConfig::new(6, 1));
    let made =
        |map, net| B::Autoregressive(AutoregressiveConfig::new(4).with_map(map).with_net(net));
    let function = |function| B::Function(FunctionConfig::new(&[5], function));
    let times = |scale| function(Function::Affine { shift: 0., scale });
    let permutation = |dim, order| B::Permutation(PermutationConfig::new(dim).with_order(order));
    let act_norm = |channels, side| B::Pixelwise {
        height: side,
        width: side,
        of: Box::new(B::ActNorm(ActNormConfig::new(channels))),
    };
    let squeeze = |shape: [usize; 3]| B::Squeeze(SqueezeConfig::new(&shape));
    let chain = |layers| B::Chain { layers };
    vec![
        same("coupling_rq", even(rational.clone())),
        same(
            "coupling_rq_context",
            B::Coupling(
                coupling(Mask::Odd, rational.clone()).with_context(2).with_net(residual(2)),
            ),
        ),
        same(
            "coupling_rq_unconditional",
            B::Coupling(coupling(Mask::Even, rational.clone()).with_identity(rational.clone())),
        ),
        same("coupling_rq_image", B::ImageCoupling(image)),
        same("coupling_linear", even(UnivariateConfig::LinearSpline { bins, tail_bound })),
        same("coupling_quadratic", even(UnivariateConfig::QuadraticSpline { bins, tail_bound })),
        same("coupling_cubic", even(UnivariateConfig::CubicSpline { bins, tail_bound })),
        same("coupling_affine", B::Coupling(coupling(Mask::Odd, affine(AffineScale::Sigmoid)))),
        same("coupling_additive", even(UnivariateConfig::Additive)),
        same("made_rq", made(rational, residual(1))),
        same("made_affine", made(affine(AffineScale::Softplus), residual(1))),
        same("made_affine_feedforward", made(affine(AffineScale::Softplus), NetConfig::mlp(8, 2))),
        same("lu", B::LuLinear(LuLinearConfig::new(5))),
        same("qr", B::QrLinear(QrLinearConfig::new(5).with_reflections(3))),
        same("svd", B::SvdLinear(SvdLinearConfig::new(5).with_reflections(4))),
        same("orthogonal", B::Orthogonal(OrthogonalConfig::new(5).with_reflections(3))),
        same("actnorm", B::ActNorm(ActNormConfig::new(5))),
        same("actnorm_image", act_norm(3, 4)),
        same("batchnorm", B::BatchNorm(BatchNormConfig::new(5))),
        same("squeeze", squeeze([4, 4, 3])),
        same(
            "conv1x1",
            B::Pixelwise {
                height: 4,
                width: 4,
                of: Box::new(chain(vec![
                    permutation(3, Order::Random),
                    B::LuLinear(LuLinearConfig::new(3)),
                ])),
            },
        ),
        same("permutation_reverse", permutation(5, Order::Reverse)),
        adapted(
            "multiscale",
            B::Multiscale {
                levels: vec![
                    chain(vec![squeeze([8, 8, 2]), act_norm(8, 4)]),
                    chain(vec![squeeze([4, 4, 4]), act_norm(16, 2)]),
                    act_norm(8, 2),
                ],
            },
            levels_channels_last,
        ),
        adapted("log_tanh", function(Function::LogTanh { cut: CUT }), keep_below_cut),
        same("leaky_relu", function(Function::LeakyRelu { slope: 0.1 })),
        same("tanh", function(Function::Tanh)),
        same("sigmoid", chain(vec![times(1.5), function(Function::Sigmoid)])),
        same(
            "logit",
            chain(vec![B::Inverted { of: Box::new(function(Function::Sigmoid)) }, times(1. / 1.5)]),
        ),
    ]
}

/// The files, from the package's folder, where tests run.
fn folder() -> &'static Path {
    Path::new("tests/fixtures")
}

fn read(name: &str) -> Named {
    let path = folder().join(format!("{name}.safetensors"));
    safetensors::load(path, device()).unwrap().into_iter().collect()
}

impl Fixture {
    fn load(case: &Case) -> Self {
        let mut file = read(case.name);
        let (mut state, mut masks) = (Named::new(), Named::new());
        for (name, t) in &file {
            let Some(name) = name.strip_prefix("param.") else { continue };
            match name.strip_suffix(".mask") {
                Some(of) => masks.insert(format!("{of}.weight"), t.clone()),
                None => state.insert(name.to_owned(), t.clone()),
            };
        }
        let parameters = from_nflows(state, &case.config).unwrap();
        let masks = match masks.is_empty() {
            true => masks,
            false => from_nflows(masks, &case.config).unwrap(),
        };
        let mut take = |name: &str| file.remove(name);
        let context = take("context");
        let [x, y, log_det] = ["x", "y", "log_det"].map(|name| take(name).unwrap());
        let [x, y] = [x, y].map(|t| channels_last(&t));
        let mut fixture = Self { parameters, masks, x, context, y, log_det };
        (case.adapt)(&mut fixture);
        fixture
    }

    /// The map, with these parameters.
    fn build(&self, config: &BijectorConfig, dtype: DType) -> (ParamStore, Arc<dyn Bijector>) {
        let mut store = ParamStore::from_named(self.parameters.clone(), dtype, device());
        let map = store.build(|_| true, |p| config.build(p)).unwrap();
        (store, map)
    }
}

/// Images are `[C, H, W]` there and `[H, W, C]` here.
fn channels_last(t: &Tensor) -> Tensor {
    match t.rank() {
        4 => t.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap(),
        _ => t.clone(),
    }
}

/// What the levels of the case `multiscale` give out, in the order of its images.
fn levels_channels_last(fixture: &mut Fixture) {
    let rows = fixture.y.dim(0).unwrap();
    let mut start = 0;
    let parts = [[4, 4, 4], [8, 2, 2], [8, 2, 2]].map(|[c, h, w]| {
        let part = fixture.y.narrow(1, start, c * h * w).unwrap();
        start += c * h * w;
        channels_last(&part.reshape((rows, c, h, w)).unwrap()).flatten_from(1).unwrap()
    });
    fixture.y = Tensor::cat(&parts, 1).unwrap();
}

/// Where the logarithm takes over in `log_tanh`.
const CUT: f64 = 1.;

/// Beyond the cut nflows means to match the slope but does not, and ours does: there the maps
/// differ, and [`log_tanh_is_its_formula`] checks ours. Such elements become 0, where both maps are
/// 0 with slope 1, and nflows's part of the log-det for them, `ln(a/|x|)`, is taken away.
fn keep_below_cut(fixture: &mut Fixture) {
    let slope = 1. - CUT.tanh().tanh();
    let x = numbers(&fixture.x);
    let (mut log_det, columns) = (numbers(&fixture.log_det), fixture.x.dim(1).unwrap());
    for (i, v) in x.iter().enumerate().filter(|(_, v)| v.abs() > CUT) {
        log_det[i / columns] -= (slope / v.abs()).ln();
    }
    let keep = |t: &Tensor| {
        let kept = numbers(t).into_iter().zip(&x).map(|(t, x)| if x.abs() > CUT { 0. } else { t });
        tensor(kept.collect(), t.dims())
    };
    fixture.log_det = tensor(log_det, fixture.log_det.dims());
    (fixture.x, fixture.y) = (keep(&fixture.x), keep(&fixture.y));
}

/// The largest gap to a file.
struct Disagreement {
    /// Over what is allowed there.
    excess: f64,
    place: String,
}

impl Fixture {
    /// The worst entry of values and log-dets, both ways. The inverse of `y` has to be `x`, not
    /// what nflows's inverse makes of it: that of its linear spline is wrong by 1e-3.
    fn disagreement(&self, config: &BijectorConfig, dtype: DType) -> Disagreement {
        let (_, map) = self.build(config, dtype);
        let to = |t: &Tensor| t.to_dtype(dtype).unwrap();
        let context = self.context.as_ref().map(to);
        let mut worst = Disagreement { excess: 0., place: "nowhere".into() };
        for direction in DIRECTIONS {
            let (from, value, log_det) = match direction {
                Direction::Forward => (&self.x, &self.y, self.log_det.clone()),
                Direction::Inverse => (&self.y, &self.x, self.log_det.neg().unwrap()),
            };
            let mapped = map.map(direction, &to(from), context.as_ref()).unwrap();
            let [of_value, of_log_det] = self.tolerances(config, direction, from, dtype);
            for (what, found, expected, tolerances) in [
                ("value", &mapped.value, value, of_value),
                ("log-det", &mapped.log_abs_det, &log_det, of_log_det),
            ] {
                assert_eq!(found.dims(), expected.dims(), "shape of the {direction:?} {what}");
                for (row, tolerance) in tolerances.into_iter().enumerate() {
                    let at = |t: &Tensor| numbers(&t.get(row).unwrap());
                    let gap = gap_of(&at(found), &at(expected));
                    if gap / tolerance > worst.excess {
                        let place = format!(
                            "{dtype:?} {direction:?} {what}, row {row}: \
                             {gap:.1e} over {tolerance:.1e}"
                        );
                        worst = Disagreement { excess: gap / tolerance, place };
                    }
                }
            }
        }
        worst
    }

    /// For values and for log-dets what each row is allowed, relative to `1 + |expected|`: 1e-10 in
    /// f64; in f32 1e-5 or, where that is more, 2e-6 times the row's condition number.
    ///
    /// A map in f32 is at best the exact map of a point that was rounded. The first derivatives
    /// (the norm `max_i Σ_j |dy_i/dx_j|` of values, `Σ_j |dl/dx_j|` of log-dets) say what that
    /// does: where bins are nearly flat, an inverse is 7000 times as steep in one row of `made_rq`,
    /// and 260 times in one of `coupling_linear`. 2e-6 is 17 roundings; on the machine that this
    /// was written on the worst row needs 8, and nearly all need less than 4.
    fn tolerances(
        &self,
        config: &BijectorConfig,
        direction: Direction,
        from: &Tensor,
        dtype: DType,
    ) -> [Vec<f64>; 2] {
        let rows = from.dim(0).unwrap();
        if dtype == DType::F64 {
            return [vec![1e-10; rows], vec![1e-10; rows]];
        }
        let (_, exact) = self.build(config, DType::F64);
        let n = from.elem_count() / rows;
        let axes = [&[rows, n], &from.dims()[1..]].concat();
        let unit = identity_rows(rows, n, DType::F64).reshape(axes).unwrap();
        let point = Dual::new(from.clone(), unit).unwrap().with_log_det();
        let context = self.context.as_ref().map(Dual::constant);
        let pushed = exact.push(direction, &point, context.as_ref()).unwrap();
        // Tangent j of a point is the derivative by its element j.
        let sums = |t: Option<&Tensor>| match t {
            Some(t) => t.reshape((rows, n, ())).unwrap().abs().unwrap().sum(1).unwrap(),
            None => Tensor::zeros((rows, 1), DType::F64, device()).unwrap(),
        };
        [pushed.value.tangents(), pushed.log_abs_det.tangents()].map(|t| {
            let conditions = numbers(&sums(t).max(1).unwrap());
            conditions.into_iter().map(|k| (2e-6 * k).max(1e-5)).collect()
        })
    }
}

/// Fails unless every case agrees, by kernels and by tensor operations.
fn agree(dtype: DType) {
    let mut found = vec![];
    for case in cases() {
        let fixture = Fixture::load(&case);
        for (route, config) in [("", case.config.clone()), (" composed", composed(&case.config))] {
            let Disagreement { excess, place } = fixture.disagreement(&config, dtype);
            if excess > 1. {
                found.push(format!("{}{route}: {place}", case.name));
            }
        }
    }
    assert!(found.is_empty(), "nflows has other numbers:\n{}", found.join("\n"));
}

#[test]
fn double_precision_agrees() {
    agree(DType::F64);
}

#[test]
fn single_precision_agrees() {
    agree(DType::F32);
}

/// Else agreement would say nothing about it.
#[test]
fn each_parameter_is_noticed() {
    for case in cases() {
        let mut fixture = Fixture::load(&case);
        for (name, old) in fixture.parameters.clone() {
            if old.dtype() != DType::F64 {
                continue;
            }
            // Not the same for all entries: softmax and the length of a vector would hide that.
            let n = old.elem_count();
            let ramp = tensor((0..n).map(|i| 1e-4 * (1 + i) as f64).collect(), old.dims());
            fixture.parameters.insert(name.clone(), (&old + ramp).unwrap());
            let Disagreement { excess, .. } = fixture.disagreement(&case.config, DType::F64);
            assert!(excess > 1e3, "{}: a change of {name} is worth {excess:.1e}", case.name);
            fixture.parameters.insert(name, old);
        }
    }
}

#[test]
fn every_fixture_is_claimed_once() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let claimed = cases().into_iter().map(|case| case.name);
    let mut expected: Vec<String> = claimed.map(|name| format!("{name}.safetensors")).collect();
    files.sort_unstable();
    expected.sort_unstable();
    assert_eq!(files, expected, "the files, and the cases");
}

#[test]
fn fixtures_are_double_precision_and_small() {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        bytes += path.metadata().unwrap().len();
        for (name, t) in read(path.file_stem().unwrap().to_str().unwrap()) {
            assert_eq!(t.dtype(), DType::F64, "{}: {name}", path.display());
        }
    }
    assert!(bytes > 0 && bytes < 2_000_000, "all fixtures: {bytes} bytes");
}

/// A weight that is masked out has no gradient; any other has one if activations are never flat.
#[test]
fn masks_are_those_of_nflows() {
    let mut compared = 0;
    for case in cases() {
        let fixture = Fixture::load(&case);
        let BijectorConfig::Autoregressive(config) = case.config else { continue };
        let net = config.net.clone().with_activation(Activation::Silu);
        let config = BijectorConfig::Autoregressive(config.with_net(net));
        let (store, map) = fixture.build(&config, DType::F64);
        // Enough points that every bin of a spline has some.
        let x = (normal("x", &[512, 4]) * 1.7).unwrap();
        let y = map.forward(&x, None).unwrap().value;
        let weighted = (&y * normal("weights", y.dims())).unwrap();
        let gradients = weighted.sum_all().unwrap().backward().unwrap();
        for parameter in store.parameters() {
            let gradient = gradients.get(&parameter.var).unwrap();
            for (name, gradient) in parameter.to_named(gradient).unwrap() {
                let Some(mask) = fixture.masks.get(&name) else {
                    assert!(name.ends_with("bias"), "{}: {name} has no mask there", case.name);
                    continue;
                };
                assert_eq!(gradient.dims(), mask.dims(), "{}: {name}", case.name);
                let free: Vec<f64> =
                    numbers(&gradient).iter().map(|g| f64::from(*g != 0.)).collect();
                assert_eq!(free, numbers(mask), "{}: mask of {name}", case.name);
                compared += 1;
            }
        }
    }
    // Four maps in each net: the first, two in blocks, the last.
    assert_eq!(compared, 12, "all masks are compared");
}

/// Unlike nflows's, see [`keep_below_cut`], so that the fixture does not cover it.
#[test]
fn log_tanh_is_its_formula() {
    let config = FunctionConfig::new(&[1], Function::LogTanh { cut: CUT });
    let map =
        ParamStore::new(0, DType::F64, device()).build(|_| true, |p| config.build(p)).unwrap();
    let x = numbers(&read("log_tanh")["x"]);
    let a = CUT * (1. - CUT.tanh().powi(2));
    let formula = |x: f64| match x.abs() {
        size if size <= CUT => (x.tanh(), (1. - x.tanh().powi(2)).ln()),
        size => (x.signum() * (CUT.tanh() + a * (size / CUT).ln()), (a / size).ln()),
    };
    let (y, log_slopes): (Vec<f64>, Vec<f64>) = x.iter().map(|x| formula(*x)).unzip();
    let negated: Vec<f64> = log_slopes.iter().map(|l| -l).collect();
    let beyond = x.iter().filter(|x| x.abs() > CUT).count();
    assert!(beyond > 10 && x.len() - beyond > 10, "{beyond} of {} are beyond the cut", x.len());
    for (direction, from, value, log_det) in
        [(Direction::Forward, &x, &y, &log_slopes), (Direction::Inverse, &y, &x, &negated)]
    {
        let mapped = map.map(direction, &tensor(from.clone(), &[x.len(), 1]), None).unwrap();
        let gaps = [
            gap_of(&numbers(&mapped.value), value),
            gap_of(&numbers(&mapped.log_abs_det), log_det),
        ];
        assert!(gaps.iter().all(|gap| *gap < 1e-13), "{direction:?}: gaps {gaps:?}");
    }
}
