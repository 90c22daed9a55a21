//! The file `xtask/manifolds/study.toml`: cases, sizes and goals.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::job::MFLOW;
use super::peers::PEERS;
use crate::files;

const FILE: &str = "xtask/manifolds/study.toml";

/// All that the study is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Study {
    /// Sizes, by name.
    pub(super) preset: BTreeMap<String, Preset>,
    /// What a run should reach.
    pub(super) goal: Goal,
    /// Fits with other settings than the default ones, to see what these buy.
    #[serde(default, rename = "variant")]
    pub(super) variants: Vec<Variant>,
    /// The data sets.
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// A fit with other settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    /// Its name, in files.
    pub(super) name: String,
    /// What it is, for tables.
    pub(super) title: String,
    /// What `mflow fit` is told beside.
    pub(super) fit: Vec<String>,
}

/// How much is run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preset {
    /// Training rows.
    pub(super) rows: usize,
    /// Test rows, of another seed.
    pub(super) test_rows: usize,
    /// Samples of the model, and true rows of another seed that they are compared with.
    pub(super) samples: usize,
    /// Noise, in units of the spread.
    pub(super) noise: Vec<f64>,
    /// Number of seeds.
    pub(super) seeds: u64,
    /// Names of the cases; none means all.
    #[serde(default)]
    cases: Vec<String>,
    /// Names of the variants that are run beside the default settings.
    #[serde(default)]
    variants: Vec<String>,
    /// The preset of the same sizes whose records it adds to; none has its own.
    part_of: Option<String>,
}

/// Numbers that good runs stay below.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Goal {
    /// Distance over the spread.
    pub(super) error: f64,
    /// Nats, either way.
    pub(super) gap: f64,
    /// Distance of samples over that of true rows.
    pub(super) ratio: f64,
    /// Time of the fit.
    pub(super) seconds: f64,
}

/// A data set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The simulator, or `plane`.
    pub(super) name: String,
    /// Number of columns.
    pub(super) features: u32,
    /// What `--manifold-dim` is told.
    pub(super) dim: u32,
    /// The parameter of the simulator.
    pub(super) at: Option<f64>,
    /// Training rows, if not those of the preset.
    pub(super) rows: Option<usize>,
    /// What `--epochs` is told, if anything.
    pub(super) epochs: Option<u32>,
    /// Whether the true density is known, and can be compared with that of a model.
    #[serde(default = "yes")]
    pub(super) density: bool,
    /// Whether it is run with noise, too.
    #[serde(default = "yes")]
    pub(super) noise: bool,
    /// Why runs miss goals, for the page.
    pub(super) note: Option<String>,
}

fn yes() -> bool {
    true
}

impl Study {
    /// Reads the file.
    pub(super) fn load() -> Result<Self> {
        let path = Path::new(FILE);
        Self::parse(&files::read(path)?).with_context(|| format!("in {FILE}"))
    }

    /// Reads its text.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let study: Self = toml::from_str(text)?;
        for (preset, Preset { cases, variants, part_of, .. }) in &study.preset {
            for name in cases {
                let known = study.cases.iter().any(|case| case.name == *name);
                ensure!(known, "[preset.{preset}] has the case '{name}', which is no [[case]]");
            }
            if let Some(whole) = part_of {
                let known = study.preset.get(whole);
                let known = known.is_some_and(|whole| whole.part_of.is_none());
                ensure!(
                    known,
                    "[preset.{preset}] is a part of '{whole}', which is no whole [preset]"
                );
            }
            for name in variants {
                let known = study.variants.iter().any(|variant| variant.name == *name);
                ensure!(
                    known,
                    "[preset.{preset}] has the variant '{name}', which is no [[variant]]"
                );
            }
        }
        let taken = [MFLOW].into_iter().chain(PEERS.map(|(name, _)| name));
        let mut names: Vec<&str> = taken.collect();
        for Variant { name, .. } in &study.variants {
            ensure!(!names.contains(&&**name), "[[variant]] '{name}': the name is taken");
            names.push(name);
        }
        Ok(study)
    }

    /// A preset by its name.
    pub(super) fn preset(&self, name: &str) -> Result<&Preset> {
        self.preset.get(name).with_context(|| {
            let known: Vec<&str> = self.preset.keys().map(String::as_str).collect();
            format!("the study has no preset '{name}'; expected one of {}", known.join(", "))
        })
    }

    /// The cases of a preset.
    pub(super) fn cases<'a>(&'a self, preset: &'a Preset) -> impl Iterator<Item = &'a Case> {
        let is_in = |case: &&Case| preset.cases.is_empty() || preset.cases.contains(&case.name);
        self.cases.iter().filter(is_in)
    }

    /// Those of them that are run with this noise.
    pub(super) fn cases_with<'a>(
        &'a self,
        preset: &'a Preset,
        noise: f64,
    ) -> impl Iterator<Item = &'a Case> {
        self.cases(preset).filter(move |case| noise == 0.0 || case.noise)
    }

    /// The presets with records of their own.
    pub(super) fn wholes(&self) -> impl Iterator<Item = &String> {
        self.preset.iter().filter(|(_, preset)| preset.part_of.is_none()).map(|(name, _)| name)
    }

    /// The preset to whose records a preset adds.
    pub(super) fn whole<'a>(&'a self, name: &'a str) -> Result<&'a str> {
        Ok(self.preset(name)?.part_of.as_deref().unwrap_or(name))
    }

    /// The variants of a preset.
    pub(super) fn variants<'a>(&'a self, preset: &'a Preset) -> impl Iterator<Item = &'a Variant> {
        self.variants.iter().filter(|variant| preset.variants.contains(&variant.name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const TEXT: &str = r#"
        [goal]
        error = 0.005
        gap = 0.05
        ratio = 1.3
        seconds = 60
        [preset.quick]
        rows = 100
        test_rows = 20
        samples = 30
        noise = [0.0]
        seeds = 1
        cases = ["torus"]
        [preset.full]
        rows = 1000
        test_rows = 200
        samples = 300
        noise = [0.0, 0.05]
        seeds = 2
        [preset.ablation]
        rows = 1000
        test_rows = 200
        samples = 300
        noise = [0.0]
        seeds = 1
        part_of = "full"
        variants = ["flat"]
        [[variant]]
        name = "flat"
        title = "flat start"
        fit = ["--start", "flat"]
        [[case]]
        name = "torus"
        features = 3
        dim = 2
        note = "It has a hole."
        [[case]]
        name = "plane"
        features = 3
        dim = 2
        rows = 50
        epochs = 20
        noise = false
    "#;

    #[test]
    fn a_preset_has_its_cases_or_all() {
        let study = Study::parse(TEXT).unwrap();
        let names = |preset: &str| -> Vec<&str> {
            study.cases(study.preset(preset).unwrap()).map(|case| &*case.name).collect()
        };
        assert_eq!(names("quick"), ["torus"]);
        assert_eq!(names("full"), ["torus", "plane"]);
        let noisy = study.cases_with(study.preset("full").unwrap(), 0.05);
        assert_eq!(noisy.map(|case| &*case.name).collect::<Vec<_>>(), ["torus"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = Study::parse(TEXT).unwrap().preset("slow").unwrap_err();
        assert!(error.to_string().contains("expected one of ablation, full, quick"), "{error}");
        let wrong = |from: &str, to: &str| Study::parse(&TEXT.replace(from, to)).unwrap_err();
        let error = wrong("part_of = \"full\"", "part_of = \"fulll\"").to_string();
        assert!(error.contains("is a part of 'fulll', which is no whole"), "{error}");
        let again = "[[variant]]\nname = \"pca\"\ntitle = \"\"\nfit = []\n[[case]]";
        let error = wrong("[[case]]", again).to_string();
        assert!(error.contains("[[variant]] 'pca': the name is taken"), "{error}");
        let error = Study::parse(&TEXT.replace("[\"flat\"]", "[\"falt\"]")).unwrap_err();
        assert!(error.to_string().contains("'falt', which is no [[variant]]"), "{error}");
        let error = Study::parse(&TEXT.replace("[\"torus\"]", "[\"tours\"]")).unwrap_err();
        assert!(error.to_string().contains("'tours', which is no [[case]]"), "{error}");
    }

    #[test]
    fn the_shipped_study_is_sound() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/manifolds/study.toml");
        let study = Study::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        for case in &study.cases {
            assert!(case.dim < case.features, "{}: no room for a manifold", case.name);
        }
    }
}
