//! Metrics by their names: what they are called in a table, and what they measure.
use super::number::short;
use mflow_eval::Estimate;

/// Title and meaning.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "manifold_distance",
        "manifold distance",
        "mean distance of samples to the true manifold, data units; of the polynomial surface along the \
         vertical of its chart, as published; of images the nearest that a search finds",
    ),
    (
        "manifold_distance_floor",
        "manifold distance of test images",
        "the same of test images, which rounding to whole numbers moves off the manifold",
    ),
    (
        "manifold_distance_euclidean",
        "manifold distance, Euclidean",
        "mean distance of samples to the nearest point of the true manifold, data units",
    ),
    (
        "manifold_distance_with_noise",
        "manifold distance, with noise",
        "the same of samples with the noise that the model has across its manifold",
    ),
    (
        "reconstruction_error",
        "reconstruction error",
        "mean distance of test data to their projection by the model, data units",
    ),
    (
        "log_likelihood_gap",
        "log-likelihood gap",
        "mean of the true log-density of test data less that of the model, nats; no divergence, as the \
         densities are on different manifolds",
    ),
    (
        "excess_volume",
        "excess volume",
        "how much larger the model's tangents are than their projection onto the true tangent space, nats; 0 if they are \
         parallel",
    ),
    (
        "log_ratio_error",
        "error of log-ratios",
        "mean squared difference of the log-likelihood ratio of model and truth, squared nats",
    ),
    (
        "kl_chart",
        "KL in the chart",
        "divergence of model and truth in the chart of the surface, nats",
    ),
    (
        "test_log_prob",
        "log-density on the manifold",
        "mean of the model's log-density of test data, per volume on the manifold, nats",
    ),
    (
        "test_log_prob_ambient",
        "log-density of the whole space",
        "mean of the model's log-density of test data, per volume of the whole space, nats",
    ),
    ("true_log_prob", "true log-density", "mean of the true log-density at samples, nats"),
    (
        "true_log_prob_with_noise",
        "true log-density, with noise",
        "the same of samples with the noise that the model has across its manifold, nats",
    ),
    (
        "outlier_auc_log_prob",
        "outlier AUC, log-density",
        "how well the log-density tells data from points off the manifold; 0.5 is chance",
    ),
    (
        "outlier_auc_reconstruction",
        "outlier AUC, error",
        "how well the reconstruction error tells data from points off the manifold; 0.5 is chance",
    ),
    (
        "outlier_auc_published",
        "outlier AUC, as published",
        "the better of both, each turned round where it is below 0.5",
    ),
    (
        "posterior_mmd",
        "posterior MMD",
        "squared discrepancy of the posteriors of model and truth, median of the observed sets",
    ),
    (
        "posterior_mmd_spread",
        "posterior MMD, interquartile range",
        "how far the middle half of the observed sets spreads",
    ),
    (
        "posterior_mmd_published",
        "posterior MMD, one set",
        "the same of the first observed set alone, as published",
    ),
    (
        "posterior_mmd_floor",
        "posterior MMD, truth against truth",
        "the same between two chains of the true posterior: what chance and correlated draws leave",
    ),
    (
        "log_posterior",
        "log-posterior",
        "log-density of the model's posterior at the true parameter, mean of the observed sets, nats",
    ),
    (
        "log_posterior_of_truth",
        "log-posterior of the truth",
        "the same of the true posterior, to compare with",
    ),
    (
        "posterior_kl",
        "KL from the true posterior",
        "divergence of the model's posterior from the true one, mean of the observed sets, nats",
    ),
    (
        "posterior_kl_floor",
        "KL, truth against truth",
        "the same of the true posterior, integrated by other random points",
    ),
    (
        "score_error",
        "error of the score",
        "squared error of the score over its information: 0 if it is exact, 1 if it knows nothing of the parameters",
    ),
    (
        "coverage_50",
        "coverage of 50 %",
        "how often the true parameter is in the half of the posterior around its middle; 0.5 is right",
    ),
    (
        "coverage_90",
        "coverage of 90 %",
        "how often the true parameter is in nine tenths of the posterior; 0.9 is right",
    ),
    (
        "calibration_p_value",
        "p-value of ranks",
        "how likely ranks of the true parameter as uneven as these are, if the posterior is right",
    ),
    (
        "closure",
        "closure",
        "how far samples are from fulfilling the identities between the features of an event; 0 is exact",
    ),
    (
        "ks_jets_mass",
        "m_jj, distance of distributions",
        "largest difference of the distribution functions of the jets' invariant mass, samples against events",
    ),
    (
        "ks_delta_phi",
        "Δφ_jj, distance of distributions",
        "the same of the angle between the jets across the beams",
    ),
    ("ks_floor", "events against events", "the same between two samples of events"),
    (
        "frechet_inception-v3",
        "FID",
        "Fréchet distance of samples from test images, in the features of Inception-v3 that pytorch-fid computes",
    ),
    (
        "frechet_inception-v3_floor",
        "FID of training images",
        "the same of training images: what a perfect model would have",
    ),
    (
        "kernel_inception-v3",
        "KID",
        "kernel distance of samples from test images, in the same features",
    ),
    (
        "kernel_inception-v3_floor",
        "KID of training images",
        "the same of training images: what a perfect model would have",
    ),
    (
        "round_trip_error",
        "round-trip error",
        "largest distance by which a projected point moves when it is projected again",
    ),
];

/// What is measured in features of images, by what comes before their name.
const OF_FEATURES: &[(&str, &str, &str)] = &[
    (
        "frechet_",
        "Fréchet distance",
        "distance of samples from test images, both taken for normal, in these features",
    ),
    (
        "kernel_",
        "kernel distance",
        "kernel distance of samples from test images, in these features",
    ),
    ("precision_", "precision", "how many samples are among test images, in these features"),
    ("recall_", "recall", "how many test images are among samples, in these features"),
];

/// What comes behind the name of features where training images take the place of samples.
const FLOOR: &str = "_floor";

/// What is measured, in the features of this name, if it is something in features.
fn in_features(name: &str) -> Option<(&'static str, &str, &'static str)> {
    OF_FEATURES
        .iter()
        .find_map(|(start, title, meaning)| Some((*title, name.strip_prefix(start)?, *meaning)))
}

/// What a metric is called in a table.
pub(super) fn title(name: &str) -> String {
    if let Some((_, title, _)) = KNOWN.iter().find(|(key, ..)| *key == name) {
        return (*title).to_owned();
    }
    match in_features(name) {
        None => name.replace('_', " "),
        Some((title, features, _)) => match features.strip_suffix(FLOOR) {
            None => format!("{title}, {features}"),
            Some(features) => format!("{title} of training images, {features}"),
        },
    }
}

/// What it measures, if that is known.
pub(super) fn meaning(name: &str) -> &'static str {
    if let Some((_, _, meaning)) = KNOWN.iter().find(|(key, ..)| *key == name) {
        return meaning;
    }
    match in_features(name) {
        None => "",
        Some((_, features, _)) if features.ends_with(FLOOR) => {
            "the same of training images: what a perfect model would have"
        }
        Some((_, _, meaning)) => meaning,
    }
}

/// Value and standard error; a number without an error in a few digits.
pub(super) fn value(estimate: &Estimate) -> String {
    match estimate.standard_error {
        Some(_) => estimate.to_string(),
        None => short(estimate.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_in_any_features_are_explained() {
        assert_eq!(title("frechet_pca-64"), "Fréchet distance, pca-64");
        assert_eq!(title("recall_pca-64_floor"), "recall of training images, pca-64");
        assert_eq!(title("frechet_inception-v3"), "FID");
        assert!(meaning("precision_raw").contains("among test images"));
        assert!(meaning("precision_raw_floor").contains("training images"));
        assert_eq!((title("a_thing").as_str(), meaning("a_thing")), ("a thing", ""));
    }
}
