//! Models that start as the plane of principal components. Oracle: the residual of principal axes.
use crate::kinds::{small, units, with_epsilon};
use crate::numbers::{device, numbers, tensor};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::DType;
use mflow_core::{ChartConfig, ModelConfig, PrincipalAxes};

const ROWS: usize = 300;

/// Normal rows in 4 features, wide along two directions that are not the axes, in data units.
fn rows() -> Vec<f64> {
    let z = Stream::new(1, "rows").normal(4 * ROWS);
    let point = |z: &[f64]| {
        let (a, b) = (2. * z[0], 1.2 * z[1]);
        [a + b + 0.3 * z[2], a - b, 0.5 * a + 0.2 * z[3], b + 0.1 * z[2]]
    };
    z.chunks(4).flat_map(point).collect()
}

fn of_every_kind() -> Vec<ModelConfig> {
    let n = 2;
    vec![
        with_epsilon(ModelConfig::pie(4, n), 0.2),
        ModelConfig::m_flow(4, n),
        ModelConfig::me_flow(4, n),
        ModelConfig::pae(4, n),
        ModelConfig::free_form(4, n),
        ModelConfig::vae(4, n),
        ModelConfig::rif(4, n),
        ModelConfig::m_flow(4, n).with_context(1).with_conditional_manifold(),
    ]
}

#[test]
fn before_the_first_update_the_error_is_that_of_principal_components() {
    let x = rows();
    for config in of_every_kind() {
        for scaled in [false, true] {
            let mut config = small(config.clone());
            if scaled {
                config = config.with_normalization(units(4));
            }
            let config = config.start_flat(&x).unwrap();
            let model =
                config.build(&mut ParamStore::new(7, DType::F64, device()), |_| true).unwrap();
            let context =
                (config.sizes.context_dim > 0).then(|| tensor(vec![0.5; ROWS], &[ROWS, 1]));
            let points = tensor(x.clone(), &[ROWS, 4]);
            let projected = model.project(&points, context.as_ref()).unwrap();
            let (x, projected) = (config.normalized(&x), config.normalized(&numbers(&projected)));
            let found: f64 = x.iter().zip(&projected).map(|(a, b)| (a - b).powi(2)).sum();
            let expected: f64 = PrincipalAxes::of(&x, 4).squares[2..].iter().sum();
            let name = config.name();
            assert!((found / expected - 1.).abs() < 1e-9, "{name}: {found}, expected {expected}");
        }
    }
}

#[test]
fn the_start_is_part_of_the_config() {
    let config = small(ModelConfig::m_flow(4, 2)).start_flat(&rows()).unwrap();
    assert!(config.sizes.frame.is_some(), "a frame");
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config, "written and read");
}

#[test]
fn models_that_start_elsewhere_have_no_frame() {
    let x = rows();
    let frame = ModelConfig::m_flow(4, 2).start_flat(&x).unwrap().sizes.frame;
    let circle = ChartConfig::named("circle").unwrap();
    for config in [
        ModelConfig::af(4),
        ModelConfig::atlas(4, 2, 3),
        ModelConfig::free_form_atlas(4, 2, 3),
        ModelConfig::fom(circle.clone()),
        ModelConfig::m_flow_on(circle, 4),
    ] {
        assert_eq!(config.clone().start_flat(&x).unwrap(), config, "{}", config.name());
        if config.name() == "m-flow" {
            continue;
        }
        let mut framed = config;
        framed.sizes.frame.clone_from(&frame);
        let built = framed.build(&mut ParamStore::new(1, DType::F64, device()), |_| true);
        let error = built.unwrap_err().to_string();
        assert!(error.contains("frame") && error.contains("left out"), "{error}");
    }
}
