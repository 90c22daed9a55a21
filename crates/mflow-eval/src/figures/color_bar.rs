//! The bar that says which colour means which number.

use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene};

use super::color_scale::{ColorScale, shade};
use super::paint::{self, Font, GREY_INK, INK, TextSizes};
use super::ticks::ticks;

/// Steps of colour.
const STEPS: u32 = 256;
/// Ticks that the bar should have.
const TICKS: usize = 6;

/// Height of the bar with its texts, pixels.
pub(super) fn height(sizes: TextSizes) -> f64 {
    6.1 * f64::from(sizes.tick)
}

/// Draws the bar across, `length` pixels long, its middle at `center` and its upper edge at `top`;
/// its numbers and the label stand below it.
pub(super) fn draw(
    scene: &mut Scene,
    colors: &ColorScale,
    label: &str,
    [center, top]: [f64; 2],
    length: f64,
    sizes: TextSizes,
) {
    let [left, right] = [center - 0.5 * length, center + 0.5 * length];
    let line_height = f64::from(sizes.tick);
    let bottom = top + 1.1 * line_height;
    paint::open_group(scene, "color-bar");
    let step = length / f64::from(STEPS);
    for k in 0..STEPS {
        let fraction = (f64::from(k) + 0.5) / f64::from(STEPS);
        let value = colors.low + (colors.high - colors.low) * fraction;
        scene.add(Primitive::Rect {
            x: left + step * f64::from(k),
            y: top,
            // On into the next step, which is drawn over it, or a seam shows.
            width: if k + 1 == STEPS { step } else { step + 1.0 },
            height: bottom - top,
            fill: shade(colors.rgb(value), 1.0),
            stroke: None,
            stroke_width: None,
            opacity: None,
        });
    }
    // An arrow at an end beyond which there are numbers.
    let middle = 0.5 * (top + bottom);
    let mut outline = vec![[left, top], [right, top]];
    if colors.over {
        let tip = [right + line_height, middle];
        arrow(scene, [[right, top], tip, [right, bottom]], colors.rgb(colors.high));
        outline.push(tip);
    }
    outline.extend([[right, bottom], [left, bottom]]);
    if colors.under {
        let tip = [left - line_height, middle];
        arrow(scene, [[left, bottom], tip, [left, top]], colors.rgb(colors.low));
        outline.push(tip);
    }
    paint::polygon(scene, &outline, Color::None, INK);

    for tick in ticks(colors.low, colors.high, TICKS) {
        let x = left + (tick.value - colors.low) / (colors.high - colors.low) * length;
        paint::line(scene, [x, bottom], [x, bottom + 6.0], INK, 1.3);
        let baseline = bottom + 8.0 + line_height;
        paint::text(scene, [x, baseline], &tick.label, Font::centered(sizes.tick), INK);
    }
    let baseline = bottom + 2.0 * line_height + f64::from(sizes.label);
    if colors.under || colors.over {
        let note = "colours end at the 2nd and the 98th percentile";
        let at = [center, baseline + 1.3 * line_height];
        paint::text(scene, at, note, Font::centered(sizes.tick), GREY_INK);
    }
    paint::text(scene, [center, baseline], label, Font::centered(sizes.label), INK);
    paint::close_group(scene);
}

fn arrow(scene: &mut Scene, corners: [[f64; 2]; 3], rgb: [f64; 3]) {
    paint::polygon(scene, &corners, shade(rgb, 1.0), shade(rgb, 1.0));
}
