//! Images of another size.

/// How images become smaller. They become larger by bilinear interpolation between the centres of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Filter {
    /// By a triangle as wide as two of the new pixels, which is free of aliasing: Pillow's bilinear filter, which
    /// torchvision's `Resize` calls.
    Smoothed,
    /// By interpolation too: torch's `interpolate`, as pytorch-fid calls it.
    Interpolated,
}

impl Filter {
    /// `plane: [height, width]` as `[side, side]`. Images that are not square are stretched.
    #[expect(clippy::indexing_slicing, reason = "the first pixel that is seen is one of the row")]
    pub(super) fn resize(
        self,
        plane: &[f32],
        height: usize,
        width: usize,
        side: usize,
    ) -> Vec<f32> {
        let (across, down) = (self.weights(width, side), self.weights(height, side));
        let mut narrow = vec![0.; height * side];
        for (row, out) in plane.chunks_exact(width).zip(narrow.chunks_exact_mut(side)) {
            for (out, (first, weights)) in out.iter_mut().zip(&across) {
                *out = row[*first..].iter().zip(weights).map(|(v, w)| v * w).sum();
            }
        }
        let mut out = vec![0.; side * side];
        for (row, (first, weights)) in out.chunks_exact_mut(side).zip(&down) {
            for (line, weight) in narrow.chunks_exact(side).skip(*first).zip(weights) {
                row.iter_mut().zip(line).for_each(|(out, v)| *out += weight * v);
            }
        }
        out
    }

    /// Of each new pixel, the first old one that it sees and the weights of those from there on.
    fn weights(self, old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
        let scale = old as f64 / new as f64;
        let reach = match self {
            Self::Smoothed => scale.max(1.),
            Self::Interpolated => 1.,
        };
        let of = |i: usize| {
            let centre = (i as f64 + 0.5) * scale;
            let weight = |j: usize| (1. - ((j as f64 + 0.5 - centre) / reach).abs()).max(0.);
            let seen: Vec<usize> = (0..old).filter(|j| weight(*j) > 0.).collect();
            let total: f64 = seen.iter().map(|j| weight(*j)).sum();
            let first = seen.first().copied().unwrap_or(0);
            #[expect(clippy::cast_possible_truncation, reason = "pixels are f32")]
            (first, seen.iter().map(|j| (weight(*j) / total) as f32).collect())
        };
        (0..new).map(of).collect()
    }
}
