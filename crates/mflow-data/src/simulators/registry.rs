//! Simulators by name, for configuration files and the command line.

use super::{
    Arcs, GaussianOnSphere, Helix, Hyperboloid, KleinBottle, LineAndPlane, LinearSubspace, Lorenz,
    Moons, PlanarArm, PolynomialSurface, ProjectedGaussian, RobotArm, SCurve, SphereMixture,
    SwissRoll, ThinSpiral, Torus, VonMisesCircle,
};
use crate::wbf::{FeatureSet, Settings, WeakBosonFusion};
use crate::{Error, Result, Scenes, Simulator};

/// Numbers of factors of the scenes that are listed; there are those between as well.
const SCENES: [&str; 3] = ["scenes-2", "scenes-8", "scenes-64"];

/// All of them.
fn all() -> Vec<Box<dyn Simulator>> {
    let mut all: Vec<Box<dyn Simulator>> = vec![
        Box::new(GaussianOnSphere::CIRCLE),
        Box::new(GaussianOnSphere::THIN_CIRCLE),
        Box::new(GaussianOnSphere::CONDITIONAL_CIRCLE),
        Box::new(GaussianOnSphere::SPHERE),
        Box::new(GaussianOnSphere::THIN_SPHERE),
        Box::new(GaussianOnSphere::CONDITIONAL_SPHERE),
        Box::new(VonMisesCircle::NARROW),
        Box::new(VonMisesCircle::WIDE),
        Box::new(ProjectedGaussian),
        Box::new(SphereMixture),
        Box::new(Torus),
        Box::new(KleinBottle),
        Box::new(Hyperboloid),
        Box::new(SwissRoll),
        Box::new(ThinSpiral),
        Box::new(SCurve),
        Box::new(Helix),
        Box::new(LinearSubspace),
        Box::new(Arcs),
        Box::new(LineAndPlane),
        Box::new(Moons),
        Box::new(PlanarArm),
        Box::new(RobotArm),
        Box::new(PolynomialSurface),
        Box::new(Lorenz),
        Box::new(WeakBosonFusion::default()),
        Box::new(WeakBosonFusion::new(FeatureSet::WithAzimuths, Settings::default())),
    ];
    let scenes = SCENES.into_iter().filter_map(Scenes::by_name);
    all.extend(scenes.map(|scenes| Box::new(scenes) as Box<dyn Simulator>));
    all
}

/// The names that [`simulator_by_name`] knows; of `scenes-1` to `scenes-64` three.
#[must_use]
pub fn simulator_names() -> Vec<&'static str> {
    all().iter().map(|simulator| simulator.name()).collect()
}

/// The simulator called `name`.
///
/// # Errors
///
/// [`Error::UnknownSimulator`], with the known names, where there is none.
pub fn simulator_by_name(name: &str) -> Result<Box<dyn Simulator>> {
    if let Some(scenes) = Scenes::by_name(name) {
        return Ok(Box::new(scenes));
    }
    let found = all().into_iter().find(|simulator| simulator.name() == name);
    found.ok_or_else(|| Error::UnknownSimulator {
        name: name.to_owned(),
        known: simulator_names().into_iter().map(str::to_owned).collect(),
    })
}
