//! The script that draws figures: plotly.js, as the crate of that name embeds it.

/// The text of plotly.js; none if the crate keeps it in another way than it used to.
///
/// The crate has it in a pair of tags, followed by another script for formulas, which we do not use.
pub(super) fn plotly_js() -> Option<String> {
    let tags = plotly::Plot::offline_js_sources();
    let (first, _) = tags.split_once("</script>")?;
    let (_, script) = first.split_once('>')?;
    Some(script.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_notice_is_told() {
        let script = plotly_js().unwrap();
        let (notice, _) = script.split_once("*/").unwrap();
        let lines = notice.lines().filter_map(|line| line.strip_prefix("* "));
        let told = include_str!("../../NOTICES.md");
        let missing: Vec<&str> = lines.clone().filter(|line| !told.contains(line)).collect();
        assert!(lines.count() >= 4 && missing.is_empty(), "not in NOTICES.md: {missing:?}");
    }
}
