//! The page about posteriors: parameters, corner plot and chains of each observed set.
use super::number::array;
use super::page::Page;
use super::plot::{COLORS, Plot};
use super::table::Table;
use crate::inferred::HEAD;
use crate::{InferredSet, Result};
use mflow_eval::figures::CORNER_PARAMETERS;
use mflow_eval::{LEAST_EFFECTIVE_SAMPLE_SIZE, R_HAT_LIMIT, Sampler};
use serde_json::json;

/// Sets whose figures are on the page; a page of hundreds would not open.
const SHOWN: usize = 20;
/// Points of the line of a chain at most.
const POINTS: usize = 1000;

/// The page about `sets`, of which there is at least one.
pub(super) fn page(sets: &[InferredSet], model: &str) -> Result<Page> {
    let title = if sets.len() == 1 { "Posterior" } else { "Posteriors" };
    let first = sets.first();
    let names = first.map(|set| set.names.join(", ")).unwrap_or_default();
    let mut page = Page::new(title, &format!("of {names}"));
    if let Some(first) = first {
        page.facts(&facts(first, model));
    }
    if sets.len() > 1 {
        page.section("Observed sets");
        page.table(&overview(sets));
    }
    for (k, set) in sets.iter().enumerate().take(SHOWN) {
        match sets.len() {
            1 => page.section(&set.title),
            _ => page.section(&format!("Set {}: {}", k + 1, set.title)),
        }
        one(&mut page, set)?;
    }
    if sets.len() > SHOWN {
        page.note(&format!(
            "Figures and draws of the other sets are in their folders, from set {} on.",
            SHOWN + 1
        ));
    }
    Ok(page)
}

fn facts(set: &InferredSet, model: &str) -> Vec<(&'static str, String)> {
    let lengths = set.config.lengths;
    let sampler = match set.config.sampler {
        Sampler::Nuts => "NUTS",
        Sampler::Slice => "slice sampling",
    };
    vec![
        ("Model", model.to_owned()),
        ("Sampler", sampler.to_owned()),
        ("Chains", set.config.chains.to_string()),
        ("Draws of each", format!("{}, after {} of burn-in", lengths.draws, lengths.burn_in)),
    ]
}

/// Mean and standard deviation of each parameter, and how many warnings there are, for each set.
fn overview(sets: &[InferredSet]) -> Table {
    let names = sets.first().map(|set| set.names.as_slice()).unwrap_or_default();
    let head = ["Set", "Observed"].map(str::to_owned).into_iter();
    let head = head.chain(names.iter().cloned()).chain(["Warnings".to_owned()]);
    let mut table = Table::new("sets", 2, head);
    for (k, set) in sets.iter().enumerate() {
        let mut row = vec![(k + 1).to_string(), set.title.clone()];
        row.extend(set.cells().into_iter().map(|[_, mean, std, ..]| format!("{mean} ± {std}")));
        row.push(set.warnings().len().to_string());
        table.row(row);
    }
    table
}

/// What there is to say and to show of a set.
fn one(page: &mut Page, set: &InferredSet) -> Result<()> {
    let head = HEAD[..1].iter().chain(&["Prior"]).chain(&HEAD[1..]).copied();
    let mut table = Table::new("parameters", 2, head);
    for (cells, prior) in set.cells().into_iter().zip(&set.priors) {
        let [name, numbers @ ..] = cells;
        table.row([name, prior.to_string()].into_iter().chain(numbers).collect());
    }
    page.table(&table);
    for warning in set.warnings() {
        page.note(&format!("Warning: {warning}"));
    }
    page.note(&format!(
        "The chains agree if R-hat is at most {R_HAT_LIMIT}. The effective sample size says how many independent draws \
         the chains are worth; quantiles want at least {LEAST_EFFECTIVE_SAMPLE_SIZE}."
    ));
    page.subsection("Corner plot");
    page.picture(&set.svg()?);
    if set.names.len() > CORNER_PARAMETERS {
        page.note(&format!("The figure shows the first {CORNER_PARAMETERS} parameters."));
    }
    page.subsection("Chains");
    page.figures(&traces(set));
    page.note(
        "Each colour is a chain. Chains that have converged look like noise around one level, all of them around the \
         same one.",
    );
    Ok(())
}

/// A figure of each parameter: its draws, chain by chain.
fn traces(set: &InferredSet) -> Vec<(String, Plot)> {
    let [_, draws, _] = set.sample.shape;
    let step = draws.div_ceil(POINTS).max(1);
    let figure = |(parameter, name): (usize, &String)| {
        let chains = set.sample.of_chains(parameter);
        let line = |(k, chain): (usize, &Vec<f64>)| {
            let color = COLORS[k % COLORS.len()];
            json!({
                "type": "scatter", "mode": "lines", "name": format!("chain {}", k + 1),
                "x0": 1, "dx": step, "y": array(chain.iter().step_by(step).copied()),
                "line": { "color": color, "width": 1 }, "opacity": 0.8,
            })
        };
        let traces = chains.iter().enumerate().map(line).collect();
        let layout = json!({
            "xaxis": { "title": { "text": "draw" } }, "yaxis": {}, "hovermode": "closest", "showlegend": false,
        });
        (name.clone(), Plot { traces, layout })
    };
    set.names.iter().enumerate().map(figure).collect()
}
