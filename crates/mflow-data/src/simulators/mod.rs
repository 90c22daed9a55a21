//! Simulators: each draws points on a manifold that is known exactly.
#![expect(
    clippy::indexing_slicing,
    reason = "points and coordinates have as many numbers as `dims` says: `points` checks those that come from outside"
)]

mod angles;
mod arcs;
pub(crate) mod charted;
mod directional;
mod helix;
mod hyperboloid;
mod klein_bottle;
#[cfg(test)]
mod laws;
mod line_and_plane;
mod linear_subspace;
pub(crate) mod lorenz;
mod moons;
pub(crate) mod nearest;
pub(crate) mod number;
mod planar_arm;
pub(crate) mod polynomial_surface;
mod projected_gaussian;
mod registry;
mod robot_arm;
mod s_curve;
mod sphere;
mod sphere_mixture;
mod swiss_roll;
mod thin_spiral;
mod torus;
mod von_mises;

pub use arcs::Arcs;
pub use helix::Helix;
pub use hyperboloid::Hyperboloid;
pub use klein_bottle::KleinBottle;
pub use line_and_plane::LineAndPlane;
pub use linear_subspace::LinearSubspace;
pub use lorenz::Lorenz;
pub use moons::Moons;
pub use planar_arm::PlanarArm;
pub use polynomial_surface::{HeightJet, PolynomialSurface};
pub use projected_gaussian::ProjectedGaussian;
pub use registry::{simulator_by_name, simulator_names};
pub use robot_arm::RobotArm;
pub use s_curve::SCurve;
pub use sphere::GaussianOnSphere;
pub use sphere_mixture::SphereMixture;
pub use swiss_roll::SwissRoll;
pub use thin_spiral::ThinSpiral;
pub use torus::Torus;
pub use von_mises::VonMisesCircle;

/// The points of a grid: for each side, from where to where and how many.
fn grid(sides: &[(f64, f64, u32)]) -> Vec<Vec<f64>> {
    sides.iter().fold(vec![vec![]], |points, &(low, high, n)| {
        let step = (high - low) / f64::from(n.max(2) - 1);
        let along = |point: Vec<f64>| {
            (0..n).map(move |k| [point.as_slice(), &[low + step * f64::from(k)]].concat())
        };
        points.into_iter().flat_map(along).collect()
    })
}
