//! Adaptive integration of ordinary differential equations: the method of Dormand and Prince (1980), of
//! order 5 with an error estimate of order 4, and steps controlled as in Hairer, Norsett and Wanner,
//! "Solving Ordinary Differential Equations I", section II.4.

/// Coefficients of the stages: `k_i = f(y + step sum_j A[i][j] k_j)`. The last row is also the solution of
/// order 5, so that its slope is the first one of the next step.
const A: [[f64; 6]; 6] = [
    [1.0 / 5.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [3.0 / 40.0, 9.0 / 40.0, 0.0, 0.0, 0.0, 0.0],
    [44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0, 0.0, 0.0, 0.0],
    [19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0, 0.0, 0.0],
    [9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0, 0.0],
    [35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];

/// The solution of order 5 less that of order 4, by slopes.
const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339_200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// A factor below the step that the error estimate allows, and the limits of its change.
const SAFETY: f64 = 0.9;
const SHRINK: f64 = 0.2;
const GROW: f64 = 10.0;

/// A solution of `dy/dt = f(y)`, step by step.
#[derive(Debug)]
pub(crate) struct DormandPrince<F, const D: usize> {
    slope: F,
    tolerance: f64,
    y: [f64; D],
    /// The slope at y.
    first: [f64; D],
    step: f64,
}

impl<F: Fn([f64; D]) -> [f64; D], const D: usize> DormandPrince<F, D> {
    /// Starts at y. The error of each step stays below `tolerance (1 + |y|)` in the root mean square.
    pub(crate) fn new(slope: F, y: [f64; D], tolerance: f64) -> Self {
        let first = slope(y);
        Self { slope, tolerance, y, first, step: 1e-3 }
    }

    /// Where the solution is after another `time`; steps end there.
    pub(crate) fn advance(&mut self, time: f64) -> [f64; D] {
        let mut left = time;
        while left > 0.0 {
            let step = self.step.min(left);
            let (error, y, slope) = self.attempt(step);
            // Of order 5 in the step.
            let factor = (SAFETY * error.powf(-0.2)).clamp(SHRINK, GROW);
            if error <= 1.0 {
                (self.y, self.first) = (y, slope);
                left -= step;
                // A step that was cut to end on time says nothing against longer ones.
                self.step = if step < self.step { self.step } else { step * factor };
            } else {
                self.step = step * factor.min(1.0);
            }
        }
        self.y
    }

    /// A step: its error over the tolerance, the solution and the slope there.
    fn attempt(&self, step: f64) -> (f64, [f64; D], [f64; D]) {
        let mut slopes = [self.first; 7];
        let mut y = self.y;
        for (i, row) in A.iter().enumerate() {
            y = std::array::from_fn(|d| {
                let sum: f64 = row.iter().zip(&slopes[..=i]).map(|(a, k)| a * k[d]).sum();
                self.y[d] + step * sum
            });
            slopes[i + 1] = (self.slope)(y);
        }
        let error = |d: usize| {
            let sum: f64 = ERROR.iter().zip(&slopes).map(|(e, k)| e * k[d]).sum();
            let scale = self.tolerance * (1.0 + self.y[d].abs().max(y[d].abs()));
            (step * sum / scale).powi(2)
        };
        #[expect(clippy::cast_precision_loss, reason = "few dimensions")]
        let mean = (0..D).map(error).sum::<f64>() / D as f64;
        (mean.sqrt(), y, slopes[6])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ode_solvers::{Dopri5, System, Vector3};

    #[test]
    fn an_oscillator_turns_and_the_tolerance_is_kept() {
        for tolerance in [1e-6, 1e-9, 1e-12] {
            let mut solution = DormandPrince::new(|[x, v]| [v, -x], [1.0, 0.0], tolerance);
            let mut worst = 0.0_f64;
            for k in 1..=20 {
                let t = 0.5 * f64::from(k);
                let [x, v] = solution.advance(0.5);
                worst = worst.max((x - t.cos()).hypot(v + t.sin()));
            }
            assert!(worst < 100.0 * tolerance, "{worst} with {tolerance}");
            assert!(worst > 1e-3 * tolerance, "{worst}: steps far shorter than {tolerance} needs");
        }
    }

    struct Lorenz;

    impl System<f64, Vector3<f64>> for Lorenz {
        fn system(&self, _: f64, y: &Vector3<f64>, dy: &mut Vector3<f64>) {
            *dy = Vector3::from(super::super::slope([y[0], y[1], y[2]]));
        }
    }

    #[test]
    fn a_trajectory_is_that_of_another_implementation() {
        let start = [1.1, 0.9, 1.05];
        let mut reference = Dopri5::new(Lorenz, 0.0, 5.0, 0.1, Vector3::from(start), 1e-13, 1e-13);
        reference.integrate().unwrap();
        // Not at the end: what the crate has there is off by a thousandth, if scipy is right.
        let (&end, expected) = (&reference.x_out()[40], reference.y_out()[40]);
        assert!((end - 4.0).abs() < 1e-9, "{end}");
        let mut solution = DormandPrince::new(super::super::slope, start, 1e-13);
        let mut found = start;
        for _ in 0..50 {
            found = solution.advance(end / 50.0);
        }
        // Errors grow by exp(0.9 t).
        for d in 0..3 {
            assert!((found[d] - expected[d]).abs() < 1e-8, "{found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn a_trajectory_is_that_of_scipy() {
        // solve_ivp of scipy 1.17.1 by DOP853 with tolerances of 1e-13, at t = 5.
        let mut solution = DormandPrince::new(super::super::slope, [1.1, 0.9, 1.05], 1e-13);
        let found = solution.advance(5.0);
        for (found, expected) in found.iter().zip([-6.478_544_69, -6.936_542_1, 23.889_236_53]) {
            assert!((found - expected).abs() < 1e-8, "{found}, expected {expected}");
        }
    }
}
