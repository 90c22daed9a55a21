//! A shape and how it is painted: numbers in pixels, with the derivatives that they carry.

use std::f64::consts::{PI, TAU};

use super::factor::{Factor, Values};
use crate::simulators::number::Number;

/// An image on its way, `[size, size, channels]`.
pub(super) struct Canvas<T> {
    pub(super) pixels: Vec<T>,
    size: usize,
    channels: usize,
}

/// Half of the width of an edge.
const RAMP: f64 = 1.0;
/// How bright the background is in red, green and blue, beside grey.
const TINT: [f64; 3] = [0.85, 1.0, 1.15];

#[expect(clippy::cast_precision_loss, reason = "pixels and shapes are few")]
fn real(number: usize) -> f64 {
    number as f64
}

impl<T: Number> Canvas<T> {
    /// The background alone.
    pub(super) fn background(size: usize, channels: usize, of: &Values<'_, T>) -> Self {
        let level = of.get(Factor::Background).scale(35.0).shift(65.0);
        let slope = of.get(Factor::Slope).scale(25.0);
        let mut pixels = Vec::with_capacity(size * size * channels);
        for y in 0..size {
            let grey = level + slope.scale((2.0 * real(y) + 1.0) / real(size) - 1.0);
            for _ in 0..size {
                match channels {
                    1 => pixels.push(grey),
                    _ => pixels.extend(TINT.map(|tint| grey.scale(tint))),
                }
            }
        }
        Self { pixels, size, channels }
    }
}

/// How far factors move a shape, relative to the side of its part of the image.
struct Ranges {
    /// Of the centre, to each side.
    move_by: f64,
    /// The radius of a disc of the same area, and the factor between its middle and its ends.
    radius: [f64; 2],
    /// The ratio of the axes, likewise.
    elongation: [f64; 2],
}

/// A shape that has the image to itself.
const ALONE: Ranges = Ranges { move_by: 0.22, radius: [0.17, 1.25], elongation: [1.4, 1.15] };
/// One of several. The shorter half-axis has more than [`RAMP`] in an image of 16 pixels.
const CROWDED: Ranges = Ranges { move_by: 0.13, radius: [0.27, 1.12], elongation: [1.35, 1.1] };

impl Ranges {
    /// From the range's ends at -1 and 1, evenly in the logarithm.
    fn between<T: Number>([middle, ratio]: [f64; 2], z: T) -> T {
        z.scale(ratio.ln()).exp().scale(middle)
    }
}

/// The outline of a shape: where the norm of a point, in units of the half-axes, is 1.
#[derive(Clone, Copy)]
enum Outline {
    /// The Euclidean norm.
    Ellipse,
    /// The norm of fourth powers: a rectangle with round corners.
    Rounded,
}

/// A shape.
pub(super) struct Body<T> {
    number: usize,
    outline: Outline,
    centre: [T; 2],
    /// The longer and the shorter half-axis.
    axes: [T; 2],
    cos: T,
    sin: T,
    tone: T,
    /// How brightness changes along both axes.
    shade: [T; 2],
}

impl<T: Number> Body<T> {
    /// The shape with this number, from 0, of `shapes` in an image of this size.
    #[expect(clippy::integer_division_remainder_used, reason = "parts are 1 or more")]
    pub(super) fn new(of: &Values<'_, T>, number: usize, shapes: usize, size: usize) -> Self {
        let ranges = if shapes == 1 { &ALONE } else { &CROWDED };
        // Parts of the image: as many in each direction, so that there is one for each.
        let parts = (1..).find(|n| n * n >= shapes).unwrap_or(1);
        let part = real(size) / real(parts);
        let place = |factor, at: usize| {
            of.get(factor).scale(ranges.move_by * part).shift((real(at) + 0.5) * part)
        };
        let radius = Ranges::between(ranges.radius, of.get(Factor::Size)).scale(part);
        let elongation = match of.free(Factor::Elongation) {
            Some(z) => Ranges::between(ranges.elongation, z).sqrt(),
            None => T::constant(1.0),
        };
        let angle = of.get(Factor::Angle).scale(PI / 3.0);
        Self {
            number,
            outline: if number.is_multiple_of(2) { Outline::Ellipse } else { Outline::Rounded },
            centre: [place(Factor::Right, number % parts), place(Factor::Down, number / parts)],
            axes: [radius * elongation, radius / elongation],
            cos: angle.cos(),
            sin: angle.sin(),
            tone: of.get(Factor::Tone),
            shade: [Factor::ShadeAlong, Factor::ShadeAcross].map(|f| of.get(f).scale(16.0)),
        }
    }

    /// Paints it over what is there.
    #[expect(
        clippy::indexing_slicing,
        reason = "lines and columns are those of the canvas, as `near` clips them"
    )]
    pub(super) fn paint(&self, canvas: &mut Canvas<T>) {
        let (size, channels) = (canvas.size, canvas.channels);
        let colour: Vec<T> = (0..channels).map(|channel| self.colour(channel, channels)).collect();
        let [columns, lines] = self.centre.map(|at| self.near(at.value(), size));
        for y in lines {
            for x in columns.clone() {
                let point = self.place(x, y);
                let Some(cover) = self.cover(point) else { continue };
                let shade = self.shade[0] * point[0] + self.shade[1] * point[1];
                let from = (y * size + x) * channels;
                for (pixel, &colour) in canvas.pixels[from..].iter_mut().zip(&colour) {
                    *pixel = *pixel + (colour + shade - *pixel) * cover;
                }
            }
        }
    }

    /// Pixels that it may reach in one direction.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "pixels; a cast saturates"
    )]
    fn near(&self, centre: f64, size: usize) -> std::ops::Range<usize> {
        let [long, short] = self.axes.map(T::value);
        // An edge ends where the norm is 1 + RAMP / short; corners reach 2^(1/4) times as far as axes.
        let reach = 1.2 * long * (1.0 + RAMP / short);
        (centre - reach).floor() as usize..((centre + reach).ceil() as usize).min(size)
    }

    /// The centre of a pixel in the system of the shape, in units of its half-axes.
    fn place(&self, x: usize, y: usize) -> [T; 2] {
        let [dx, dy] = [(x, self.centre[0]), (y, self.centre[1])]
            .map(|(pixel, centre)| (-centre).shift(real(pixel) + 0.5));
        let [along, across] = [self.cos * dx + self.sin * dy, self.cos * dy - self.sin * dx];
        [along / self.axes[0], across / self.axes[1]]
    }

    /// How much of a pixel it covers: 1 inside, none outside, a smooth ramp of the signed distance from its outline between.
    fn cover(&self, [u, v]: [T; 2]) -> Option<T> {
        // The norm, and what its gradient has of each direction, times a power of the norm.
        let (norm, power, [of_u, of_v]) = match self.outline {
            Outline::Ellipse => {
                let norm = (u * u + v * v).sqrt();
                (norm, norm, [u, v])
            }
            Outline::Rounded => {
                let [u3, v3] = [u * u * u, v * v * v];
                let norm = (u3 * u + v3 * v).sqrt().sqrt();
                (norm, norm * norm * norm, [u3, v3])
            }
        };
        let [long, short] = self.axes;
        // The distance is at least |norm - 1| times the shorter half-axis: so this much is inside and outside for certain,
        // the centre included, at which the gradient of the norm is none.
        let far = RAMP / short.value();
        if norm.value() <= 1.0 - far {
            return Some(T::constant(1.0));
        }
        if norm.value() >= 1.0 + far {
            return None;
        }
        let [along, across] = [of_u / long, of_v / short];
        let slope = (along * along + across * across).sqrt();
        let distance = norm.shift(-1.0) * power / slope;
        let t = (-distance).scale(0.5 / RAMP).shift(0.5);
        match t.value() {
            t if t <= 0.0 => None,
            t if t >= 1.0 => Some(T::constant(1.0)),
            // Two derivatives vanish at both ends.
            _ => Some(t * t * t * (t * (t.scale(6.0).shift(-15.0))).shift(10.0)),
        }
    }

    /// Its colour in one channel: grey, or a hue that starts elsewhere for each shape.
    fn colour(&self, channel: usize, channels: usize) -> T {
        if channels == 1 {
            return self.tone.scale(25.0).shift(185.0);
        }
        let start = 2.4 * real(self.number) - TAU / 3.0 * real(channel);
        self.tone.shift(start).cos().scale(50.0).shift(160.0)
    }
}
