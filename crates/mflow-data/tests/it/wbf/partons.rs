//! Densities of partons: sum rules, by the midpoint rule.

use mflow_data::wbf::{AnalyticDensities, Parton, PartonDensities, QuarkMomenta};

/// The integral over x from 0 to 1 of `f(x) / x`, by the midpoint rule in t = x^(1/10), which flattens both ends.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    const CELLS: u32 = 20_000;
    let step = 1.0 / f64::from(CELLS);
    let term = |i: u32| {
        let t = (f64::from(i) + 0.5) * step;
        10.0 * f(t.powi(10)) / t
    };
    step * (0..CELLS).map(term).sum::<f64>()
}

#[test]
fn protons_have_two_up_quarks_and_one_down_quark() {
    let net = |of: fn(&QuarkMomenta) -> [f64; 2], anti: fn(&QuarkMomenta) -> [f64; 2], g: usize| {
        integral(|x| {
            let momenta = AnalyticDensities.momentum(x);
            of(&momenta)[g] - anti(&momenta)[g]
        })
    };
    let counts = [
        net(|q| q.up, |q| q.anti_up, 0),
        net(|q| q.down, |q| q.anti_down, 0),
        net(|q| q.up, |q| q.anti_up, 1),
        net(|q| q.down, |q| q.anti_down, 1),
    ];
    for (found, expected) in counts.into_iter().zip([2.0, 1.0, 0.0, 0.0]) {
        assert!((found - expected).abs() < 1e-3, "{counts:?}");
    }
}

#[test]
fn quarks_leave_the_gluon_its_share_of_the_momentum() {
    let share = integral(|x| {
        let QuarkMomenta { down, up, anti_down, anti_up } = AnalyticDensities.momentum(x);
        let quarks: f64 = [down, up, anti_down, anti_up].iter().flatten().sum();
        x * (quarks + 2.0 * AnalyticDensities.bottom(x))
    });
    assert!((share + AnalyticDensities::GLUON - 1.0).abs() < 1e-3, "{share}");
}

#[test]
fn partons_have_their_numbers() {
    let numbers = [
        (Parton::Down(0), 1, 2),
        (Parton::Up(0), 2, 1),
        (Parton::Down(1), 3, 4),
        (Parton::Up(1), 4, 3),
        (Parton::AntiDown(0), -1, -2),
        (Parton::AntiUp(1), -4, -3),
    ];
    for (parton, number, partner) in numbers {
        assert_eq!((parton.pdg(), parton.partner().pdg()), (number, partner));
        assert_eq!(parton.partner().partner(), parton);
    }
    let momenta = AnalyticDensities.momentum(0.1);
    assert_eq!(momenta.of(Parton::Up(0)), momenta.up[0]);
    assert_eq!(momenta.of(Parton::AntiDown(1)), momenta.anti_down[1]);
    assert_eq!(momenta.of(Parton::Down(2)), 0.0);
}
