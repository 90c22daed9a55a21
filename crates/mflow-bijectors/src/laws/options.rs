//! How a map is tried.
use super::Law;
use candle_core::Device;

/// How closely laws have to hold, relative to `1 + |expected|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// Between two computations in f64: some thousand roundings.
    pub exact: f64,
    /// Between derivatives and central differences in f64: the step is 1e-6, so rounding leaves 1e-10, and the third derivative
    /// and a steep map the rest.
    pub difference: f64,
    /// Between f32 and f64, or two computations in f32, of values and log-dets: some thousand roundings.
    pub single: f64,
    /// The same for derivatives.
    pub single_derivative: f64,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self { exact: 1e-10, difference: 2e-6, single: 1e-4, single_derivative: 2e-3 }
    }
}

/// How a map is tried, and what it declares that its signature does not say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Size of the random parameters: the standard deviation of what a matrix of them makes of normal numbers.
    pub gain: f64,
    /// Size of the inputs, real numbers or what becomes of them in the domain.
    pub spread: f64,
    /// How closely laws have to hold.
    pub tolerances: Tolerances,
    /// The map is the identity whatever parameters and context are.
    pub identity: bool,
    /// The log-det depends on nothing but parameters.
    pub constant_log_det: bool,
    /// Whether the map learns from data before it is tried, as [`crate::ActNorm`] does.
    pub observed: bool,
    /// Real inputs as large as this are tried: beyond it values have no floating-point number.
    pub reach: f64,
    /// Single entries of each named piece along which gradients are checked, besides two random directions through all of a
    /// vector.
    pub entries: usize,
    /// Inputs that each law is tried on; gradients, which take hundreds of calls each, on a quarter of them.
    pub cases: u32,
    /// Points of each input at most.
    pub rows: usize,
    /// The seed of parameters and inputs.
    pub seed: u64,
    /// Laws that are left out.
    pub without: Vec<Law>,
    /// Where the map is computed.
    pub device: Device,
    /// The source file whose `proptest-regressions` keep the inputs that broke a law; [`laws!`](crate::laws!) sets it.
    pub source: Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gain: 1.,
            spread: 1.7,
            tolerances: Tolerances::default(),
            identity: false,
            constant_log_det: false,
            observed: false,
            reach: 1e6,
            entries: 2,
            cases: 4,
            rows: 8,
            seed: 20_260,
            without: vec![],
            device: Device::Cpu,
            source: None,
        }
    }
}

impl Options {
    /// With random parameters of this size.
    #[must_use]
    pub fn gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }
    /// With inputs of this size.
    #[must_use]
    pub fn spread(self, spread: f64) -> Self {
        Self { spread, ..self }
    }
    /// With every tolerance multiplied.
    #[must_use]
    pub fn looser(self, factor: f64) -> Self {
        let Tolerances { exact, difference, single, single_derivative } = self.tolerances;
        let tolerances = Tolerances {
            exact: exact * factor,
            difference: difference * factor,
            single: single * factor,
            single_derivative: single_derivative * factor,
        };
        Self { tolerances, ..self }
    }
    /// Of a map that nothing changes.
    #[must_use]
    pub fn identity(self) -> Self {
        Self { identity: true, ..self }
    }
    /// Of a map whose log-det depends on nothing but parameters.
    #[must_use]
    pub fn constant_log_det(self) -> Self {
        Self { constant_log_det: true, ..self }
    }
    /// After the map has learned from skewed rows.
    #[must_use]
    pub fn observed(self) -> Self {
        Self { observed: true, ..self }
    }
    /// With far inputs no larger than this.
    #[must_use]
    pub fn reach(self, reach: f64) -> Self {
        Self { reach, ..self }
    }
    /// With gradients along so many single entries of each piece.
    #[must_use]
    pub fn entries(self, entries: usize) -> Self {
        Self { entries, ..self }
    }
    /// With so many inputs for each law.
    #[must_use]
    pub fn cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }
    /// Without a law.
    #[must_use]
    pub fn without(mut self, law: Law) -> Self {
        self.without.push(law);
        self
    }
    /// On another device.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }
    /// With regressions beside this source file.
    #[must_use]
    pub fn source(self, file: &'static str) -> Self {
        Self { source: Some(file), ..self }
    }
}
