//! How long the runs will take, told before they start.

use anyhow::Result;

use super::job::Job;
use super::record::{Place, Record};
use crate::number::{self, median};
use crate::table::Table;

/// A row for every model: how many runs, and the median of the seconds that finished runs of it took.
///
/// # Errors
/// If a record cannot be read.
pub(super) fn forecast(open: &[&Job<'_>], at_once: usize) -> Result<String> {
    let mut rows: Vec<(&Job<'_>, u32)> = Vec::new();
    for &job in open {
        let same = |(other, _): &&mut (&Job<'_>, u32)| {
            other.experiment.name == job.experiment.name && other.model.name == job.model.name
        };
        match rows.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => rows.push((job, 1)),
        }
    }
    let mut table = Table::new(["experiment", "model", "runs", "s per run", "from", "s in all"]);
    let (mut known, mut unknown) = (0.0, 0);
    for (job, count) in rows {
        let mut seconds = Vec::new();
        for place in [Place::Docs, Place::Target] {
            let records = Record::load_all(&place.folder(&job.experiment.name, job.preset))?;
            let of_model = records.iter().filter(|record| record.model == job.model.name);
            seconds.extend(of_model.filter_map(|record| record.outcome.seconds.get("total")));
            if !seconds.is_empty() {
                break;
            }
        }
        let measured = format!("{} earlier", seconds.len());
        let each = median(seconds);
        match each {
            Some(each) => known += each * f64::from(count),
            None => unknown += count,
        }
        let text = |value: Option<f64>| value.map_or("?".to_owned(), number::seconds);
        table.push([
            job.experiment.name.clone(),
            job.model.name.clone(),
            count.to_string(),
            text(each),
            measured,
            text(each.map(|each| each * f64::from(count))),
        ]);
    }
    Ok(format!("{}\n{}", table.text(), sum(known, unknown, at_once)))
}

/// How long all of it takes: `known` seconds and `unknown` runs.
fn sum(known: f64, unknown: u32, at_once: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let minutes = (known / 60.0 / at_once as f64).ceil();
    match (known > 0.0, unknown) {
        (true, 0) => format!("about {minutes} min with --jobs {at_once}"),
        (true, _) => format!(
            "about {minutes} min with --jobs {at_once}, and {unknown} run(s) of models that have not run yet"
        ),
        (false, _) => format!("{unknown} run(s) of models that have not run yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn what_is_known_is_said_apart_from_what_is_not() {
        assert_eq!(sum(3000.0, 0, 2), "about 25 min with --jobs 2");
        let mixed = "about 1 min with --jobs 1, and 3 run(s) of models that have not run yet";
        assert_eq!(sum(50.0, 3, 1), mixed);
        assert_eq!(sum(0.0, 3, 1), "3 run(s) of models that have not run yet");
    }
}
