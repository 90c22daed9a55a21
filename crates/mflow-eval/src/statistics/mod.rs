//! Statistics that know nothing of models: two-sample tests, rankings, densities from samples, calibration,
//! intrinsic dimensions, contours.
//!
//! A sample is a flat slice in row-major order, `[n, D]`.

mod c2st;
mod calibration;
mod contour;
mod coverage;
mod frechet;
mod histogram;
mod intrinsic_dimension;
mod kde;
mod kid;
mod kolmogorov_smirnov;
mod mmd;
mod neighbours;
mod percentiles;
mod roc;
mod sample;
mod smoothed;

pub use c2st::{TwoSampleTest, c2st};
pub use calibration::{Calibration, central_coverage, rank};
pub use contour::{Field, highest_density_level};
pub use coverage::{Coverage, coverage};
pub use frechet::{FrechetDistance, frechet_distance, frechet_with_error};
pub use histogram::histogram;
pub use intrinsic_dimension::{correlation_dimension, levina_bickel, local_pca, two_nn};
pub use kde::{kde_log_prob, scott};
pub use kid::kernel_distance;
pub use kolmogorov_smirnov::kolmogorov_smirnov;
pub use mmd::{linear_time_mmd, median_distance, squared_mmd};
pub use percentiles::percentiles;
pub use roc::{auc, roc_curve};
pub use sample::Sample;
pub use smoothed::{Window, smoothed_plane};

pub(crate) use intrinsic_dimension::{
    correlation_of, inverse_mean, local_rank, log_ratio, mean_log_ratio, slope_of_logs,
};
pub(crate) use neighbours::{LARGEST, Near, TILE, count_within, nearest_among};
pub(crate) use sample::{median, squared_distance};
