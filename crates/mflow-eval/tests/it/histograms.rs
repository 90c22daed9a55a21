//! Histograms and distances between samples of one number. Oracles: counts by hand; scipy 1.16 (`ks_2samp`).
use mflow_eval::statistics::{histogram, kolmogorov_smirnov};

#[test]
fn bars_have_the_heights_of_their_counts() {
    let values = [0., 0.1, 0.9, 1.5, 2., 7., f64::NAN, -1.];
    let line = histogram(&values, [0., 2.], 2);
    let expected = [(0., 3. / 8.), (1., 3. / 8.), (1., 2. / 8.), (2., 2. / 8.)];
    assert_eq!(line, expected);
}

#[test]
fn distances_between_samples_are_those_of_scipy() {
    let a = [0.1, 0.4, 0.4, 1.2, 3.0];
    let b = [0.4, 0.5, 2.0];
    // scipy.stats.ks_2samp(a, b).statistic
    assert!((kolmogorov_smirnov(&a, &b) - 0.266_666_666_666_666_66).abs() < 1e-15);
    assert_eq!(kolmogorov_smirnov(&a, &a), 0.);
    assert_eq!(kolmogorov_smirnov(&[0.], &[1.]), 1.);
    assert_eq!(
        kolmogorov_smirnov(&[f64::NAN, 0.], &[0., 0.]),
        0.5,
        "what is no number is far away"
    );
}
