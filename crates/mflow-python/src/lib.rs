//! The module `mflow._mflow`: what Python needs of the facade `mflow`, on NumPy arrays. No numbers are made here, and nothing
//! is decided: the package in `python/mflow` has the classes that people use.
mod array;
mod bijector;
mod errors;
mod events;
mod fit;
mod metrics;
mod model;
mod pools;
mod posterior;
mod report;
mod request;
mod simulators;

use pyo3::prelude::*;

/// As in the program: large blocks that are freed stay in the process, and are not mapped and zeroed anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _mflow {
    #[pymodule_export]
    use super::bijector::Bijector;
    #[pymodule_export]
    use super::fit::{charts, fit, kinds};
    #[pymodule_export]
    use super::metrics::{
        auc, classifier_two_sample, coverage, dimension, frechet_distance, kernel_distance,
        kolmogorov_smirnov, squared_mmd,
    };
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::pools::{set_default_threads, threads};
    #[pymodule_export]
    use super::posterior::sample_posterior;
    #[pymodule_export]
    use super::report::write_report;
    #[pymodule_export]
    use super::simulators::{Simulator, simulator_names};
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
