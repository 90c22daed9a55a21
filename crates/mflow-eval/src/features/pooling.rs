//! Squares of three by three pixels as one.

/// What becomes of the pixels. Those beyond the edge are none: they are not counted in a mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pooling {
    Mean,
    Max,
}

impl Pooling {
    /// A square around each pixel of `x: [channels, side, side]`.
    pub(super) fn around(self, x: &[f32], side: usize) -> (Vec<f32>, usize) {
        (self.pool(x, side, side, |i| i.saturating_sub(1)..(i + 2).min(side)), side)
    }

    /// Squares that are two pixels apart and within the image, and the new side.
    pub(super) fn halved(self, x: &[f32], side: usize) -> (Vec<f32>, usize) {
        let new = (side - 1) / 2;
        (self.pool(x, side, new, |i| 2 * i..2 * i + 3), new)
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "what is seen is clipped to the sides of the plane"
    )]
    fn pool(
        self,
        x: &[f32],
        side: usize,
        new: usize,
        seen: impl Fn(usize) -> std::ops::Range<usize>,
    ) -> Vec<f32> {
        let mut out = Vec::with_capacity(x.len() / (side * side) * new * new);
        for plane in x.chunks_exact(side * side) {
            for i in 0..new {
                for j in 0..new {
                    let values = seen(i).flat_map(|row| &plane[row * side..][seen(j)]);
                    out.push(match self {
                        Self::Max => values.copied().fold(f32::NEG_INFINITY, f32::max),
                        Self::Mean => values.sum::<f32>() / (seen(i).len() * seen(j).len()) as f32,
                    });
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: by hand.
    use super::*;

    #[test]
    fn squares_end_at_the_edge() {
        let x: Vec<f32> = (0_u8..9).map(f32::from).collect();
        let mean = [2., 2.5, 3., 3.5, 4., 4.5, 5., 5.5, 6.];
        assert_eq!(Pooling::Mean.around(&x, 3), (mean.to_vec(), 3));
        let below: Vec<f32> = x.iter().map(|v| v - 10.).collect();
        let max = [-6., -5., -5., -3., -2., -2., -3., -2., -2.];
        assert_eq!(Pooling::Max.around(&below, 3), (max.to_vec(), 3));
        assert_eq!(Pooling::Max.halved(&below, 3), (vec![-2.], 1));
        let x: Vec<f32> = (0_u8..36).map(f32::from).collect();
        assert_eq!(Pooling::Max.halved(&x, 6), (vec![14., 16., 26., 28.], 2));
    }
}
