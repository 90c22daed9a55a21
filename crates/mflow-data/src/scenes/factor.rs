//! Factors by their meaning.

use crate::simulators::number::Number;

/// Factors of a shape.
pub(super) const PER_SHAPE: usize = 8;

/// What a factor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    Right,
    Down,
    Size,
    Elongation,
    Angle,
    Tone,
    Background,
    Slope,
    ShadeAlong,
    ShadeAcross,
}

impl Factor {
    /// Those of the shape with this number, from 0, in order.
    pub(super) fn of(shape: usize) -> [Self; PER_SHAPE] {
        use Factor::*;
        let last = if shape == 0 { [Background, Slope] } else { [ShadeAlong, ShadeAcross] };
        [Right, Down, Size, Elongation, Angle, Tone, last[0], last[1]]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Down => "down",
            Self::Size => "size",
            Self::Elongation => "elongation",
            Self::Angle => "angle",
            Self::Tone => "tone",
            Self::Background => "background",
            Self::Slope => "slope of the background",
            Self::ShadeAlong => "shade along",
            Self::ShadeAcross => "shade across",
        }
    }
}

/// The factors of one shape.
pub(super) struct Values<'a, T> {
    shape: usize,
    /// Its free ones.
    z: &'a [T],
}

impl<'a, T: Number> Values<'a, T> {
    /// Those of the shape with this number, of all factors.
    #[expect(
        clippy::indexing_slicing,
        reason = "both ends are clipped to the factors that are there"
    )]
    pub(super) fn new(z: &'a [T], shape: usize) -> Self {
        let from = (shape * PER_SHAPE).min(z.len());
        let to = (from + PER_SHAPE).min(z.len());
        Self { shape, z: &z[from..to] }
    }

    /// None where it is not free, or the shape has no such factor.
    pub(super) fn free(&self, factor: Factor) -> Option<T> {
        let at = Factor::of(self.shape).iter().position(|known| *known == factor)?;
        self.z.get(at).copied()
    }

    /// 0 where it is not free.
    pub(super) fn get(&self, factor: Factor) -> T {
        self.free(factor).unwrap_or(T::constant(0.0))
    }
}
