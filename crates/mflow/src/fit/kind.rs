//! Kinds of models, by the names that they have in files and commands.
use mflow_core::{ChartConfig, ModelConfig};

/// A kind of model; see [`ModelConfig`] for what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// [`ModelConfig::af`].
    Af,
    /// [`ModelConfig::fom`]; its manifold is to be named.
    Fom,
    /// [`ModelConfig::pie`].
    Pie,
    /// [`ModelConfig::m_flow`].
    MFlow,
    /// [`ModelConfig::atlas`], of 4 charts.
    Atlas,
    /// [`ModelConfig::me_flow`].
    MeFlow,
    /// [`ModelConfig::pae`].
    Pae,
    /// [`ModelConfig::free_form`].
    FreeForm,
    /// [`ModelConfig::free_form_atlas`], of 8 charts.
    FreeFormAtlas,
    /// [`ModelConfig::vae`].
    Vae,
    /// [`ModelConfig::rif`].
    Rif,
    /// [`ModelConfig::ratio`].
    Ratio,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Af,
        Self::Fom,
        Self::Pie,
        Self::MFlow,
        Self::Atlas,
        Self::MeFlow,
        Self::Pae,
        Self::FreeForm,
        Self::FreeFormAtlas,
        Self::Vae,
        Self::Rif,
        Self::Ratio,
    ];

    /// The name, as in `model.kind` of a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Af => "af",
            Self::Fom => "fom",
            Self::Pie => "pie",
            Self::MFlow => "m-flow",
            Self::Atlas => "atlas",
            Self::MeFlow => "me-flow",
            Self::Pae => "pae",
            Self::FreeForm => "free-form",
            Self::FreeFormAtlas => "free-form-atlas",
            Self::Vae => "vae",
            Self::Rif => "rif",
            Self::Ratio => "ratio",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it is, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Af => "Ambient flow: a density on all of R^D",
            Self::Fom => "Flow on a known manifold, given by --chart or the config",
            Self::Pie => {
                "Pseudo-invertible encoder: ambient density with a narrow direction across the manifold"
            }
            Self::MFlow => "Manifold-learning flow with exact density (Brehmer & Cranmer 2020)",
            Self::Atlas => {
                "Several M-flow charts glued together, for closed surfaces; 4 charts, or `--set model.charts=K`"
            }
            Self::MeFlow => "Manifold-learning flow with an encoder network",
            Self::Pae => {
                "Probabilistic autoencoder: encoder and decoder networks, and a flow of the codes; no likelihood"
            }
            Self::FreeForm => {
                "Encoder and decoder networks without constraint; the density is exact where they invert each other"
            }
            Self::FreeFormAtlas => {
                "Several free-form charts glued together, for closed surfaces; 8 charts, or `--set model.charts=K`"
            }
            Self::Vae => "Variational autoencoder; no likelihood",
            Self::Rif => "Relaxed injective flow; no likelihood",
            Self::Ratio => {
                "Estimator of likelihood ratios, for posteriors of the context: no manifold, no density, no samples. \
                 Needs a context and ratios"
            }
        }
    }

    /// The model that is fitted to `data_dim` columns if nothing else is said, with a manifold of one dimension where the
    /// number is to be chosen. A known manifold has no default: a sphere stands for it until a config names it.
    pub fn defaults(self, data_dim: usize) -> ModelConfig {
        match self {
            Self::Af => ModelConfig::af(data_dim),
            Self::Fom => {
                let (radius, center) = (1., vec![0.; data_dim]);
                ModelConfig::fom(ChartConfig::Hypersphere { dim: data_dim - 1, radius, center })
            }
            Self::Pie => ModelConfig::pie(data_dim, 1),
            Self::MFlow => ModelConfig::m_flow(data_dim, 1),
            Self::Atlas => ModelConfig::atlas(data_dim, 1, 4),
            Self::MeFlow => ModelConfig::me_flow(data_dim, 1),
            Self::Pae => ModelConfig::pae(data_dim, 1),
            Self::FreeForm => ModelConfig::free_form(data_dim, 1),
            Self::FreeFormAtlas => ModelConfig::free_form_atlas(data_dim, 1, 8),
            Self::Vae => ModelConfig::vae(data_dim, 1),
            Self::Rif => ModelConfig::rif(data_dim, 1),
            Self::Ratio => ModelConfig::ratio(data_dim, 1),
        }
    }

    /// Whether the dimension of its manifold is to be chosen.
    pub fn has_choice(self) -> bool {
        !matches!(self, Self::Af | Self::Fom | Self::Ratio)
    }

    /// Whether it may have a chart.
    pub(super) fn takes_chart(self) -> bool {
        matches!(self, Self::Fom | Self::MFlow)
    }
}
