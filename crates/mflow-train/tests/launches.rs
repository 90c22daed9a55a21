//! How much work a training step gives to a device that has no kernels. Oracle: a count of the tensors that are made and
//! of the numbers that are read back, with bounds just above what was counted: whoever adds a read must move a bound.
//!
//! All of it is in one test, as the counts are those of the process.
#![allow(clippy::expect_used, reason = "a test that panics has failed")]
use mflow_bijectors::candle::{DType, Device, Tensor};
use mflow_bijectors::{ParamStore, SplineFlowConfig, Stream, compose_everywhere, host};
use mflow_core::ModelConfig;
use mflow_train::{Loss, Phase, Pool, Rows, TrainConfig, Trainer};

/// candle numbers all tensors that it makes. Views count as well, so this is a bound on launches from above.
fn tensors_made() -> u64 {
    let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).expect("a tensor");
    let name = format!("{:?}", tensor.id());
    name.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

/// Tensors made and reads of `f`.
fn count(f: impl FnOnce()) -> (u64, u64) {
    let (tensors, reads) = (tensors_made(), host::reads());
    f();
    // The second count makes a tensor of its own.
    (tensors_made() - tensors - 1, host::reads() - reads)
}

/// An M-flow of the paper's kind on `rows` rows of `d` features.
fn problem(d: usize, n: usize, rows: usize) -> (ModelConfig, Rows) {
    let mut flow = SplineFlowConfig::default();
    flow.layers = 5;
    let model = ModelConfig::m_flow(d, n).with_outer(flow.clone()).with_inner(flow);
    let x = Stream::new(1, "rows").normal(rows * d);
    (model, Rows::new(x, d, None, DType::F32, &Device::Cpu).expect("rows"))
}

/// Counts of one update of a phase with `loss`.
fn update(model: &ModelConfig, data: &Rows, trains: &[&str], loss: Loss) -> (u64, u64) {
    let mut phase = Phase::new("phase", trains, vec![loss.weighted(1.)], 1);
    phase.batch_size = 100;
    let mut config = TrainConfig::new(vec![phase]);
    config.shards = 1;
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let pool = Pool::new(1).expect("a thread");
    let mut trainer = Trainer {
        model,
        store: &mut store,
        data,
        validation: None,
        config: &config,
        seed: 1,
        pool: &pool,
        run: None,
    };
    let mut updates = trainer.updates(0).expect("a phase");
    // The first update makes the buffers of the optimizer.
    updates.step().expect("an update");
    count(|| {
        updates.step().expect("an update");
    })
}

/// Counts of an update of each kind and of an evaluation, on 100 rows.
fn counts() -> [(&'static str, (u64, u64)); 5] {
    let (model, data) = problem(3, 2, 400);
    let mut flow = SplineFlowConfig::default();
    flow.layers = 10;
    let plain = ModelConfig::af(3).with_inner(flow);
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let built = model.build(&mut store, |_| false).expect("a model");
    let x = data.all().x.narrow(0, 0, 100).expect("rows");
    let log_prob = count(|| {
        built.log_prob(&x, None).expect("densities");
    });
    let inner = ["inner"];
    [
        ("likelihood of a flow", update(&plain, &data, &inner, Loss::likelihood())),
        ("manifold", update(&model, &data, &["outer"], Loss::reconstruction())),
        ("density", update(&model, &data, &inner, Loss::coordinate_likelihood())),
        ("exact likelihood", update(&model, &data, &["outer", "inner"], Loss::likelihood())),
        ("log_prob", log_prob),
    ]
}

fn check(route: &str, counted: [(&str, (u64, u64)); 5], most: [(u64, u64); 5]) {
    for ((what, (tensors, reads)), most) in counted.into_iter().zip(most) {
        assert!(reads <= most.1, "{route}, {what}: {reads} reads, expected {} at most", most.1);
        let at_most = most.0;
        assert!(
            tensors <= at_most,
            "{route}, {what}: {tensors} tensors, expected {at_most} at most"
        );
    }
}

#[test]
fn a_step_reads_its_loss_and_its_norm_and_nothing_else() {
    // Those of the CPU make the tensors that kernels of a device make too.
    let by_kernels = counts();
    println!("kernels: {by_kernels:?}");
    check("kernels", by_kernels, [(200, 2), (230, 2), (115, 1), (340, 2), (120, 1)]);
    compose_everywhere();
    // Whether the rows are finite, the loss, the norm of the gradient; coordinates that were found once are not looked at
    // again.
    let most = [(30_000, 3), (14_600, 3), (7_300, 2), (28_600, 3), (8_600, 1)];
    let composed = counts();
    println!("compositions: {composed:?}");
    check("compositions", composed, most);
}
