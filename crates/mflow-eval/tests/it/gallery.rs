//! Pictures to look at: `FIGURES=/tmp/figures cargo test -p mflow-eval -- --ignored gallery`.

use std::path::PathBuf;

use mflow_bijectors::Stream;
use mflow_eval::figures::{
    Boundary, Camera, Corner, CurveStyle, Ink, Layer, Panel, PanelStyle, Series, Shape,
    SurfacePanel, SurfaceStyle, draw_corner, draw_curves, draw_panels, draw_surfaces,
};
use mflow_eval::statistics::{Field, highest_density_level};

/// A surface over `[-4, 4]²` whose points and values `bend` changes.
fn surface(title: &str, side: u32, bend: f64) -> SurfacePanel {
    let at = |k: u32| -4.0 + 8.0 * f64::from(k) / f64::from(side - 1);
    let mut panel = SurfacePanel { title: title.to_owned(), ..SurfacePanel::default() };
    (panel.rows, panel.cols) = (side as usize, side as usize);
    for (row, col) in (0..side).flat_map(|row| (0..side).map(move |col| (row, col))) {
        let (x, y) = (at(row), at(col));
        let r2 = x * x + y * y;
        let z = (-0.1 * r2).exp() * (x - y + 0.3 * x * y - 0.2 * y * y);
        let wave = bend * (1.3 * y).sin();
        panel.points.push([x + 0.4 * wave, y + 0.2 * bend * x.cos(), z + wave]);
        panel.value.push(-0.5 * r2 * (0.4 + 0.1 * x.sin()) - 1.8 + wave);
    }
    panel.scatter = panel.points.iter().step_by(37).copied().collect();
    panel
}

#[test]
#[ignore = "writes pictures to look at, to the directory FIGURES"]
fn gallery() {
    let folder = PathBuf::from(std::env::var("FIGURES").expect("FIGURES names a directory"));
    let mut panels = [surface("True density", 61, 0.0), surface("Learned density", 61, 0.35)];
    draw_surfaces(&panels, &SurfaceStyle::default(), &folder.join("surfaces.png")).unwrap();
    draw_surfaces(&panels, &SurfaceStyle::default(), &folder.join("surfaces.svg")).unwrap();
    for panel in &mut panels {
        panel.scatter.clear();
        panel.value.iter_mut().take(400).for_each(|value| *value = f64::NAN);
    }
    draw_surfaces(&panels, &SurfaceStyle::default(), &folder.join("holes.png")).unwrap();

    for azimuth in [30.0, 135.0, -90.0] {
        let camera = Camera { azimuth, elevation: 40.0 };
        let mut tall = panels[0].clone();
        tall.points.iter_mut().for_each(|point| point[2] *= 3.0);
        let style = SurfaceStyle { camera, ..SurfaceStyle::default() };
        let path = folder.join(format!("azimuth{azimuth}.png"));
        draw_surfaces(&[tall], &style, &path).unwrap();
    }

    let loss = |scale: f64, from: u32, to: u32| {
        let y = |k: f64| scale * (0.02 + (-0.06 * k).exp() * (1.0 + 0.1 * (3.0 * k).sin()));
        (from..to).map(|k| (f64::from(k), y(f64::from(k - from)))).collect()
    };
    let mut series = [
        Series { name: "reconstruction, training".to_owned(), points: loss(1.0, 0, 60) },
        Series { name: "reconstruction, validation".to_owned(), points: loss(1.1, 0, 60) },
        Series { name: "negative log-likelihood".to_owned(), points: loss(3.0, 60, 120) },
    ];
    series[1].points[20].1 = f64::NAN;
    let boundaries = [
        Boundary { at: 0.0, label: "manifold".to_owned() },
        Boundary { at: 60.0, label: "density".to_owned() },
    ];
    let style = CurveStyle {
        title: "Training of the polynomial surface".to_owned(),
        log_y: true,
        ..CurveStyle::default()
    };
    draw_curves(&series, &boundaries, &style, &folder.join("curves.png")).unwrap();
    let style = CurveStyle { log_y: false, ..style };
    draw_curves(&series, &boundaries, &style, &folder.join("curves-linear.png")).unwrap();
    draw_panels(&planes(), &PanelStyle::default(), &folder.join("panels.png")).unwrap();
    draw_panels(&planes(), &PanelStyle::default(), &folder.join("panels.svg")).unwrap();
}

/// Corner plots of one to six parameters: correlated, bent, at a bound.
#[test]
#[ignore = "writes pictures to look at, to the directory FIGURES"]
fn corners() {
    let folder = PathBuf::from(std::env::var("FIGURES").expect("FIGURES names a directory"));
    let all = ["theta_1", "rate", "log_scale", "phi", "kappa", "offset of the detector"];
    for parameters in [1, 2, 3, 4, 6] {
        let stream = &mut Stream::new(1, "corner");
        let row = |_| -> Vec<f64> {
            let z = stream.normal(6);
            let second = 40. + 7. * (0.9 * z[0] + 0.44 * z[1]);
            let bent = 0.01 * (z[2] + z[0] * z[0]);
            let row =
                [0.3 * z[0], second, bent, z[3].abs(), -1e4 + z[4], (3. * z[5]).sin() + 0.2 * z[4]];
            row[..parameters].to_vec()
        };
        let samples: Vec<f64> = (0..4000).flat_map(row).collect();
        let names: Vec<String> = all[..parameters].iter().map(|name| (*name).to_owned()).collect();
        let bounds = [None, None, None, Some([0., 5.]), None, None];
        let truth = [0.1, 43., 0.005, 0.4, -1e4, 0.5];
        let truth = (parameters != 2).then_some(&truth[..parameters]);
        let bounds = &bounds[..parameters];
        let corner = Corner { samples: &samples, names: &names, bounds, truth };
        draw_corner(&corner, &folder.join(format!("corner-{parameters}.png"))).unwrap();
    }
}

/// One panel for each way to draw in a plane.
fn planes() -> Vec<Panel> {
    let grid: Vec<f64> = (0..81).map(|k| -3.0 + 0.075 * f64::from(k)).collect();
    let contours = |mean: f64, tilt: f64| {
        let log_density = |x: f64, y: f64| -(x - mean).powi(2) - 0.7 * (y - tilt * x).powi(2);
        let points = grid.iter().flat_map(|&x| grid.iter().map(move |&y| (x, y)));
        let values: Vec<f64> = points.map(|(x, y)| log_density(x, y)).collect();
        let field = Field { x: grid.clone(), y: grid.clone(), values };
        let level = |share| highest_density_level(&field.values, share).unwrap();
        let lines = [0.68, 0.95].map(|share| field.contour(level(share)).unwrap()).concat();
        Shape::Line(lines.join(&(f64::NAN, f64::NAN)))
    };
    let spiral = |k: i32| (0.05 * f64::from(k), (0.06 * f64::from(k)).sin_cos());
    let points = (0..120).map(spiral).map(|(r, (sin, cos))| (r * cos, r * sin)).collect();
    let colored = Shape::Colored { points, value: (0..120).map(|k| -0.1 * f64::from(k)).collect() };
    let edges: Vec<f64> = (0..21).map(|k| -2.0 + 0.2 * f64::from(k)).collect();
    let bell = |x: f64| (-0.5 * x * x).exp();
    let heights = edges[1..].iter().map(|x| bell(x - 0.1) + 0.03 * (9.0 * x).sin()).collect();
    let line = edges.iter().map(|&x| (x, bell(x))).collect();
    let panel = |title: &str, layers| Panel {
        title: title.to_owned(),
        x_label: "x [m]".to_owned(),
        y_label: "y [m]".to_owned(),
        layers,
        ..Panel::default()
    };
    let bars = Layer::new("counts", Ink::Faint, Shape::Bars { edges, heights });
    vec![
        panel(
            "Contours, 68 and 95 %",
            vec![
                Layer::new("truth", Ink::Truth, contours(0.2, 0.5)),
                Layer::new("model", Ink::Series(0), contours(0.5, 0.2)),
                Layer::new("true parameters", Ink::Truth, Shape::Dots(vec![(0.0, 0.1)])),
            ],
        ),
        Panel {
            equal_units: true,
            ..panel("A coloured line", vec![Layer::new("", Ink::Truth, colored)])
        },
        panel("Bars", vec![bars, Layer::new("model", Ink::Series(0), Shape::Line(line))]),
    ]
}
