//! Errors of the library as Python exceptions, whose classes are in `mflow/_errors.py`.
use mflow::core::candle;
use mflow::{bijectors, core, data, eval, train};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library refused it.
    Library(Box<mflow::Error>),
    /// Something was asked for that does not fit.
    Config(String),
    /// It was stopped.
    Interrupted,
    /// Python refused it.
    Python(PyErr),
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Library(Box::new(error.into()))
            }
        }
    )*};
}
from!(mflow::Error, core::Error, train::Error, data::Error, eval::Error, bijectors::Error);

impl From<candle::Error> for Failure {
    fn from(error: candle::Error) -> Self {
        core::Error::from(error).into()
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        let (class, text) = match failure {
            Failure::Python(error) => return error,
            Failure::Interrupted => return pyo3::exceptions::PyKeyboardInterrupt::new_err(()),
            Failure::Config(text) => ("ConfigError", text),
            Failure::Library(error) => {
                (class_of(&error), format!("{:#}", anyhow::Error::from(*error)))
            }
        };
        Python::attach(|py| match class_named(py, class) {
            Ok(class) => Self::from_type(class, (text,)),
            Err(error) => error,
        })
    }
}

fn class_named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("mflow._errors")?.getattr(name)?.cast_into::<PyType>()?)
}

const CONFIG: &str = "ConfigError";
const DATA: &str = "DataError";
const FILE: &str = "FileError";
const TRAINING: &str = "TrainingError";
const UNSUPPORTED: &str = "UnsupportedError";
const ANY: &str = "MflowError";

/// The exception of an error.
fn class_of(error: &mflow::Error) -> &'static str {
    use mflow::Error as E;
    match error {
        E::Model(error) => of_model(error),
        E::Train(error) => of_training(error),
        E::Data(error) => of_data(error),
        E::Eval(error) => of_evaluation(error),
        E::Bijector(error) => of_bijector(error),
        E::Config { .. } | E::Setting { .. } | E::Request { .. } => CONFIG,
        E::Run { .. } => FILE,
        _ => ANY,
    }
}

fn of_bijector(error: &bijectors::Error) -> &'static str {
    use bijectors::Error as E;
    match error {
        E::Shape { .. } | E::DType { .. } | E::MissingContext { .. } => DATA,
        E::Config { .. } => CONFIG,
        _ => ANY,
    }
}

fn of_model(error: &core::Error) -> &'static str {
    use core::Error as E;
    match error {
        E::Bijector(error) => of_bijector(error),
        E::Device { .. } | E::GeneratorLayer { .. } => CONFIG,
        E::NonFinite { .. } | E::Shape { .. } | E::Data { .. } | E::Rank { .. } => DATA,
        E::Unsupported { .. } => UNSUPPORTED,
        E::Io { .. } | E::ModelFile { .. } => FILE,
        _ => ANY,
    }
}

fn of_training(error: &train::Error) -> &'static str {
    use train::Error as E;
    match error {
        E::Model(error) => of_model(error),
        E::Bijector(error) => of_bijector(error),
        E::Config { .. } => CONFIG,
        E::Data { .. } | E::Source(_) => DATA,
        E::Diverged { .. } => TRAINING,
        E::RunDirectory { .. } | E::ResumeMismatch { .. } => FILE,
        _ => ANY,
    }
}

fn of_data(error: &data::Error) -> &'static str {
    match error {
        data::Error::UnknownSimulator { .. } => CONFIG,
        data::Error::Intractable { .. } => UNSUPPORTED,
        _ => DATA,
    }
}

fn of_evaluation(error: &eval::Error) -> &'static str {
    use eval::Error as E;
    match error {
        E::ModelCall(error) => of_model(error),
        E::Data(error) => of_data(error),
        E::Model { .. } => UNSUPPORTED,
        E::Chains { .. } => CONFIG,
        E::Write { .. } => FILE,
        _ => DATA,
    }
}
