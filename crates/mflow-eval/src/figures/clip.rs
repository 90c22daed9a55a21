//! Lines cut off at the edge of a rectangle.
#![expect(clippy::indexing_slicing, reason = "axes of two dimensions, 0 and 1")]

/// The pieces of the line through `points` inside the rectangle between `low` and `high`, in its order. A
/// point that is not finite breaks the line. A piece may be a single point.
pub(super) fn clip(
    points: impl IntoIterator<Item = [f64; 2]>,
    low: [f64; 2],
    high: [f64; 2],
) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut last: Option<[f64; 2]> = None;
    let mut open = false; // whether the last piece ends at the last point
    let inside = |p: [f64; 2]| (0..2).all(|k| low[k] <= p[k] && p[k] <= high[k]);
    for point in points {
        if !point.iter().all(|x| x.is_finite()) {
            (last, open) = (None, false);
            continue;
        }
        match last.map(|from| segment(from, point, low, high)) {
            None if inside(point) => pieces.push(vec![(point[0], point[1])]),
            Some(Some([from, to])) => {
                if !open {
                    pieces.push(vec![(from[0], from[1])]);
                }
                if let Some(piece) = pieces.last_mut() {
                    piece.push((to[0], to[1]));
                }
            }
            _ => {}
        }
        open = inside(point);
        last = Some(point);
    }
    pieces
}

/// The part of a segment inside the rectangle: Liang and Barsky's cuts of its parameter.
fn segment(from: [f64; 2], to: [f64; 2], low: [f64; 2], high: [f64; 2]) -> Option<[[f64; 2]; 2]> {
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for k in 0..2 {
        let along = to[k] - from[k];
        if along == 0.0 {
            if !(low[k]..=high[k]).contains(&from[k]) {
                return None;
            }
            continue;
        }
        let cuts = [(low[k] - from[k]) / along, (high[k] - from[k]) / along];
        enter = enter.max(cuts[0].min(cuts[1]));
        leave = leave.min(cuts[0].max(cuts[1]));
    }
    let at = |share: f64| [0, 1].map(|k| from[k] + share * (to[k] - from[k]));
    (enter <= leave).then(|| [at(enter), at(leave)])
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn lines_end_at_the_edge() {
        // A zigzag over the unit square, worked by hand.
        let zigzag = [[-1.0, 0.5], [0.5, 0.5], [0.5, 2.0], [0.75, 2.0], [0.75, -1.0]];
        let pieces = clip(zigzag, [0.0; 2], [1.0; 2]);
        let expected = [vec![(0.0, 0.5), (0.5, 0.5), (0.5, 1.0)], vec![(0.75, 1.0), (0.75, 0.0)]];
        assert_eq!(pieces, expected, "in and out, across");
        let broken = [[0.1, 0.1], [0.2, 0.1], [f64::NAN, 0.0], [0.3, 0.1], [5.0, f64::NAN]];
        let pieces = clip(broken, [0.0; 2], [1.0; 2]);
        assert_eq!(pieces, [vec![(0.1, 0.1), (0.2, 0.1)], vec![(0.3, 0.1)]], "broken lines");
        assert!(clip([[2.0, 2.0], [3.0, 0.5]], [0.0; 2], [1.0; 2]).is_empty(), "outside");
    }
}
