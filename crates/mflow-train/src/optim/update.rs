//! The arithmetic of one update: one pass over gradient, state and parameter together.
use candle_core::{CpuStorage, WithDType};
use std::fmt::Debug;

/// What an update computes in.
pub(crate) trait Float: WithDType + Default + Debug {
    fn sqrt(self) -> Self;
    /// The data of a CPU storage of this dtype.
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}
impl Float for f32 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }
}
impl Float for f64 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }
}

/// The rule of an optimizer, with its constants; see the configs for the formulas.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Adam { decoupled: bool, decay: f64, beta1: f64, beta2: f64, epsilon: f64 },
    Sgd { decay: f64, momentum: f64, nesterov: bool },
}

impl Rule {
    /// Names of the buffers that it keeps from step to step, as prefixes.
    pub(super) fn buffers(self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["moment1/", "moment2/"],
            Self::Sgd { momentum, .. } if momentum > 0. => &["momentum/"],
            Self::Sgd { .. } => &[],
        }
    }
}

/// One update: a rule at a learning rate, with a factor on the gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub(crate) rule: Rule,
    pub(crate) rate: f64,
    pub(crate) scale: f64,
    /// Number of the update, counted from 1.
    pub(crate) step: u64,
}

/// What an update of Adam multiplies with, beside the constants of its rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adam {
    /// What is kept of a parameter: less than 1 with decoupled decay.
    pub(super) keep: f64,
    /// The decay that passes through the moments.
    pub(super) decay: f64,
    /// The rate, with the correction of the first moment.
    pub(super) rate: f64,
    /// The correction of the second moment.
    pub(super) correction: f64,
}

impl Update {
    /// The factors of Adam at this update.
    pub(super) fn adam(&self, decoupled: bool, decay: f64, beta1: f64, beta2: f64) -> Adam {
        #[expect(clippy::cast_precision_loss, reason = "2^52 steps are never reached")]
        let t = self.step as f64;
        let (keep, decay) = match decoupled {
            true => (1. - self.rate * decay, 0.),
            false => (1., decay),
        };
        let rate = self.rate / (1. - beta1.powf(t));
        Adam { keep, decay, rate, correction: 1. / (1. - beta2.powf(t)) }
    }

    /// Change `theta` and the buffers of the rule, in the widest vectors that the machine has.
    pub(super) fn apply<T: Float>(&self, theta: &mut [T], gradient: &[T], buffers: &mut [Vec<T>]) {
        pulp::Arch::new().dispatch(|| self.each(theta, gradient, buffers));
    }

    // Inlined, as it is compiled for the features of its caller.
    #[inline(always)]
    fn each<T: Float>(&self, theta: &mut [T], gradient: &[T], buffers: &mut [Vec<T>]) {
        let c = T::from_f64;
        let scale = c(self.scale);
        match (self.rule, buffers) {
            (Rule::Adam { decoupled, decay, beta1, beta2, epsilon }, [first, second]) => {
                let Adam { keep, decay, rate, correction } =
                    self.adam(decoupled, decay, beta1, beta2);
                let (b1, b2, rest1, rest2) = (c(beta1), c(beta2), c(1. - beta1), c(1. - beta2));
                let (keep, decay, rate) = (c(keep), c(decay), c(rate));
                let (correction, epsilon) = (c(correction), c(epsilon));
                for (((theta, g), m), v) in theta.iter_mut().zip(gradient).zip(first).zip(second) {
                    let g = *g * scale + decay * *theta;
                    *m = b1 * *m + rest1 * g;
                    *v = b2 * *v + rest2 * g * g;
                    *theta = keep * *theta - rate * *m / ((*v * correction).sqrt() + epsilon);
                }
            }
            (Rule::Sgd { decay, momentum, nesterov }, [buffer]) => {
                let (decay, momentum, rate) = (c(decay), c(momentum), c(self.rate));
                for ((theta, g), b) in theta.iter_mut().zip(gradient).zip(buffer) {
                    let g = *g * scale + decay * *theta;
                    *b = momentum * *b + g;
                    let step = if nesterov { g + momentum * *b } else { *b };
                    *theta -= rate * step;
                }
            }
            (Rule::Sgd { decay, .. }, _) => {
                let (decay, rate) = (c(decay), c(self.rate));
                for (theta, g) in theta.iter_mut().zip(gradient) {
                    *theta -= rate * (*g * scale + decay * *theta);
                }
            }
            // As many buffers as the rule has: they are made by its own list.
            (Rule::Adam { .. }, _) => {}
        }
    }
}
