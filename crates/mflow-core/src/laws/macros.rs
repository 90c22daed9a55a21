//! A module with one test for each law.

/// Makes a module with one test for each law of embeddings: `embedding_laws!(NAME, SUBJECT)`, or with
/// [`Options`](crate::laws::Options) as the third.
///
/// ```
/// use mflow_core::ChartConfig;
///
/// mflow_core::embedding_laws!(torus, ChartConfig::Torus { major: 2., minor: 0.6 });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! embedding_laws {
    ($name:ident, $subject:expr) => {
        $crate::embedding_laws!($name, $subject, $crate::laws::Options::default());
    };
    ($name:ident, $subject:expr, $options:expr) => {
        $crate::embedding_laws!(
            @each embedding, $name, $subject, $options;
            round_trip: RoundTrip,
            idempotent: Idempotent,
            nearest: Nearest,
            tangents: Tangents,
            volume: Volume,
            gradients: Gradients,
            edges: Edges,
            context: Context,
            rows: Rows,
            nan: Nan,
            refusals: Refusals,
            precision: Precision,
        );
    };
    (@each $kind:ident, $name:ident, $subject:expr, $options:expr; $($test:ident: $law:ident,)*) => {
        mod $name {
            #[allow(unused_imports, reason = "what the subject is made of")]
            use super::*;

            $(#[test]
            fn $test() {
                let law = $crate::laws::$kind::Law::$law;
                let options = $options.source(file!());
                if let Err(broken) =
                    $crate::laws::$kind::check_law(law, stringify!($name), &$subject, &options)
                {
                    panic!("{broken}");
                }
            })*
        }
    };
}

/// Makes a module with one test for each law of models: `model_laws!(NAME, SUBJECT)`, or with
/// [`Options`](crate::laws::Options) as the third.
///
/// ```
/// use mflow_core::ModelConfig;
/// use mflow_core::laws::Options;
///
/// mflow_core::model_laws!(flow, ModelConfig::m_flow(3, 2), Options::default().gain(0.3));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! model_laws {
    ($name:ident, $subject:expr) => {
        $crate::model_laws!($name, $subject, $crate::laws::Options::default());
    };
    ($name:ident, $subject:expr, $options:expr) => {
        $crate::embedding_laws!(
            @each model, $name, $subject, $options;
            codes: Codes,
            projection: Projection,
            jacobian: Jacobian,
            density: Density,
            integral: Integral,
            samples: Samples,
            seeds: Seeds,
            gradients: Gradients,
            context: Context,
            rows: Rows,
            refusals: Refusals,
            capabilities: Capabilities,
            precision: Precision,
            manifold: Manifold,
            file: File,
            config: Config,
        );
    };
}
