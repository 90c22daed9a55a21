//! Options that several verbs share.
use super::reading::TextOptions;
use clap::{Args, ValueEnum};
use mflow::core::DeviceName;
use mflow::core::candle::DType;
use mflow::figures::Format;
use mflow::fit::DTypeName;
use std::path::PathBuf;

/// Precision of a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    /// Single.
    F32,
    /// Double.
    F64,
}

impl From<Precision> for DTypeName {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F64 => Self::F64,
        }
    }
}

impl From<Precision> for DType {
    fn from(precision: Precision) -> Self {
        DTypeName::from(precision).into()
    }
}

/// What to do about a run that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Resume {
    /// Continue it if there is one, else start.
    Auto,
}

/// `--device`, of verbs without a config.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Place {
    /// Where to compute: cpu, cuda, cuda:N or metal; `mflow info` lists what this program can use
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub(super) device: DeviceName,
}

/// `--device`, of verbs with a config.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct OtherPlace {
    /// Where to compute: cpu, cuda, cuda:N or metal; `mflow info` lists what this program can use [default: cpu]
    #[arg(long, value_name = "DEVICE")]
    pub(super) device: Option<DeviceName>,
}

/// `--threads`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Threads {
    /// Worker threads [default: `RAYON_NUM_THREADS` if set, else one per core]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
}

/// Which model, and how it is evaluated.
#[derive(Clone, Debug, Args)]
pub(super) struct FittedOptions {
    /// A run folder, or a model file
    #[arg(value_name = "MODEL")]
    pub(super) model: PathBuf,
    /// Precision of computation, and of points and scores that are written [default: that of the model file]
    #[arg(long, value_enum)]
    pub(super) dtype: Option<Precision>,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) threads: Threads,
    #[command(flatten)]
    pub(super) text: TextOptions,
}

/// The same, at a context.
#[derive(Clone, Debug, Args)]
pub(super) struct ModelOptions {
    /// Context of a conditional model, [B, C]; one row stands for all
    #[arg(long, value_name = "CTX")]
    pub(super) context: Option<PathBuf>,
    #[command(flatten)]
    pub(super) fitted: FittedOptions,
}

/// `--format`.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct FigureFormat {
    /// What figures are made of
    #[arg(long, value_enum, default_value_t = FormatName::Png)]
    format: FormatName,
}

/// A format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Pixels
    Png,
    /// Lines and texts
    Svg,
}

impl From<FigureFormat> for Format {
    fn from(options: FigureFormat) -> Self {
        match options.format {
            FormatName::Png => Self::Png,
            FormatName::Svg => Self::Svg,
        }
    }
}
