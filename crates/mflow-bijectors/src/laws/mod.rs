//! The laws that every map keeps, to try yours on.
//!
//! A map is right if it inverts, if its log-det is that of its Jacobian, if its tangents and gradients are differences, and if
//! nothing but what it declares changes its result. [`check`] tries all of that on inputs that proptest draws and shrinks;
//! [`laws!`](crate::laws!) makes a test of each.
//!
//! ```
//! use mflow_bijectors::laws::{self, Options};
//! use mflow_bijectors::{BijectorConfig, CouplingConfig, Mask};
//!
//! let coupling = BijectorConfig::Coupling(CouplingConfig::new(3, Mask::Even).with_bins(5, 3.));
//! laws::check("coupling", &coupling, &Options::default().cases(1)).unwrap();
//! ```
//!
//! The oracles are outside of the map: determinants of full Jacobians, central differences in f64, the same map without kernels,
//! the same numbers in f64.
#![expect(
    clippy::indexing_slicing,
    reason = "a law looks at what the suite has drawn and made, in tests"
)]
mod calls;
pub mod compare;
mod declare;
mod edges;
mod evaluate;
mod files;
mod finding;
mod inputs;
mod inversion;
mod options;
mod reverse;
mod search;
pub mod strategies;
mod subject;

pub use evaluate::{Probe, evaluate, gradients, losses};
pub use finding::{Broken, Failure, Finding, differs};
pub use inputs::{Inputs, TANGENTS, inside, of_feature, tensor};
pub use options::{Options, Tolerances};
pub use search::Search;
pub use subject::{Forms, Subject, composed, randomise};

use crate::{Bijector, Direction};
use compare::Limit;
use std::sync::Arc;

crate::declare_laws! {
    RoundTrip, "round trip", "the way back of the way there is the identity", inversion::round_trip;
    LogDet, "log-det", "the log-det is that of the full Jacobian", inversion::log_det;
    InverseLogDet, "inverse log-det", "the log-det of the way back is the opposite one",
        inversion::inverse_log_det;
    Tangents, "tangents", "tangents of value and log-det are central differences", inversion::tangents;
    PullBack, "pull back", "pulling back what was pushed forward gives the tangents that it was",
        inversion::pull_back;
    Conformal, "conformal", "a map that says so preserves angles", inversion::conformal;
    Gradients, "gradients", "gradients in inputs, context and parameters are central differences",
        reverse::differences;
    Repeat, "repeat", "a second `backward` through one graph is the first", reverse::repeat;
    Context, "context", "a context counts where it is declared and nowhere else", calls::context;
    Rows, "rows", "a row is mapped alone, in batches of none, one and many", calls::rows;
    Far, "far inputs", "at the ends of the domain results are numbers, and the way back leads back", edges::far;
    Nan, "NaN", "NaN stays NaN, in its own row only", edges::nan;
    Precision, "precision", "the dtype is kept, and f32 is near f64", calls::precision;
    Routes, "routes", "kernels equal the tensor operations that stand beside them", reverse::routes;
    Frozen, "frozen", "a frozen map sees new parameters, and tracks nothing", reverse::frozen;
    Config, "config", "a config survives a file, and a misspelt key does not", files::config;
    Parameters, "parameters", "the named tensors are all there is to a map", files::parameters;
}

/// Points of which some must show what a law says that there is: in its tails a map may be the identity whatever its context.
const MANY: usize = 32;

impl Law {
    /// Whether it says that something changes somewhere, not what happens everywhere.
    fn is_of_many(self) -> bool {
        matches!(self, Self::Context | Self::Frozen)
    }
}

/// A law on trial.
struct Trial<'a> {
    subject: &'a dyn Subject,
    forms: &'a Forms,
    /// In f32, of a map that can be built again.
    single: Option<&'a Forms>,
    direction: Direction,
    options: &'a Options,
}

impl Trial<'_> {
    /// With kernels and without.
    fn routes(&self) -> [(&'static str, &Arc<dyn Bijector>); 2] {
        [("with kernels", &self.forms.map), ("without kernels", &self.forms.composed)]
    }

    /// Number of elements of a point.
    fn size(&self) -> usize {
        self.forms.map.signature().latent_shape.iter().product()
    }

    /// The limit of derivatives beside central differences.
    fn by_differences(&self) -> Limit {
        let reason = "central differences with a step of 1e-6 in f64";
        Limit::new(self.options.tolerances.difference, reason)
    }
}

/// Try all laws on a map, both ways, and return the first that it breaks.
///
/// # Errors
/// [`Broken`] says which law, at which input (the simplest that was found), what was found there and what was expected.
pub fn check(name: &str, subject: &dyn Subject, options: &Options) -> Result<(), Box<Broken>> {
    check_each(Law::ALL, name, subject, options)
}

/// Try one law on a map, both ways.
///
/// # Errors
/// As [`check`].
pub fn check_law(
    law: Law,
    name: &str,
    subject: &dyn Subject,
    options: &Options,
) -> Result<(), Box<Broken>> {
    check_each(&[law], name, subject, options)
}

fn check_each(
    laws: &[Law],
    name: &str,
    subject: &dyn Subject,
    options: &Options,
) -> Result<(), Box<Broken>> {
    let fail = |law: Law, failure: Failure| Broken {
        map: name.to_owned(),
        law,
        direction: Direction::Forward,
        input: "any".to_owned(),
        finding: failure.finding(),
    };
    let laws = laws.iter().filter(|law| !options.without.contains(law));
    let mut forms = None;
    for &law in laws {
        if forms.is_none() {
            let built = build(subject, options).map_err(|failure| Box::new(fail(law, failure)))?;
            forms = Some(built);
        }
        let Some((full, single)) = &forms else { continue };
        for direction in [Direction::Forward, Direction::Inverse] {
            let trial = Trial { subject, forms: full, single: single.as_ref(), direction, options };
            attempt(law, &trial).map_err(|(input, failure)| {
                Box::new(Broken { direction, input, ..fail(law, failure) })
            })?;
        }
    }
    Ok(())
}

/// In f64, and where it can be built again in f32.
fn build(subject: &dyn Subject, options: &Options) -> Result<(Forms, Option<Forms>), Failure> {
    let forms = Forms::new(subject, options)?;
    let single = subject.is_rebuilt().then(|| forms.single(subject)).transpose()?;
    Ok((forms, single))
}

/// Try a law on inputs that are drawn, and shrink the one that breaks it.
fn attempt(law: Law, trial: &Trial<'_>) -> Result<(), (String, Failure)> {
    let options = trial.options;
    let map = trial.forms.map.as_ref();
    let most = options.rows.max(1);
    let strategy =
        inputs::rows(map.signature(), if law.is_of_many() { MANY..=MANY } else { 1..=most });
    let search = Search {
        cases: if law == Law::Gradients { options.cases.div_ceil(4) } else { options.cases },
        seed: options.seed,
        source: options.source,
    };
    search.run(&strategy, |rows| {
        let any = |failure| ("any".to_owned(), failure);
        let inputs = Inputs::of_rows(rows, map, trial.direction, options).map_err(any)?;
        law.attempt(trial, &inputs).map_err(|failure| (describe(&inputs), failure))
    })
}

/// Points and contexts as text.
fn describe(inputs: &Inputs) -> String {
    let rows = |t: &candle_core::Tensor| {
        let values = crate::host::values_f64(t).unwrap_or_default();
        let size = t.elem_count() / t.dims().first().copied().unwrap_or(1).max(1);
        values.chunks(size.max(1)).map(|row| format!("{row:?}")).collect::<Vec<_>>().join(", ")
    };
    match &inputs.context {
        Some(context) => format!("{}; context {}", rows(&inputs.x), rows(context)),
        None => rows(&inputs.x),
    }
}

/// Makes a module with one test for each law: `laws!(NAME, SUBJECT)`, or `laws!(NAME, SUBJECT, OPTIONS)`.
///
/// Inputs that broke a law are kept in `proptest-regressions`, to be committed, and are tried first from then on.
///
/// ```
/// use mflow_bijectors::laws::Options;
/// use mflow_bijectors::{BijectorConfig, ScalingConfig};
///
/// mflow_bijectors::laws!(
///     scaling,
///     BijectorConfig::Scaling(ScalingConfig::new(3)),
///     Options::default().spread(2.)
/// );
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! laws {
    ($name:ident, $subject:expr) => {
        $crate::laws!($name, $subject, $crate::laws::Options::default());
    };
    ($name:ident, $subject:expr, $options:expr) => {
        $crate::laws!(
            @each $name, $subject, $options;
            round_trip: RoundTrip,
            log_det: LogDet,
            inverse_log_det: InverseLogDet,
            tangents: Tangents,
            pull_back: PullBack,
            conformal: Conformal,
            gradients: Gradients,
            repeat: Repeat,
            context: Context,
            rows: Rows,
            far_inputs: Far,
            nan: Nan,
            precision: Precision,
            routes: Routes,
            frozen: Frozen,
            config: Config,
            parameters: Parameters,
        );
    };
    (@each $name:ident, $subject:expr, $options:expr; $($test:ident: $law:ident,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "what the subject is made of")]
            use super::*;

            $(#[test]
            fn $test() {
                let options = $options.source(file!());
                let kept = $crate::laws::check_law(
                    $crate::laws::Law::$law,
                    stringify!($name),
                    &$subject,
                    &options,
                );
                if let Err(broken) = kept {
                    panic!("{broken}");
                }
            })*
        }
    };
}
