//! What a fit is made of: defaults for the data, under a config file, under the fields of a request, under its settings.
use crate::folder::Folder;
use mflow::bijectors::FeatureAffineConfig;
use mflow::core::{ChartConfig, ModelParts};
use mflow::fit::{Ask, DTypeName, DataUnits, FitConfig, FitRequest, Kind, Normalize};
use mflow::train::{Schedule, Start};
use mflow::{Error, Setting};

fn units(cols: usize) -> DataUnits {
    DataUnits { data: FeatureAffineConfig::new(vec![1.; cols], vec![2.; cols]), context: None }
}

fn with_context() -> DataUnits {
    DataUnits { context: Some(FeatureAffineConfig::new(vec![5.], vec![10.])), ..units(3) }
}

fn file(text: &str) -> Vec<Setting> {
    let folder = Folder::new();
    folder.write("config.toml", text.as_bytes());
    Setting::of_file(&folder.path("config.toml")).expect("settings")
}

fn set(text: &str) -> Vec<Setting> {
    text.split_whitespace().map(|one| one.parse().expect("a setting")).collect()
}

fn surface() -> FitRequest {
    FitRequest { manifold_dim: Ask::For(2), ..FitRequest::default() }
}

fn resolved(request: &FitRequest) -> FitConfig {
    request.resolve(&units(3)).expect("a config")
}

/// Of each field: the default, that of a file, that of the request over it, that of a setting over both.
#[test]
fn the_last_word_counts() {
    let of_file = file(
        "seed = 1\ndtype = \"f64\"\n[model]\nmanifold_dim = 1\n[train]\nschedule = \"simultaneous\"\nepochs = 30\n",
    );
    let request = FitRequest {
        manifold_dim: Ask::For(2),
        seed: Some(2),
        dtype: Some(DTypeName::F32),
        schedule: Some(Schedule::Alternating),
        ..FitRequest::default()
    };
    let phases = |config: &FitConfig| config.train.phases.len();

    let defaults = resolved(&surface());
    assert_eq!((defaults.seed, defaults.dtype, phases(&defaults)), (0, DTypeName::F32, 2));
    let under = FitRequest { config: Some(of_file.clone()), ..FitRequest::default() };
    let under = resolved(&under);
    assert_eq!((under.seed, under.dtype, phases(&under)), (1, DTypeName::F64, 3));
    assert_eq!(under.model.sizes.manifold_dim, 1);
    let over = FitRequest { config: Some(of_file), ..request };
    let fields = resolved(&over);
    assert_eq!((fields.seed, fields.dtype, phases(&fields)), (2, DTypeName::F32, 1));
    assert_eq!(fields.model.sizes.manifold_dim, 2);
    let last = FitRequest { set: set("seed=3 dtype=f64 train.schedule=sequential"), ..over };
    assert!(matches!(last.resolve(&units(3)), Err(Error::Train(_) | Error::Setting { .. })));
    let last = FitRequest { set: set("seed=3 dtype=f64 train.shards=4"), ..last };
    let last = resolved(&last);
    assert_eq!((last.seed, last.dtype, last.train.shards), (3, DTypeName::F64, 4));
}

#[test]
fn normalisation_is_that_of_the_data_unless_something_else_is_said() {
    let of = |request: &FitRequest| resolved(request).model.sizes.normalization;
    let data = units(3).data;
    assert_eq!(of(&surface()), Some(data.clone()));
    let none = FitRequest { normalize: Some(Normalize::None), ..surface() };
    assert_eq!(of(&none), Some(FeatureAffineConfig::new(vec![0.; 3], vec![1.; 3])));
    // A config that was fitted to other data keeps its units, until somebody asks for those of these.
    let text =
        "[model]\nmanifold_dim = 2\n[model.normalization]\nshift = [0, 0, 7]\nscale = [1, 1, 7]\n";
    let other = FitRequest { config: Some(file(text)), ..FitRequest::default() };
    assert_eq!(of(&other), Some(FeatureAffineConfig::new(vec![0., 0., 7.], vec![1., 1., 7.])));
    let anew = FitRequest { normalize: Some(Normalize::Standardize), ..other };
    assert_eq!(of(&anew), Some(data));
    let known = FitRequest {
        model: Some(Kind::Fom),
        chart: Ask::For(ChartConfig::named("sphere").expect("it")),
        ..FitRequest::default()
    };
    assert_eq!(of(&known), None, "a known manifold is in data units");
}

#[test]
fn contexts_are_in_units_of_their_spread() {
    let context = |request: &FitRequest| {
        let config = request.resolve(&with_context()).expect("a config");
        (config.model.sizes.context_dim, config.model.sizes.context_normalization)
    };
    assert_eq!(context(&surface()), (1, with_context().context));
    let none = FitRequest { normalize_context: Some(Normalize::None), ..surface() };
    assert_eq!(context(&none).1, Some(FeatureAffineConfig::new(vec![0.], vec![1.])));
    let refused = none.resolve(&units(3));
    assert!(
        matches!(refused, Err(Error::Request { field: "normalize_context", .. })),
        "{refused:?}"
    );
}

#[test]
fn a_chart_says_its_dimension_and_stands_in_the_place_of_the_files() {
    let circle = file("[model]\nkind = \"m-flow\"\nchart = \"circle\"\n");
    let request = FitRequest { config: Some(circle.clone()), ..FitRequest::default() };
    assert_eq!(resolved(&request).model.sizes.manifold_dim, 1);
    let sphere = ChartConfig::named("sphere").expect("it");
    let request = FitRequest { chart: Ask::For(sphere.clone()), ..request };
    let model = resolved(&request).model;
    assert_eq!(model.sizes.manifold_dim, 2);
    assert!(matches!(model.parts, ModelParts::MFlow { chart: Some(chart), .. } if chart == sphere));
    let refused = FitRequest { model: Some(Kind::FreeForm), ..request }.resolve(&units(3));
    assert!(matches!(refused, Err(Error::Request { field: "chart", .. })), "{refused:?}");
}

#[test]
fn epochs_keep_the_shares_of_the_schedule_of_the_model() {
    let epochs = |kind| {
        let request = FitRequest { model: Some(kind), epochs: Some(20), ..surface() };
        resolved(&request).train.phases.iter().map(mflow::train::Stage::rounds).collect::<Vec<_>>()
    };
    assert_eq!(epochs(Kind::MFlow), [10, 10]);
    assert_eq!(epochs(Kind::FreeForm), [16, 4]);
    assert_eq!(epochs(Kind::Pie), [20]);
}

#[test]
fn what_is_missing_or_does_not_fit_is_named() {
    let refused =
        |request: &FitRequest, cols, field, part: &str| match request.resolve(&units(cols)) {
            Err(Error::Request { field: found, reason }) if found == field => {
                assert!(reason.contains(part), "{field}: {reason}");
            }
            other => panic!("expected {field} to be refused, found {other:?}"),
        };
    refused(&FitRequest::default(), 3, "manifold_dim", "from 1 to 2");
    refused(&surface(), 1, "data", "at least 2 columns");
    let auto = FitRequest { manifold_dim: Ask::Auto, ..FitRequest::default() };
    refused(&auto, 3, "manifold_dim", "`auto`");
    let known = FitRequest { model: Some(Kind::Fom), ..FitRequest::default() };
    refused(&known, 3, "chart", "[model.chart]");
    let frame = resolved(&surface());
    assert!(frame.model.sizes.frame.is_none());
    let unknown = FitRequest { set: set("model.kind=flow"), ..surface() }.resolve(&units(3));
    match unknown {
        Err(Error::Setting { file: None, path: Some(path), message }) => {
            assert_eq!(path, "model.kind");
            assert!(message.contains("`m-flow`") && message.ends_with("found `flow`"), "{message}");
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn ways_are_what_is_left_open() {
    let names = |request: &FitRequest| -> Vec<String> {
        let ways = request.ways(&units(3), None).expect("ways");
        ways.into_iter().map(|way| way.name).collect()
    };
    let open = ["free-form-atlas", "m-flow on a sphere", "m-flow on a torus"];
    let one = ["free-form, unrolled start", "m-flow, flat start"];
    assert_eq!(names(&surface()), [open.as_slice(), &one].concat());
    let named = FitRequest { model: Some(Kind::MFlow), ..surface() };
    let starts = ["flat", "unrolled", "autoencoder", "random"];
    assert_eq!(names(&named), starts.map(|start| format!("m-flow, {start} start")));
    let all = FitRequest { start: Ask::For(Start::Flat), ..named };
    assert_eq!(names(&all), ["m-flow, flat start"]);
    let more = FitRequest { schedule: Some(Schedule::Alternating), ..surface() };
    assert_eq!(names(&more), ["m-flow"]);
    // The config of a run that is continued says what was chosen.
    let earlier = file("[model]\nkind = \"pie\"\nmanifold_dim = 2\n");
    let ways = surface().ways(&units(3), Some(earlier)).expect("ways");
    assert_eq!(ways.len(), 1);
    assert_eq!(ways[0].name, "pie");
}

/// Pixels are to stay comparable, and some never change: one unit for all of them, unless another is asked for.
#[test]
fn models_of_images_have_one_unit_for_all_columns() {
    let mut each = FeatureAffineConfig::new(vec![0., 2.], vec![3., 1.]);
    for _ in 0..3 {
        each.shift.extend_from_within(..);
        each.scale.extend_from_within(..);
    }
    let data = DataUnits { data: each.clone(), context: None };
    let image = "model.outer.kind=image model.outer.shape=[4,4,1] model.outer.levels=1";
    let request = FitRequest { config: Some(set(image)), ..surface() };
    let units = |request: &FitRequest| {
        request.resolve(&data).expect("a config").model.normalization().expect("units").clone()
    };
    // Half of the numbers have mean 0 and variance 9, half of them 2 and 1: together 1 and 5 + 1.
    let found = units(&request);
    assert_eq!(found.shift, [1.; 16]);
    assert!(found.scale.iter().all(|s| (s - 6_f64.sqrt()).abs() < 1e-12), "{:?}", found.scale);
    let asked = FitRequest { normalize: Some(Normalize::Standardize), ..request };
    assert_eq!(units(&asked), each);
    assert_eq!(units(&surface()), each, "no model of images");
}
