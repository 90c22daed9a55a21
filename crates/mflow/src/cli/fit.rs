//! `mflow fit`: train a model on a table.
use super::exit::{Done, Usage};
use super::fit_options::Options;
use super::model;
use super::output::{message, result};
use super::plot::report_on;
use super::progress::Watch;
use super::tables::{Files, Numbers, Tables};
use super::{interrupt, threads};
use anyhow::{Result, anyhow, bail};
use mflow::core::candle::Device;
use mflow::cycle::{self, Cycle};
use mflow::fit::{
    Candidates, Chosen, Fit, FitConfig, FitRequest, HeldOut, HeldOutRows, MODEL_FILE, News, Plan,
    Way, keep_config, keep_points,
};
use mflow::train::{Attempt, KeptEpoch, Outcome, Pool, RowSource, RunDir, TRIAL, kept_epochs};
use mflow::{Error, Setting, html};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn run(options: &Options) -> Result<Done> {
    let request = options.request()?;
    if options.ratios.is_some() && request.model.is_none() && request.config.is_none() {
        bail!(Usage(
            "expected --model ratio beside --ratios, as it alone learns from them".to_owned()
        ));
    }
    let pool = threads::pool(options.threads)?;
    options.run.ranks.together(pool, |pool| fit(options, request, &pool))
}

#[expect(clippy::indexing_slicing, reason = "`ways` leaves one or more")]
fn fit(options: &Options, request: FitRequest, pool: &Pool) -> Result<Done> {
    let mut inputs = Inputs::read(options, request.seed.unwrap_or(0))?;
    let mut plan = open(options, request, &mut inputs, pool)?;
    let config = &plan.ways[0].config;
    if config.model.needs_double() {
        message(format_args!(
            "computed in double precision: a column of the data or the context has a mean more than 1000 times its \
             deviation, and single precision would round its values away"
        ));
    }
    let Inputs { tables, validation, apart } = inputs;
    let columns = tables.data.columns().map(<[String]>::to_vec);
    let layout = tables.layout.clone();
    let provenance = provenance(options, config, &tables.data);
    let device = config.device.open(config.dtype.into())?;
    let source = |tables: Tables| tables.into_source(config, &device);
    let data = source(tables)?;
    let (validation, apart) = (validation.map(source).transpose()?, apart.map(source).transpose()?);
    let (data, validation) = (data.as_ref(), validation.as_deref());
    let tell = &mut |news: News| message(format_args!("{news}"));
    let mut of_ways = vec![];
    let ways = std::mem::take(&mut plan.ways);
    let candidates = Candidates::new(ways, data, &mut |news| of_ways.push(news));
    if candidates.is_err() {
        of_ways.drain(..).for_each(&mut *tell);
    }
    let candidates = candidates?;
    let run = options.run.open(pool)?;
    let stop = interrupt::flag()?;
    if !run.resumed() {
        plan.news.drain(..).for_each(&mut *tell);
    }
    of_ways.into_iter().for_each(&mut *tell);
    let chosen = plan.choose(candidates, data, validation, pool, tell, &stop)?;
    let Some(Chosen { config, trials }) = chosen else {
        message(format_args!(
            "interrupted before a model was chosen; nothing is lost but the trials: the same command starts anew"
        ));
        return Ok(Done::Interrupted);
    };
    // A run that was killed before its first checkpoint has its trials already.
    if !run.resumed() && options.run.earlier_config().is_none() {
        run.write_trials(&trials)?;
    }
    keep_config(&run, &config)?;
    let (config, run) = (&config, &run);
    let mut watch = Watch::new(options.advice(), options.run.events(run)?);
    let fit = Fit { config, data, validation, columns, layout, provenance, run, pool };
    let outcome = fit.run(&mut watch, &stop);
    watch.close();
    if outcome? == Outcome::Interrupted {
        message(format_args!(
            "interrupted; the checkpoint is written: go on with `mflow fit {} --resume auto --out {}`",
            command_data(options),
            run.path().display()
        ));
        return Ok(Done::Interrupted);
    }
    if !run.writes() {
        return Ok(Done::Finished);
    }
    keep_points(run, data)?;
    summary(run, config)?;
    let held_out = match apart.as_deref() {
        Some(apart) => HeldOutRows::apart(apart),
        None => HeldOutRows::of_validation(data, validation, config),
    };
    say_what_it_is_worth(run, &held_out, data, pool)?;
    say_how_exact(run, data, pool)?;
    report_on(run.path(), &device, pool)?;
    say_what_next(options, run, &device)?;
    Ok(Done::Finished)
}

/// What is fitted to.
struct Inputs {
    tables: Tables,
    validation: Option<Tables>,
    /// Rows that have no part in the fit.
    apart: Option<Tables>,
}

impl Inputs {
    fn read(options: &Options, seed: u64) -> Result<Self> {
        let reading = options.reading.options();
        let tables = Tables::read(&Files {
            reading: &reading,
            data: &options.data,
            context: options.context.as_deref(),
            scores: options.scores.scores.as_deref(),
            scores_option: "--scores",
            ratios: options.ratios.as_deref(),
            weights: options.weights.as_deref(),
            stream: options.stream,
        })?;
        let of_validation = |data| {
            Tables::read(&Files {
                reading: &reading,
                data,
                context: options.validation_context.as_deref(),
                scores: options.scores.validation_scores.as_deref(),
                scores_option: "--validation-scores",
                ratios: options.validation_ratios.as_deref(),
                weights: options.validation_weights.as_deref(),
                stream: options.stream,
            })
        };
        let validation = options.validation.as_deref().map(of_validation).transpose()?;
        let (tables, apart) = match options.holdout {
            Some(fraction) => {
                let (kept, apart) = tables.held_out(fraction, seed)?;
                (kept, Some(apart))
            }
            None => (tables, None),
        };
        Ok(Self { tables, validation, apart })
    }

    /// Refuse what does not fit to `config`.
    fn check(&mut self, config: &FitConfig) -> Result<()> {
        let Self { tables, validation, apart } = self;
        for tables in
            [Some(&mut *tables), validation.as_mut(), apart.as_mut()].into_iter().flatten()
        {
            tables.find_scores(config)?;
            tables.check(config)?;
        }
        validation.as_ref().map_or(Ok(()), |validation| validation.check_names(tables))
    }
}

/// Look at the data, and see which ways the request leaves open for them.
fn open(options: &Options, request: FitRequest, inputs: &mut Inputs, pool: &Pool) -> Result<Plan> {
    let earlier = options.run.earlier_config();
    let earlier = earlier.as_deref().map(Setting::of_file).transpose()?;
    let mut plan = Plan::of(request, earlier, &inputs.tables, pool)
        .map_err(|error| explain(error, options))?;
    for Way { config, .. } in &mut plan.ways {
        options.run.settle_shards(&mut config.train, pool);
        inputs.check(config)?;
        config.train.validate()?;
        config.model.check_precision(config.dtype.into())?;
    }
    Ok(plan)
}

/// Tell and keep what the held-out rows say.
fn say_what_it_is_worth(
    run: &RunDir,
    held_out: &HeldOutRows<'_>,
    data: &dyn RowSource,
    pool: &Pool,
) -> Result<()> {
    let opened = model::open(run.path(), None, data.device())?;
    if !opened.signature().is_generative() {
        return Ok(());
    }
    let found = HeldOut::measure(opened.model(), held_out, data, pool)?;
    found.write(run)?;
    result(format_args!("{found}"))
}

/// Tell what one can do with the model now.
fn say_what_next(options: &Options, run: &RunDir, device: &Device) -> Result<()> {
    let folder = run.path().display();
    let page = run.file(html::REPORT_FILE).display().to_string();
    // Estimators of ratios have no points to move.
    let has_points = model::open(run.path(), None, device)?.signature().is_generative();
    let explore = match cfg!(feature = "serve") && has_points {
        true => format!(" or start `mflow explore {folder}`"),
        false => String::new(),
    };
    let out = if options.stream { "--stream --out scores" } else { "--out scores.csv" };
    message(format_args!("next: open {page}{explore}"));
    message(format_args!("      `mflow score {folder} {} {out}` scores rows", rows(options)));
    Ok(())
}

/// What a request that makes no fit lacks, for whoever has this command line.
fn explain(error: anyhow::Error, options: &Options) -> anyhow::Error {
    let data = options.data.display();
    match error.downcast::<Error>() {
        Ok(Error::Request { field: "data", reason }) => anyhow!("{data}: {reason}"),
        Ok(Error::Request { field, reason }) if field == "manifold_dim" => {
            let reason = format!("{reason}. To choose one, look at what `mflow dim {data}` says");
            Error::Request { field, reason }.into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

/// DATA, its context, and how they are read, as they were given.
fn rows(options: &Options) -> String {
    let mut command = options.data.display().to_string();
    if let Some(context) = &options.context {
        command += &format!(" --context {}", context.display());
    }
    command + &options.reading.command()
}

/// DATA and what goes with it, as they were given.
fn command_data(options: &Options) -> String {
    let mut command = rows(options);
    for (name, path) in [
        ("scores", &options.scores.scores),
        ("ratios", &options.ratios),
        ("weights", &options.weights),
        ("validation", &options.validation),
        ("validation-context", &options.validation_context),
        ("validation-scores", &options.scores.validation_scores),
        ("validation-ratios", &options.validation_ratios),
        ("validation-weights", &options.validation_weights),
    ] {
        command +=
            &path.as_ref().map_or_else(String::new, |p| format!(" --{name} {}", p.display()));
    }
    command + if options.stream { " --stream" } else { "" }
}

/// Where the model comes from. Nothing here may differ between a run and the same run resumed.
fn provenance(options: &Options, config: &FitConfig, table: &Numbers) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut provenance = BTreeMap::from([
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("data".to_owned(), name(&options.data)),
        ("rows".to_owned(), table.rows().to_string()),
        ("seed".to_owned(), config.seed.to_string()),
    ]);
    for (what, path) in [
        ("context", &options.context),
        ("scores", &options.scores.scores),
        ("ratios", &options.ratios),
        ("weights", &options.weights),
    ] {
        provenance.extend(path.as_ref().map(|path| (what.to_owned(), name(path))));
    }
    provenance
}

/// Print the cycle error of a model whose density is exact only as far as its encoder inverts its decoder.
fn say_how_exact(run: &RunDir, data: &dyn RowSource, pool: &Pool) -> Result<()> {
    let opened = model::open(run.path(), None, data.device())?;
    if !cycle::depends_on_encoder(opened.model()) {
        return Ok(());
    }
    let context = match opened.signature().context_dim {
        Some(_) => {
            let rows = (0..cycle::SAMPLES).map(|i| i * data.rows() / cycle::SAMPLES);
            data.gather(&rows.collect::<Vec<_>>())?.context
        }
        None => None,
    };
    match Cycle::measure(opened.model(), context.as_ref(), cycle::SAMPLES, pool) {
        Ok(cycle) => result(format_args!("{cycle}")),
        // The fit is done; samples that are not finite do not undo it.
        Err(error) => {
            message(format_args!(
                "warning: how exactly the encoder inverts the decoder cannot be told: {error:#}"
            ));
            Ok(())
        }
    }
}

/// The model file, and the epoch of each phase whose weights are in it.
fn summary(run: &RunDir, config: &FitConfig) -> Result<()> {
    result(format_args!("{}", run.file(MODEL_FILE).display()))?;
    let (metrics, attempts) = (run.metrics()?, run.attempts()?);
    for kept in kept_epochs(&config.train, &metrics, &attempts) {
        let KeptEpoch { metrics, epochs } = &kept;
        result(format_args!(
            "  {}: {epochs} epochs, kept are the weights of epoch {}: validation loss {:.4e}",
            metrics.phase,
            kept.place(),
            metrics.validation_loss
        ))?;
    }
    let (trials, attempts): (Vec<Attempt>, Vec<Attempt>) =
        attempts.into_iter().partition(|a| a.stage == TRIAL);
    let seconds = |of: &[Attempt]| of.iter().map(|a| a.seconds).sum::<f64>();
    if let Some(chosen) = trials.iter().find(|trial| !trial.failed) {
        result(format_args!(
            "  chosen of {} by short trials, {:.0} s in all: {}",
            trials.len(),
            seconds(&trials),
            chosen.start.as_deref().unwrap_or_default()
        ))?;
    }
    if attempts.len() > 1 {
        let failed = attempts.iter().filter(|a| a.failed).count();
        result(format_args!(
            "  {} attempts at a manifold, {failed} failed, {:.0} s in all",
            attempts.len(),
            seconds(&attempts)
        ))?;
    }
    Ok(())
}
