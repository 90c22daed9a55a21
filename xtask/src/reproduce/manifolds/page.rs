//! The page docs/results/manifolds.md, made of the committed records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;

use super::job::MFLOW;
use super::peers::PEERS;
use super::record::{Found, Record, Records};
use super::study::{Case, Study, Variant};
use crate::number::{self, median};
use crate::provenance::Provenance;
use crate::reproduce::record::Place;
use crate::table::Table;

/// Where the page is.
pub(super) const PATH: &str = "docs/results/manifolds.md";

/// The picture of a case.
pub(super) fn figure(preset: &str, case: &str) -> PathBuf {
    PathBuf::from("docs/results").join(link(preset, case))
}

fn link(preset: &str, case: &str) -> String {
    format!("figures/manifolds-{preset}-{case}.png")
}

/// The tables of a preset, for a terminal.
pub(super) fn terminal(study: &Study, preset: &str, place: Place) -> Result<String> {
    let results = Results::load(study, preset, place)?;
    let mut text = String::new();
    for &noise in &study.preset(preset)?.noise {
        let tables = [
            results.fits(noise),
            results.variants(noise),
            results.errors_of_variants(noise),
            results.peers(noise),
        ];
        for table in tables.into_iter().flatten() {
            let _ = write!(text, "{preset}, noise {noise}\n\n{}\n", table.text());
        }
    }
    Ok(text)
}

/// The page, as the records in the docs give it now.
pub(super) fn text(study: &Study) -> Result<String> {
    let goal = &study.goal;
    let mut page = format!(
        "# Find the manifold

This page answers one question: does `mflow fit` find the manifold when it is told nothing but `--manifold-dim`? (It is
also told to take 20 epochs for `plane`.) The page is for those who want to know what to expect of their own data.

Written by `cargo xtask reproduce manifolds --record` from the records in
[runs/manifolds](runs/manifolds). Cases, sizes and goals are in
[study.toml](../../xtask/manifolds/study.toml).

How a number is made: `mflow data` draws training rows, and test rows from another seed. `mflow fit` is timed.
`mflow score` and `mflow sample` do the rest. Each number is a median over seeds.

- *Error* is the root mean square distance of the test rows to the learned manifold, over the spread: the root of
  the summed variances. *Truth* is the same for the true manifold. It is 0 unless rows lie off the manifold, as those
  of `circle` and `sphere` always do, by 0.01 in the radius. The goal is an error below {error}, or below the noise or
  1.1 times the truth if one of these is more. An error below the truth is no merit: the learned manifold then comes
  near noisy rows that the true one is far from. One above the truth need not mean a wrong manifold: a model looks for
  the nearest point in units of its standardised columns, and this distance is in units of the data.
- *Error before noise* is that of the same test rows without their noise. It tells how far the learned manifold is
  from the true one.
- *Gap* is the mean over the test rows of the true log-density minus the learned one, in nats. It is
  left out where no true density is known, and of `line-and-plane`, which has a density per length on its line and
  one per area on its plane. The goal is less than {gap} either way. Of noisy data it is that of the test rows without
  their noise, and no goal: the fit has learned the density of the noisy rows.
- *Ratio* is the mean distance of samples to their nearest training row, over that of as many true rows of another
  seed. Samples of the true density have 1. The goal is less than {ratio}.
- *Seconds* are those of `mflow fit`. The goal is less than {seconds}, of runs that had the machine for themselves.
  Runs made with `--jobs` had a part of its cores.
- *Start* is what won the trials at the beginning of a fit; in brackets, for how many seeds. A dash says that there
  was no trial, as the rows lie in a plane.

Columns with *ok* count the runs that meet the goal of error, gap, ratio and seconds, and all of them together.
",
        error = goal.error,
        gap = goal.gap,
        ratio = goal.ratio,
        seconds = goal.seconds,
    );
    for preset in study.wholes() {
        let results = Results::load(study, preset, Place::Docs)?;
        if !results.is_empty() {
            results.section(&mut page);
        }
    }
    Ok(page)
}

/// What is known of a preset.
struct Results<'a> {
    study: &'a Study,
    name: &'a str,
    noise: &'a [f64],
    cases: Vec<&'a Case>,
    /// Runs, by method.
    records: BTreeMap<&'a str, Vec<Record>>,
}

impl<'a> Results<'a> {
    fn load(study: &'a Study, name: &'a str, place: Place) -> Result<Self> {
        let variants = study.variants.iter().map(|variant| &*variant.name);
        let methods = [MFLOW].into_iter().chain(variants).chain(PEERS.map(|(method, _)| method));
        let load = |method| Ok((method, Records::load(place, name, method)?.all().to_vec()));
        let records = methods.map(load).collect::<Result<_>>()?;
        Self::of(study, name, records)
    }

    fn of(
        study: &'a Study,
        name: &'a str,
        records: BTreeMap<&'a str, Vec<Record>>,
    ) -> Result<Self> {
        let preset = study.preset(name)?;
        let cases = study.cases(preset).collect();
        Ok(Self { study, name, noise: &preset.noise, cases, records })
    }

    fn is_empty(&self) -> bool {
        self.records.values().all(Vec::is_empty)
    }

    fn runs(&self, method: &str, case: &Case, noise: f64) -> Vec<&Record> {
        let all = self.records.get(method).into_iter().flatten();
        all.filter(|record| record.case == case.name && record.noise == noise).collect()
    }

    /// What `mflow fit` found at a noise; none without runs.
    fn fits(&self, noise: f64) -> Option<Table> {
        let is_noisy = noise > 0.0;
        let mut head = vec!["case", "D", "N", "error", "truth"];
        head.extend(is_noisy.then_some("error before noise"));
        head.extend(["gap", "ratio", "seconds", "error ok", "gap ok", "ratio ok"]);
        head.extend(["seconds ok", "all ok", "start"]);
        let mut table = Table::new(head);
        let mut any = false;
        for &case in &self.cases {
            let runs = self.runs(MFLOW, case, noise);
            if runs.is_empty() {
                continue;
            }
            any = true;
            let cell = |get: fn(&Found) -> Option<f64>| of_median(&runs, get, number::short);
            let floor = median(runs.iter().map(|run| run.floor(case)));
            let mut row = vec![case.name.clone(), case.features.to_string(), case.dim.to_string()];
            row.push(cell(|found| found.error));
            row.push(floor.map_or("-".to_owned(), distance));
            if is_noisy {
                row.push(cell(|found| found.clean_error));
            }
            row.push(if case.density { cell(|found| found.gap) } else { "-".to_owned() });
            row.push(of_median(&runs, |found| found.ratio, |ratio| format!("{ratio:.2}")));
            row.push(of_median(&runs, |found| found.seconds, number::seconds));
            row.extend(self.counts(case, &runs));
            row.push(starts(&runs));
            table.push(row);
        }
        any.then_some(table)
    }

    /// How many runs meet each goal, and all of them.
    fn counts(&self, case: &Case, runs: &[&Record]) -> Vec<String> {
        let met: Vec<_> = runs.iter().map(|run| run.meets(case, &self.study.goal)).collect();
        let each = (0..4).map(|goal| count(met.iter().map(|met| met[goal])));
        let all = met.iter().map(|met| Some(is_good(met)));
        each.chain([count(all)]).collect()
    }

    /// What is compared with variants: their names in files, and what they are; the default settings first. None without
    /// runs of variants at this noise.
    fn compared(&self, noise: f64) -> Option<Vec<(&str, &str)>> {
        let variants = self.study.variants.iter();
        let variants = variants.map(|variant| (&*variant.name, &*variant.title));
        let has_runs = |(name, _): &(&str, &str)| {
            self.cases.iter().any(|case| !self.runs(name, case, noise).is_empty())
        };
        let variants: Vec<_> = variants.filter(has_runs).collect();
        let all = [(MFLOW, "default")].into_iter().chain(variants.clone());
        (!variants.is_empty()).then(|| all.collect())
    }

    /// How many runs of each variant meet the goals.
    fn variants(&self, noise: f64) -> Option<Table> {
        let head = ["fit", "error ok", "gap ok", "ratio ok", "all three", "seconds"];
        let mut table = Table::new(head.to_vec());
        for (name, title) in self.compared(noise)? {
            let runs = self.cases.iter().flat_map(|&case| {
                self.runs(name, case, noise).into_iter().map(move |run| (case, run))
            });
            let runs: Vec<_> = runs.collect();
            // The seconds of runs side by side are no goal.
            let met = runs.iter().map(|(case, run)| {
                let [error, gap, ratio, _] = run.meets(case, &self.study.goal);
                [error, gap, ratio, Some(is_good(&[error, gap, ratio]))]
            });
            let met: Vec<_> = met.collect();
            let count = |goal: usize| count(met.iter().map(|met| met[goal]));
            let runs: Vec<&Record> = runs.into_iter().map(|(_, run)| run).collect();
            let mut row = vec![title.to_owned()];
            row.extend((0..4).map(count));
            row.push(of_median(&runs, |found| found.seconds, number::seconds));
            table.push(row);
        }
        Some(table)
    }

    /// The error of each variant in each case.
    fn errors_of_variants(&self, noise: f64) -> Option<Table> {
        let compared = self.compared(noise)?;
        let head = ["case"].into_iter().chain(compared.iter().map(|(_, title)| *title));
        let mut table = Table::new(head.collect::<Vec<_>>());
        for &case in &self.cases {
            let error = |(name, _): &(&str, &str)| {
                of_median(&self.runs(name, case, noise), |found| found.error, number::short)
            };
            let mut row = vec![case.name.clone()];
            row.extend(compared.iter().map(error));
            table.push(row);
        }
        Some(table)
    }

    /// Errors and seconds of all methods at a noise; none without peers.
    fn peers(&self, noise: f64) -> Option<Table> {
        let mut head = vec!["case", "mflow"];
        head.extend(PEERS.iter().map(|(_, title)| *title));
        let mut table = Table::new(head);
        let mut any = false;
        for &case in &self.cases {
            let cell = |method: &str| {
                let runs = self.runs(method, case, noise);
                let error = of_median(&runs, |found| found.error, number::short);
                let seconds = of_median(&runs, |found| found.seconds, number::seconds);
                match (runs.len(), runs.iter().filter(|run| run.is_done()).count()) {
                    (0, _) => "-".to_owned(),
                    (_, 0) => "failed".to_owned(),
                    _ => format!("{error}, {seconds} s"),
                }
            };
            if PEERS.iter().all(|(method, _)| self.runs(method, case, noise).is_empty()) {
                continue;
            }
            any = true;
            let mut row = vec![case.name.clone(), cell(MFLOW)];
            row.extend(PEERS.iter().map(|(method, _)| cell(method)));
            table.push(row);
        }
        any.then_some(table)
    }

    fn section(&self, page: &mut String) {
        let _ = write!(page, "\n## Preset {}\n", self.name);
        for &noise in self.noise {
            let Some(table) = self.fits(noise) else { continue };
            let _ = write!(
                page,
                "\n### Noise {noise}\n\n{}\n{}",
                self.verdict(noise),
                table.markdown()
            );
        }
        *page += &self.notes();
        self.ablation(page);
        *page += &self.failures();
        let pictures: Vec<&Case> =
            self.cases.iter().copied().filter(|c| figure(self.name, &c.name).is_file()).collect();
        if !pictures.is_empty() {
            *page += "\n### What was learned\n\nThe first seed of each case, without noise. Data of more than three \
                      columns are seen along their first three principal axes.\n";
        }
        for Case { name, .. } in pictures {
            let alt = format!("{name}: true rows, and samples of the fit");
            let _ = write!(page, "\n**{name}**\n\n![{alt}]({})\n", link(self.name, name));
        }
        self.beside(page);
        let _ = write!(page, "\n### How\n\n{}", self.how());
    }

    /// Why runs of some cases miss goals.
    fn notes(&self) -> String {
        let notes = self.cases.iter().filter_map(|case| Some((&case.name, case.note.as_ref()?)));
        let lines: String = notes.map(|(name, note)| format!("- *{name}*: {note}\n")).collect();
        match lines.is_empty() {
            true => lines,
            false => format!("\n### What is missed, and why\n\n{lines}"),
        }
    }

    /// What variants do, with what they are told.
    fn ablation(&self, page: &mut String) {
        for &noise in self.noise {
            let Some(compared) = self.compared(noise) else { continue };
            let _ = write!(
                page,
                "\n### What each part buys, noise {noise}\n\nThe same fits with other settings, which skip the \
                 trials where they name a start:\n\n"
            );
            let is_compared = |v: &&Variant| compared.iter().any(|(name, _)| *name == v.name);
            for Variant { title, fit, .. } in self.study.variants.iter().filter(is_compared) {
                let _ = writeln!(page, "- *{title}*: `{}`", fit.join(" "));
            }
            let tables = [self.variants(noise), self.errors_of_variants(noise)];
            for (table, title) in tables.iter().flatten().zip(["Runs that meet goals:", "Errors:"])
            {
                let _ = write!(page, "\n{title}\n\n{}", table.markdown());
            }
            *page += &self.seconds_of(compared.iter().map(|(name, _)| *name));
        }
    }

    /// In a sentence, how many runs at a noise meet all goals.
    fn verdict(&self, noise: f64) -> String {
        let goal = &self.study.goal;
        let of_case = |case: &&Case| {
            let runs = self.runs(MFLOW, case, noise);
            runs.iter().map(|run| is_good(&run.meets(case, goal))).collect::<Vec<_>>()
        };
        let all: Vec<Vec<bool>> = self.cases.iter().map(of_case).collect();
        let of = |verdicts: &[bool]| verdicts.iter().filter(|good| **good).count();
        let runs = all.concat();
        let cases = all.iter().filter(|case| !case.is_empty());
        let whole = cases.clone().filter(|case| case.iter().all(|good| *good)).count();
        format!(
            "{} of {} runs meet all goals that they are judged by; in {whole} of {} cases all seeds do.\n",
            of(&runs),
            runs.len(),
            cases.count()
        )
    }

    /// The runs that did not end.
    fn failures(&self) -> String {
        let mut text = String::new();
        for (method, records) in &self.records {
            for record in records.iter().filter(|record| !record.is_done()) {
                let Record { case, noise, seed, status, .. } = record;
                let _ = writeln!(text, "- {method}, {case}, noise {noise}, seed {seed}: {status}");
            }
        }
        if text.is_empty() { text } else { format!("\nRuns that did not end:\n\n{text}") }
    }

    /// The tables of peers, with what they are.
    fn beside(&self, page: &mut String) {
        let tables: Vec<(f64, Table)> =
            self.noise.iter().filter_map(|&noise| Some((noise, self.peers(noise)?))).collect();
        if tables.is_empty() {
            return;
        }
        *page += "\n### Beside scikit-learn\n\nThe same test rows, projected by methods of scikit-learn on the same \
                  training rows; each cell has the error and the seconds of the fit. None of these methods has a \
                  density. They are in [peers.py](../../xtask/manifolds/peers.py), which says how each comes back from \
                  codes to data. Kernel PCA and Isomap learn from the first 4000 rows, as they take a number for each \
                  pair. No package on PyPI that we found learns a manifold and the density on it: \
                  [which ones we looked at](../../xtask/manifolds/README.md).\n";
        let all = [MFLOW].into_iter().chain(PEERS.iter().map(|(name, _)| *name));
        *page += &self.seconds_of(all);
        for (noise, table) in tables {
            let _ = write!(page, "\nNoise {noise}:\n\n{}", table.markdown());
        }
    }

    /// Where seconds come from, if not all of `methods` ran on one kind of machine.
    fn seconds_of<'b>(&self, methods: impl Iterator<Item = &'b str>) -> String {
        let mut of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for method in methods {
            let records = self.records.get(method).into_iter().flatten();
            for record in records.filter(|record| record.noise == 0.) {
                of.entry(&record.machine).or_default().insert(method);
            }
        }
        if of.len() < 2 {
            return String::new();
        }
        let list = |methods: BTreeSet<&str>| methods.into_iter().collect::<Vec<_>>().join(", ");
        let of: Vec<String> = of
            .into_iter()
            .map(|(machine, methods)| format!("{}: {machine}", list(methods)))
            .collect();
        format!("\nThe seconds are not of one machine. {}.\n", of.join("; "))
    }

    fn how(&self) -> String {
        let line = |title: &str, get: &dyn Fn(&Record) -> String| {
            let values: BTreeSet<String> = self.records.values().flatten().map(get).collect();
            format!("- {title}: {}\n", values.into_iter().collect::<Vec<_>>().join(", "))
        };
        let commit = |record: &Record| Provenance::commit_text(&record.commit, record.dirty);
        [
            line("Command", &|record| format!("`{}`", record.command)),
            line("Commit", &commit),
            line("Machine", &|record| record.machine.clone()),
            line("Date", &|record| record.date.clone()),
        ]
        .concat()
    }
}

/// How many of those that were judged are good, of how many.
fn count(verdicts: impl Iterator<Item = Option<bool>>) -> String {
    let judged: Vec<bool> = verdicts.flatten().collect();
    match judged.len() {
        0 => "-".to_owned(),
        n => format!("{}/{n}", judged.iter().filter(|ok| **ok).count()),
    }
}

/// Whether no goal is missed.
fn is_good(met: &[Option<bool>]) -> bool {
    met.iter().all(|met| *met != Some(false))
}

/// The median over runs as text, or a dash.
fn of_median(runs: &[&Record], get: fn(&Found) -> Option<f64>, text: fn(f64) -> String) -> String {
    median(runs.iter().filter_map(|run| get(&run.found))).map_or("-".to_owned(), text)
}

/// A distance over the spread, where rounding is nothing.
fn distance(value: f64) -> String {
    if value < 1e-6 { "0".to_owned() } else { number::short(value) }
}

/// The starts that won, the most frequent first.
fn starts(runs: &[&Record]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        let start = run.found.start.as_deref().unwrap_or("-");
        *counts.entry(start.strip_suffix(" start").unwrap_or(start)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let text = |(start, count): &(&str, usize)| format!("{start} ({count})");
    counts.iter().map(text).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::super::study::tests::TEXT;
    use super::*;

    fn with_results<T>(records: Vec<Record>, see: impl FnOnce(&Results<'_>) -> T) -> T {
        let study = Study::parse(TEXT).unwrap();
        let peer = record("torus", 0.0, 1);
        let records = BTreeMap::from([(MFLOW, records), ("pca", vec![peer])]);
        see(&Results::of(&study, "full", records).unwrap())
    }

    #[test]
    fn seeds_are_counted_and_their_medians_taken() {
        let mut second = record("torus", 0.0, 2);
        second.found.error = Some(0.02);
        second.found.start = Some("free-form, unrolled start".to_owned());
        let mut third = record("torus", 0.0, 3);
        third.status = "failed: x".to_owned();
        third.found = Found::default();
        let runs = vec![record("torus", 0.0, 1), second, third];
        with_results(runs, |results| {
            let text = results.fits(0.0).unwrap().text();
            let row = text.lines().find(|line| line.starts_with("torus")).unwrap();
            let cells: Vec<&str> =
                row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            let expected = [
                "torus", "3", "2", "0.012", "0", "-0.040", "1.00", "50", "1/3", "2/3", "2/3",
                "2/3", "1/3",
            ];
            assert_eq!(cells[..13], expected);
            assert!(row.ends_with("- (1); free-form, unrolled (1); m-flow, flat (1)"), "{row}");
            assert!(results.fits(0.05).is_none(), "nothing was run");
            let verdict = results.verdict(0.0);
            assert!(
                verdict.starts_with(
                    "1 of 3 runs meet all goals that they are judged by; in 0 of 1 cases"
                ),
                "{verdict}"
            );
            assert_eq!(
                results.notes(),
                "\n### What is missed, and why\n\n- *torus*: It has a hole.\n"
            );
            assert_eq!(
                results.failures(),
                "\nRuns that did not end:\n\n- mflow, torus, noise 0, seed 3: failed: x\n"
            );
        });
    }

    #[test]
    fn peers_stand_beside() {
        with_results(vec![record("torus", 0.0, 1)], |results| {
            let text = results.peers(0.0).unwrap().text();
            let row = text.lines().find(|line| line.starts_with("torus")).unwrap();
            assert_eq!(row.matches("0.0040, 50 s").count(), 2, "mflow and PCA: {row}");
            assert!(row.ends_with('-'), "no autoencoder: {row}");
            assert!(results.peers(0.05).is_none(), "no peers");
        });
    }

    #[test]
    fn variants_stand_beside_the_default_settings() {
        let study = Study::parse(TEXT).unwrap();
        let mut worse = record("torus", 0.0, 1);
        (worse.found.error, worse.found.seconds, worse.at_once) = (Some(0.3), Some(99.0), 2);
        let records =
            BTreeMap::from([(MFLOW, vec![record("torus", 0.0, 1)]), ("flat", vec![worse])]);
        let results = Results::of(&study, "full", records).unwrap();
        let cells = |table: Option<Table>, start: &str| -> Vec<String> {
            let text = table.unwrap().text();
            let row = text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
            row.split("  ").map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
        };
        let row = cells(results.variants(0.0), "flat start");
        assert_eq!(row, ["flat start", "0/1", "1/1", "1/1", "0/1", "99"]);
        let row = cells(results.variants(0.0), "default");
        assert_eq!(row, ["default", "1/1", "1/1", "1/1", "1/1", "50"]);
        assert_eq!(cells(results.errors_of_variants(0.0), "torus"), ["torus", "0.0040", "0.30"]);
        let mut page = String::new();
        results.ablation(&mut page);
        assert!(page.contains("- *flat start*: `--start flat`"), "{page}");
        assert!(results.variants(0.05).is_none(), "nothing was run");
    }

    #[test]
    fn noisy_tables_have_the_error_before_the_noise() {
        let mut noisy = record("torus", 0.05, 1);
        noisy.found.clean_error = Some(0.0123);
        with_results(vec![noisy], |results| {
            let text = results.fits(0.05).unwrap().text();
            assert!(text.contains("error before noise") && text.contains("0.012"), "{text}");
        });
    }
}
