//! A robot arm with six joints.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::charted::Charted;
use super::directional::log_wrapped_normal;
use super::grid;
use super::number::Number;

/// Four points of an arm with six turning joints, in the common arrangement of shoulder, elbow and
/// wrist: elbow, wrist, and two points of the tool, one beside its axis. Six degrees of freedom in twelve
/// dimensions.
///
/// ```text
/// z_i ~ N(mean_i, 0.2^2)
/// elbow = R_z(z_1) R_y(z_2) (0, 0, 1),   wrist = elbow + R_z(z_1) R_y(z_2) R_y(z_3) (0, 0, 0.8)
/// tool = wrist + R (0, 0, 0.3),   beside = wrist + R (0.2, 0, 0.3)
/// R = R_z(z_1) R_y(z_2) R_y(z_3) R_z(z_4) R_y(z_5) R_z(z_6)
/// ```
///
/// The same points are reached by other angles too (the shoulder half a turn round, the elbow or the
/// wrist bent the other way), ten widths and more away, which the density leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RobotArm;

const MEANS: [f64; 6] = [0.0, 0.8, 1.2, 0.0, 1.2, 0.0];
const WIDTH: f64 = 0.2;
const UPPER: f64 = 1.0;
const FORE: f64 = 0.8;
const TOOL: f64 = 0.3;
const BESIDE: f64 = 0.2;

/// Turns `v` about the z axis, or with the axes in another order about the y axis.
fn rotate<T: Number>(v: [T; 3], angle: T, axis: Axis) -> [T; 3] {
    let (sin, cos) = (angle.sin(), angle.cos());
    let [x, y, z] = v;
    match axis {
        Axis::Z => [cos * x - sin * y, sin * x + cos * y, z],
        Axis::Y => [cos * x + sin * z, y, cos * z - sin * x],
    }
}

#[derive(Clone, Copy)]
enum Axis {
    Y,
    Z,
}

/// What each joint turns about.
const AXES: [Axis; 6] = [Axis::Z, Axis::Y, Axis::Y, Axis::Z, Axis::Y, Axis::Z];

impl Charted for RobotArm {
    fn name(&self) -> &'static str {
        "robot-arm"
    }
    fn dims(&self) -> (usize, usize) {
        (12, 6)
    }
    fn draw(&self, _: &[f64], rng: &mut dyn Rng) -> Vec<f64> {
        MEANS.map(|mean| mean + WIDTH * rng.sample::<f64, _>(StandardNormal)).to_vec()
    }
    fn log_prob_chart(&self, z: &[f64], _: &[f64]) -> f64 {
        z.iter().zip(MEANS).map(|(&z, mean)| log_wrapped_normal(z, mean, WIDTH)).sum()
    }
    fn embed<T: Number>(&self, z: &[T]) -> Vec<T> {
        // From the joint outward to the base: the last joint turns first.
        let turned = |joints: usize, v: [f64; 3]| {
            let all = z.iter().zip(AXES).take(joints).rev();
            all.fold(v.map(T::constant), |v, (&angle, axis)| rotate(v, angle, axis))
        };
        let add = |a: [T; 3], b: [T; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
        let elbow = turned(2, [0.0, 0.0, UPPER]);
        let wrist = add(elbow, turned(3, [0.0, 0.0, FORE]));
        let tool = add(wrist, turned(6, [0.0, 0.0, TOOL]));
        let beside = add(wrist, turned(6, [BESIDE, 0.0, TOOL]));
        [elbow, wrist, tool, beside].concat()
    }
    fn starts(&self) -> Vec<Vec<f64>> {
        let sides = MEANS.map(|mean| (mean - 3.0 * WIDTH, mean + 3.0 * WIDTH, 4));
        grid(&sides)
    }
}
