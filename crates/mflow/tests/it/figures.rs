//! Figures of runs, and of several side by side. Oracle: the titles in published tables; the files, and texts
//! and marks in them.
use crate::folder::Folder;
use mflow::core::{DeviceName, ModelConfig};
use mflow::experiment::{DataConfig, EvaluationConfig, ExperimentConfig};
use mflow::fit::{DTypeName, Normalize};
use mflow::train::{Alternate, Loss, Phase, Schedule, Stage, TrainConfig};

fn experiment(model: ModelConfig, train: TrainConfig) -> ExperimentConfig {
    ExperimentConfig {
        name: "test".to_owned(),
        seed: 1,
        dtype: DTypeName::F32,
        device: DeviceName::Cpu,
        data: DataConfig::simulated("circle", 100, Normalize::default()),
        model,
        start: None,
        train,
        evaluation: EvaluationConfig::default(),
    }
}

#[test]
fn titles_are_those_of_published_tables() {
    use Schedule::{Alternating, Likelihood, Ot, OtAlternating, Sequential, Simultaneous};
    for (model, schedule, title) in [
        (ModelConfig::af(3), Likelihood, "AF"),
        (ModelConfig::pie(3, 2), Likelihood, "PIE"),
        (
            ModelConfig::pie(3, 2).with_context(1).with_conditional_manifold(),
            Likelihood,
            "PIE, conditional manifold",
        ),
        (ModelConfig::pie(3, 2), Sequential, "PIE, M/D sequential"),
        (ModelConfig::m_flow(3, 2), Sequential, "M-flow, M/D sequential"),
        (ModelConfig::m_flow(3, 2), Alternating, "M-flow, M/D alternating"),
        (ModelConfig::m_flow(3, 2), Simultaneous, "M-flow, simultaneous"),
        (ModelConfig::m_flow(3, 2), Ot, "M-flow, OT"),
        (ModelConfig::m_flow(3, 2), OtAlternating, "M-flow, OT alternating"),
        (ModelConfig::m_flow(3, 2), Likelihood, "M-flow, likelihood"),
        (ModelConfig::atlas(3, 2, 4), Sequential, "M-flow on 4 charts, M/D sequential"),
        (ModelConfig::me_flow(3, 2), Simultaneous, "M_e-flow, simultaneous"),
        (ModelConfig::rif(3, 2), Likelihood, "RIF"),
    ] {
        let train = schedule.config(&model, 30).unwrap();
        assert_eq!(experiment(model, train).title(), title);
    }
}

#[test]
fn schedules_are_known_by_their_phases_whatever_the_numbers() {
    let model = ModelConfig::m_flow(3, 2);
    let phase = |name: &str, group: &str, loss: Loss| {
        let mut phase = Phase::new(name, &[group], vec![loss.weighted(3.)], 7);
        phase.batch_size = 11;
        phase
    };
    let manifold = || phase("first", "outer", Loss::reconstruction());
    let density = || phase("second", "inner", Loss::coordinate_likelihood());
    let title = |phases: Vec<Stage>| experiment(model.clone(), TrainConfig::new(phases)).title();
    assert_eq!(title(vec![manifold().into(), density().into()]), "M-flow, M/D sequential");
    let turns = Alternate::new(vec![manifold(), density()], 3);
    assert_eq!(title(vec![turns.into()]), "M-flow, M/D alternating");
    assert_eq!(title(vec![density().into(), manifold().into()]), "M-flow, second, then first");
    let turns = Alternate::new(vec![density(), manifold()], 3);
    assert_eq!(title(vec![turns.into()]), "M-flow, second and first");
}

/// An experiment of no quality at all.
fn tiny(simulator: &str, data_dim: usize, n: usize, kind: &str, schedule: &str) -> String {
    let manifold = if kind == "af" { String::new() } else { format!("manifold_dim = {n}") };
    let outer = if kind == "af" { "" } else { "outer = { layers = 2, hidden = 8, blocks = 1 }" };
    let context = if simulator == "polynomial-surface" { "context_dim = 1" } else { "" };
    format!(
        "name = \"tiny\"\nseed = 1\n[data]\nsimulator = \"{simulator}\"\nrows = 200\n\
         normalize = \"standardize\"\n[model]\nkind = \"{kind}\"\ndata_dim = {data_dim}\n{manifold}\n\
         {context}\n{outer}\ninner = {{ layers = 2, hidden = 8, blocks = 1 }}\n\
         [train]\nschedule = \"{schedule}\"\nepochs = 4\nshards = 1\n\
         [evaluation]\nsamples = 100\ntest_rows = 100\n"
    )
}

fn run(folder: &Folder, name: &str, experiment: &str) {
    folder.write("tiny.toml", experiment.as_bytes());
    folder.succeeds(&format!("run tiny.toml --out {name}"));
}

fn text(folder: &Folder, path: &str) -> String {
    String::from_utf8(folder.read(path)).expect("text")
}

fn count(svg: &str, label: &str) -> usize {
    svg.matches(&format!(">{label}</text>")).count()
}

#[test]
fn surfaces_of_several_runs_stand_side_by_side() {
    let folder = Folder::new();
    run(&folder, "pie", &tiny("polynomial-surface", 3, 2, "pie", "likelihood"));
    run(&folder, "m-flow", &tiny("polynomial-surface", 3, 2, "m-flow", "alternating"));
    for figure in ["learning", "surface", "outliers", "posteriors"] {
        let png = folder.read(&format!("m-flow/figures/{figure}.png"));
        assert!(png.starts_with(b"\x89PNG"), "{figure} of a run alone");
    }
    let out = folder.succeeds("plot pie m-flow --out both --format svg");
    assert_eq!(out.lines().count(), 5, "a line for each figure and the page: {out}");
    let surface = text(&folder, "both/surface.svg");
    for title in ["Truth", "PIE", "M-flow, M/D alternating", "θ = \u{2212}1", "θ = 0", "θ = 1"] {
        assert_eq!(count(&surface, title), 1, "{title}");
    }
    assert_eq!(surface.matches("class=\"surface\"").count(), 9, "three columns, three rows");
    assert_eq!(surface.matches("class=\"color-bar\"").count(), 1, "one scale");
    let learning = text(&folder, "both/learning.svg");
    for (title, times) in [("Phase: likelihood", 1), ("Phase: manifold", 1), ("Phase: density", 1)]
    {
        assert_eq!(count(&learning, title), times, "{title}");
    }
    let posteriors = text(&folder, "both/posteriors.svg");
    for (title, times) in [("truth", 1), ("PIE", 1), ("true parameter", 1), ("20 rows at θ = 0", 1)]
    {
        assert_eq!(count(&posteriors, title), times, "{title}");
    }
    let twice = folder.succeeds("plot m-flow m-flow --out twice --format svg");
    assert!(twice.contains("twice/posteriors.svg"), "{twice}");
}

#[test]
fn circles_and_attractors_have_figures_of_their_own() {
    let folder = Folder::new();
    run(&folder, "af", &tiny("circle", 2, 1, "af", "likelihood"));
    run(&folder, "m-flow", &tiny("circle", 2, 1, "m-flow", "sequential"));
    folder.succeeds("plot af m-flow --out both --format svg");
    let circle = text(&folder, "both/circle.svg");
    for (title, times) in [("Truth", 1), ("AF", 2), ("Along the circle", 1)] {
        assert_eq!(count(&circle, title), times, "{title}: over its panel, and in the legend");
    }
    run(&folder, "lorenz", &tiny("lorenz", 3, 2, "m-flow", "sequential"));
    for figure in ["learning", "lorenz", "lorenz-sections"] {
        let png = folder.read(&format!("lorenz/figures/{figure}.png"));
        assert!(png.starts_with(b"\x89PNG"), "{figure}");
    }
    let result = text(&folder, "lorenz/result.json");
    assert!(result.contains("lorenz_section_tv_left"), "{result}");
    folder.fails("plot af lorenz --out mixed", 1, &["runs of `circle`", "`lorenz` in lorenz"]);
    folder.fails("plot nothing --out none", 1, &["nothing"]);
    folder.fails("plot --out none", 2, &["<RUN>"]);
}
