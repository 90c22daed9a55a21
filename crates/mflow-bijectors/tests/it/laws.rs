//! The table of maps, whose laws are those that the crate offers to everyone.
use crate::cases::{Case, net, small, small_flow};
use mflow_bijectors::AffineScale::{Sigmoid, Softplus};
use mflow_bijectors::BijectorConfig::{
    ActNorm, AngleShift, BatchNorm, Chain, Gaussianize, Inversion, Inverted, Orthogonal,
    Permutation, QrLinear, Reshape, Scaling, SpecialConformal, Squeeze, SvdLinear, TanhMixture,
};
use mflow_bijectors::UnivariateConfig::Additive;
use mflow_bijectors::{
    ActNormConfig, Activation, AffineScale, AngleShiftConfig, AutoregressiveConfig,
    BatchNormConfig, BijectorConfig, CircularCouplingConfig, CouplingConfig, ElementwiseConfig,
    FeatureAffineConfig, FlowConfig, Function, FunctionConfig, GaussianizeConfig, GlowConfig,
    ImageCouplingConfig, ImageFlowConfig, InversionConfig, LinearKind, LuLinearConfig, Mask,
    NetConfig, Norm, Order, OrthogonalConfig, PermutationConfig, QrLinearConfig, ReshapeConfig,
    ResidualBlockConfig, ScalingConfig, SpecialConformalConfig, SplineFlowConfig, SqueezeConfig,
    SvdLinearConfig, TanhMixtureConfig, UnivariateConfig, laws,
};

macro_rules! laws_hold_for {
    ($($name:ident: $case:expr;)*) => {
        mod of {
            use super::*;

            $(#[test]
            fn $name() {
                check_laws(stringify!($name), &$case);
            })*
        }
    };
}

laws_hold_for! {
    permutation: Case::new(permuting(5));
    permutation_of_one: Case::new(permuting(1));
    lu: Case::new(lu_linear(4));
    lu_of_one: Case::new(lu_linear(1));
    feature_affine: Case::new(affine());
    permutation_reverse: Case::new(Permutation(PermutationConfig::new(4).with_order(Order::Reverse)));
    permutation_kept_first: Case::new(Permutation(
        PermutationConfig::new(5).with_order(Order::KeptFirst(Mask::Moved(vec![0, 3])))));
    permutation_listed: Case::new(Permutation(
        PermutationConfig::new(3).with_order(Order::Listed(vec![2, 0, 1]))));
    qr: Case::new(QrLinear(QrLinearConfig::new(4)));
    qr_of_one: Case::new(QrLinear(QrLinearConfig::new(1)));
    svd: Case::new(SvdLinear(SvdLinearConfig::new(4)));
    svd_odd: Case::new(SvdLinear(SvdLinearConfig::new(3).with_reflections(3)));
    orthogonal: Case::new(Orthogonal(OrthogonalConfig::new(5)));
    orthogonal_of_one: Case::new(Orthogonal(OrthogonalConfig::new(1))).identity();
    act_norm: Case::new(ActNorm(ActNormConfig::new(3)));
    batch_norm: Case::new(BatchNorm(BatchNormConfig::new(3)));
    gaussianize: Case::new(Gaussianize(GaussianizeConfig::new(3))).observed();

    scaling: Case::new(Scaling(ScalingConfig::new(3)));
    special_conformal: Case::new(SpecialConformal(SpecialConformalConfig::new(3))).gain(0.2).spread(0.7);
    special_conformal_of_two:
        Case::new(SpecialConformal(SpecialConformalConfig::new(2))).gain(0.2).spread(0.7);
    inversion: Case::new(Inversion(InversionConfig::new(3)));
    conformal_flow: Case::new(angle_preserving()).gain(0.2).spread(0.7);

    leaky_relu: Case::new(function(&[3], Function::LeakyRelu { slope: 0.2 }));
    tanh: Case::new(function(&[3], Function::Tanh)).spread(0.8);
    log_tanh: Case::new(function(&[3], Function::LogTanh { cut: 1.2 })).reach(100.);
    sigmoid: Case::new(function(&[2, 2], Function::Sigmoid)).spread(1.);
    softplus: Case::new(function(&[4], Function::Softplus));
    scalar_affine: Case::new(function(&[3], Function::Affine { shift: 0.5, scale: -2. }));
    logit: Case::new(Inverted { of: Box::new(function(&[3], Function::Sigmoid)) });

    reshape: Case::new(Reshape(ReshapeConfig::new(&[2, 3], &[6])));
    squeeze: Case::new(Squeeze(SqueezeConfig::new(&[4, 2, 2])));
    squeeze_by_three: Case::new(Squeeze(SqueezeConfig::new(&[3, 6, 1]).with_factor(3)));
    one_by_one_convolution: Case::new(pixelwise(lu_linear(3)));
    act_norm_of_images: Case::new(pixelwise(ActNorm(ActNormConfig::new(3))));
    concat: Case::new(side_by_side()).spread(1.);
    multiscale: Case::new(levels()).entries(1);

    coupling: Case::coupling(small(3, Mask::Even));
    coupling_odd: Case::coupling(small(3, Mask::Odd));
    coupling_context: Case::coupling(small(3, Mask::Even).with_context(2));
    coupling_context_odd: Case::coupling(small(3, Mask::Odd).with_context(1));
    coupling_of_one: Case::coupling(small(1, Mask::Odd));
    coupling_of_one_context: Case::coupling(small(1, Mask::Even).with_context(2));
    coupling_of_two: Case::coupling(small(2, Mask::Odd));
    coupling_of_two_tanh: Case::coupling(small(2, Mask::Even).with_net(net(7, 2, Activation::Tanh)));
    coupling_of_six: Case::coupling(small(6, Mask::Odd).with_context(2));
    coupling_explicit: Case::coupling(small(6, Mask::Moved(vec![5, 0, 3])));
    coupling_moves_all: Case::coupling(small(3, Mask::Moved(vec![0, 1, 2])).with_context(2));
    coupling_moves_all_alone: Case::coupling(small(2, Mask::Moved(vec![1, 0])));
    coupling_tanh_context:
        Case::coupling(small(3, Mask::Odd).with_context(3).with_net(net(9, 2, Activation::Tanh)));
    coupling_relu: Case::coupling(small(4, Mask::Even).with_net(net(16, 2, Activation::Relu)));
    coupling_relu_context:
        Case::coupling(small(3, Mask::Even).with_context(2).with_net(net(16, 2, Activation::Relu)));
    coupling_without_blocks:
        Case::coupling(small(3, Mask::Even).with_context(2).with_net(net(5, 0, Activation::Silu)));
    coupling_three_blocks:
        Case::coupling(small(3, Mask::Even).with_context(2).with_net(net(8, 3, Activation::Silu)));
    coupling_width_one: Case::coupling(small(3, Mask::Even).with_net(net(1, 1, Activation::Tanh)));
    coupling_one_bin: Case::coupling(small(3, Mask::Even).with_bins(1, 3.).with_context(1)).identity();
    coupling_two_bins: Case::coupling(small(3, Mask::Even).with_bins(2, 3.).with_context(1));
    coupling_ten_bins: Case::coupling(small(3, Mask::Odd).with_bins(10, 6.).with_context(1));
    coupling_narrow_box: Case::coupling(small(3, Mask::Odd).with_bins(4, 0.7));
    coupling_wide_box: Case::coupling(small(3, Mask::Even).with_bins(8, 25.)).gain(0.25);

    coupling_mlp: Case::coupling(small(3, Mask::Even).with_net(mlp(2)));
    coupling_mlp_context: Case::coupling(small(3, Mask::Odd).with_context(2).with_net(mlp(2)));
    coupling_mlp_without_blocks:
        Case::coupling(small(3, Mask::Odd).with_context(2).with_net(mlp(0)));
    coupling_without_gates:
        Case::coupling(small(3, Mask::Even).with_context(2).with_net(silu().with_gate(false)));
    coupling_gelu:
        Case::coupling(small(3, Mask::Even).with_context(2).with_net(net(8, 1, Activation::Gelu)));
    coupling_additive: Case::coupling(small(3, Mask::Even).with_map(Additive)).constant_log_det();
    coupling_additive_context:
        Case::coupling(small(4, Mask::Odd).with_context(2).with_map(Additive)).constant_log_det();
    coupling_affine: Case::coupling(small(3, Mask::Even).with_map(affine_by(EXP)));
    coupling_affine_context:
        Case::coupling(small(4, Mask::Odd).with_context(2).with_map(affine_by(EXP)));
    coupling_affine_sigmoid: Case::coupling(small(3, Mask::Odd).with_map(affine_by(Sigmoid)));
    coupling_affine_softplus:
        Case::coupling(small(3, Mask::Even).with_context(1).with_map(affine_by(Softplus)));
    coupling_linear: Case::coupling(small(3, Mask::Even).with_map(linear_splines(5)));
    coupling_linear_context:
        Case::coupling(small(4, Mask::Odd).with_context(2).with_map(linear_splines(3)));
    coupling_linear_one_bin:
        Case::coupling(small(3, Mask::Even).with_context(1).with_map(linear_splines(1))).identity();
    coupling_quadratic: Case::coupling(small(3, Mask::Even).with_map(quadratic_splines(5)));
    coupling_quadratic_context:
        Case::coupling(small(4, Mask::Odd).with_context(2).with_map(quadratic_splines(3)));
    coupling_quadratic_two_bins:
        Case::coupling(small(3, Mask::Even).with_context(1).with_map(quadratic_splines(2)));
    coupling_cubic: Case::coupling(small(3, Mask::Even).with_map(cubic_splines(5))).looser(2.);
    coupling_cubic_context:
        Case::coupling(small(4, Mask::Odd).with_context(2).with_map(cubic_splines(3))).looser(2.);
    coupling_cubic_one_bin:
        Case::coupling(small(3, Mask::Even).with_context(1).with_map(cubic_splines(1)));
    coupling_identity: Case::coupling(small(4, Mask::Even).with_context(2).with_identity(splines()));

    autoregressive: Case::autoregressive(made(3)).looser(5.);
    autoregressive_context: Case::autoregressive(made(4).with_context(2)).looser(5.);
    autoregressive_of_one: Case::autoregressive(made(1).with_context(1));
    autoregressive_of_two: Case::autoregressive(made(2));
    autoregressive_mlp: Case::autoregressive(made(3).with_context(2).with_net(mlp(1))).looser(5.);
    autoregressive_affine: Case::autoregressive(made(4).with_map(affine_by(EXP))).gain(0.6);
    autoregressive_affine_context:
        Case::autoregressive(made(3).with_context(2).with_map(affine_by(Softplus))).gain(0.6);

    elementwise: Case::new(BijectorConfig::Elementwise(ElementwiseConfig::new(&[4], splines())));
    elementwise_affine:
        Case::new(BijectorConfig::Elementwise(ElementwiseConfig::new(&[2, 3], affine_by(EXP))));
    elementwise_circular: Case::new(circular(&[3], 4));
    elementwise_circular_one_bin: Case::new(circular(&[2], 1));
    angle_shift: Case::new(AngleShift(AngleShiftConfig::new(3)));
    circular_flow: Case::new(circular_flow_of_two());
    circular_coupling: Case::new(of_angles(3, Mask::Even));
    circular_coupling_context: Case::new(with_context(of_angles(4, Mask::Moved(vec![2, 0]))));
    circular_coupling_of_one: Case::new(with_context(of_angles(1, Mask::Odd)));
    circular_coupling_rotation: Case::new(rotating(with_context(of_angles(3, Mask::Odd)))).constant_log_det();
    circular_coupling_flow: Case::new(circular_couplings()).looser(2.);
    image_coupling: Case::new(image(channels(Mask::Odd))).entries(1).looser(2.);
    image_coupling_context:
        Case::new(image(channels(Mask::Even).with_context(2))).entries(1).looser(2.);
    image_coupling_affine:
        Case::new(image(channels(Mask::Even).with_map(affine_by(EXP)))).entries(1);
    tanh_mixture: Case::new(TanhMixture(TanhMixtureConfig::new(&[3], 4)));
    tanh_mixture_of_images: Case::new(TanhMixture(TanhMixtureConfig::new(&[2, 1, 2], 1)));
    residual_block: Case::new(residual(ResidualBlockConfig::new(3)));
    residual_block_context: Case::new(residual(ResidualBlockConfig::new(3).with_context(2)));
    residual_block_tanh: Case::new(residual(
        ResidualBlockConfig::new(2).with_activation(Activation::Tanh).with_lipschitz(0.99))).looser(10.);
    residual_block_gelu:
        Case::new(residual(ResidualBlockConfig::new(4).with_activation(Activation::Gelu)));
    residual_block_of_one: Case::new(residual(ResidualBlockConfig::new(1)));
    partial: Case::new(partly(vec![3, 1], small(2, Mask::Even)));
    partial_context: Case::new(partly(vec![0, 2, 4], small(3, Mask::Odd).with_context(2)));

    inverted: Case::new(inverse_coupling());
    inverted_twice: Case::new(Inverted { of: Box::new(inverse_coupling()) });
    chain: Case::new(mixed_chain());
    chain_of_one: Case::new(Chain { layers: vec![lu_linear(3)] });
    chain_of_chains: Case::new(Chain { layers: vec![mixed_chain(), inverse_coupling()] })
        .looser(5.);

    nsf_coupling: Case::new(ready(FlowConfig::nsf_coupling(), 3, 2)).gain(0.7).entries(0).looser(10.);
    nsf_autoregressive:
        Case::new(ready(FlowConfig::nsf_autoregressive(), 3, 2)).gain(0.6).entries(0).looser(20.);
    real_nvp: Case::new(ready(FlowConfig::real_nvp(), 3, 2)).gain(0.4).entries(0).looser(10.);
    real_nvp_batch_norm: Case::new(ready(with_batch_norm(FlowConfig::real_nvp()), 2, 0))
        .gain(0.4).entries(0).looser(10.);
    maf: Case::new(ready(FlowConfig::maf(), 3, 2)).gain(0.3).entries(0).looser(10.);
    iaf: Case::new(ready(FlowConfig::iaf(), 3, 0)).gain(0.3).entries(0).looser(10.);
    nice: Case::new(ready(FlowConfig::nice(), 4, 2)).gain(0.5).entries(0).constant_log_det();
    glow: Case::new(small_glow()).gain(0.5).entries(0).looser(10.);
    image_flow: Case::new(small_image_flow(1, false)).gain(0.5).entries(0).looser(10.);
    image_flow_log_tanh: Case::new(small_image_flow(1, true)).gain(0.5).spread(0.3).reach(2.).entries(0).looser(10.);
    image_flow_unmixed: Case::new(small_image_flow(0, false)).gain(0.5).entries(0).looser(10.);

    flow: Case::flow(&small_flow(), 3, 0).looser(5.);
    flow_context: Case::flow(&small_flow(), 3, 2).looser(5.);
    flow_lu: Case::flow(&with_lu(small_flow()), 4, 0).gain(0.8).looser(10.);
    flow_lu_context: Case::flow(&with_lu(small_flow()), 2, 2).gain(0.8).looser(10.);
    flow_gaussianized: Case::flow(&gaussianized(small_flow()), 3, 2).looser(5.);
    flow_as_published: Case::flow(&SplineFlowConfig::default(), 3, 0).gain(0.7).looser(10.);
    flow_as_published_context: Case::flow(&SplineFlowConfig::default(), 2, 2).gain(0.7).looser(10.);
}

/// The bound keeps round trips near the last digit.
const EXP: AffineScale = AffineScale::Exp { bound: 2. };

fn mlp(blocks: usize) -> NetConfig {
    NetConfig::mlp(16, blocks).with_activation(Activation::Silu)
}

fn silu() -> NetConfig {
    net(16, 2, Activation::Silu)
}

fn affine_by(scale: AffineScale) -> UnivariateConfig {
    UnivariateConfig::Affine { scale }
}

fn splines() -> UnivariateConfig {
    UnivariateConfig::RationalQuadratic { bins: 5, tail_bound: 3. }
}

fn linear_splines(bins: usize) -> UnivariateConfig {
    UnivariateConfig::LinearSpline { bins, tail_bound: 3. }
}

fn quadratic_splines(bins: usize) -> UnivariateConfig {
    UnivariateConfig::QuadraticSpline { bins, tail_bound: 3. }
}

fn cubic_splines(bins: usize) -> UnivariateConfig {
    UnivariateConfig::CubicSpline { bins, tail_bound: 3. }
}

fn circular(shape: &[usize], bins: usize) -> BijectorConfig {
    let map = UnivariateConfig::CircularRationalQuadratic { bins };
    BijectorConfig::Elementwise(ElementwiseConfig::new(shape, map))
}

fn circular_flow_of_two() -> BijectorConfig {
    let layers = vec![circular(&[2], 3), AngleShift(AngleShiftConfig::new(2)), circular(&[2], 5)];
    Chain { layers }
}

fn of_angles(dim: usize, mask: Mask) -> BijectorConfig {
    let config = CircularCouplingConfig::new(dim, mask, 4).with_net(net(16, 1, Activation::Silu));
    BijectorConfig::CircularCoupling(config)
}

fn with_context(config: BijectorConfig) -> BijectorConfig {
    match config {
        BijectorConfig::CircularCoupling(c) => BijectorConfig::CircularCoupling(c.with_context(2)),
        other => other,
    }
}

fn rotating(config: BijectorConfig) -> BijectorConfig {
    match config {
        BijectorConfig::CircularCoupling(c) => {
            BijectorConfig::CircularCoupling(c.with_map(Additive))
        }
        other => other,
    }
}

fn circular_couplings() -> BijectorConfig {
    let each = [Mask::Even, Mask::Odd].map(|mask| with_context(of_angles(3, mask)));
    Chain { layers: each.into_iter().flat_map(|c| [c.clone(), rotating(c)]).collect() }
}

fn image(config: ImageCouplingConfig) -> BijectorConfig {
    BijectorConfig::ImageCoupling(config)
}

/// Three channels of 2 by 3 pixels.
fn channels(mask: Mask) -> ImageCouplingConfig {
    let net = NetConfig::new(4, 1).with_activation(Activation::Silu);
    ImageCouplingConfig::new(&[2, 3, 3], mask).with_map(splines()).with_net(net)
}

fn residual(config: ResidualBlockConfig) -> BijectorConfig {
    let layers = if config.dim == 3 { 2 } else { 1 };
    BijectorConfig::ResidualBlock(config.with_layers(9, layers))
}

/// A ready-made flow at toy size, smooth.
fn ready(mut config: FlowConfig, dim: usize, context: usize) -> BijectorConfig {
    config.layers = 2;
    config.net.hidden = 12;
    config.net.activation = Activation::Silu;
    config.bijector(dim, context).unwrap()
}

fn with_batch_norm(mut config: FlowConfig) -> FlowConfig {
    config.norm = Norm::BatchNorm;
    config
}

fn small_glow() -> BijectorConfig {
    let net = NetConfig::new(3, 1).with_activation(Activation::Silu);
    GlowConfig::new(&[4, 4, 1]).with_depth(2, 1).with_net(net).bijector(2).unwrap()
}

fn small_image_flow(mixed: usize, log_tanh: bool) -> BijectorConfig {
    let net = NetConfig::new(3, 1).with_activation(Activation::Silu);
    let config = ImageFlowConfig::new(&[4, 4, 1]).with_depth(2, 1).with_bins(4, 3.);
    config.with_net(net).with_mixed(mixed).with_log_tanh(log_tanh).bijector(2).unwrap()
}

fn made(dim: usize) -> AutoregressiveConfig {
    AutoregressiveConfig::new(dim).with_map(splines()).with_net(net(16, 1, Activation::Silu))
}

fn partly(features: Vec<usize>, of: CouplingConfig) -> BijectorConfig {
    BijectorConfig::Partial { dim: 5, features, of: Box::new(BijectorConfig::Coupling(of)) }
}

fn function(shape: &[usize], function: Function) -> BijectorConfig {
    BijectorConfig::Function(FunctionConfig::new(shape, function))
}

fn angle_preserving() -> BijectorConfig {
    let layers = vec![
        Scaling(ScalingConfig::new(3)),
        Orthogonal(OrthogonalConfig::new(3)),
        SpecialConformal(SpecialConformalConfig::new(3)),
        permuting(3),
    ];
    Chain { layers }
}

fn pixelwise(of: BijectorConfig) -> BijectorConfig {
    BijectorConfig::Pixelwise { height: 2, width: 2, of: Box::new(of) }
}

/// Real numbers, numbers in an interval and positive ones.
fn side_by_side() -> BijectorConfig {
    let parts = vec![
        BijectorConfig::Coupling(small(3, Mask::Odd).with_context(2)),
        function(&[2], Function::Sigmoid),
        Inverted { of: Box::new(function(&[1], Function::Softplus)) },
    ];
    BijectorConfig::Concat { parts }
}

/// Two levels, of 4 x 4 pixels of 2 channels and of 2 x 2 of 4.
fn levels() -> BijectorConfig {
    let squeeze = Squeeze(SqueezeConfig::new(&[4, 4, 2]));
    let norm = pixelwise(ActNorm(ActNormConfig::new(8)));
    let lu = pixelwise(lu_linear(4));
    BijectorConfig::Multiscale { levels: vec![Chain { layers: vec![squeeze, norm] }, lu] }
}

fn permuting(dim: usize) -> BijectorConfig {
    Permutation(PermutationConfig::new(dim))
}

fn lu_linear(dim: usize) -> BijectorConfig {
    BijectorConfig::LuLinear(LuLinearConfig::new(dim))
}

fn affine() -> BijectorConfig {
    let config = FeatureAffineConfig::new(vec![0.5, -2., 0.], vec![2., 0.3, 1.7]);
    BijectorConfig::FeatureAffine(config)
}

fn inverse_coupling() -> BijectorConfig {
    let coupling = small(3, Mask::Even).with_context(2);
    Inverted { of: Box::new(BijectorConfig::Coupling(coupling)) }
}

/// Parts with and without context, an inverted one among them.
fn mixed_chain() -> BijectorConfig {
    let coupling = small(3, Mask::Odd);
    let layers =
        vec![affine(), permuting(3), BijectorConfig::Coupling(coupling), inverse_coupling()];
    Chain { layers }
}

fn with_lu(mut config: SplineFlowConfig) -> SplineFlowConfig {
    config.linear = LinearKind::Lu;
    config
}

fn gaussianized(mut config: SplineFlowConfig) -> SplineFlowConfig {
    config.gaussianize = true;
    config
}

fn check_laws(name: &str, case: &Case) {
    if let Err(broken) = laws::check(name, &case.config, &case.options.clone().cases(1)) {
        panic!("{broken}");
    }
}
