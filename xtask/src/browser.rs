//! `cargo xtask browser`: pages in headless Chromium. What they show is what the program's verbs write.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::serve::Service;
use crate::shell::{self, Lock};
use crate::{built, files};

/// Where the pages are, and pictures of them to look at.
const FOLDER: &str = "target/browser";
/// Names under which systems have it.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// No requests of the browser's own, as for updates; root needs the second. The clock of the pages runs ahead while nothing
/// is awaited.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    // Figures in space without a graphics card.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1100",
    "--virtual-time-budget=20000",
];
/// How near numbers on the page, of six digits, are to those of a file.
const TOLERANCE: f64 = 2e-5;

fn browser() -> Option<&'static str> {
    BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
}

/// What is missing here, if anything is.
pub(crate) fn obstacle() -> Option<&'static str> {
    browser().is_none().then_some("there is no Chromium here")
}

/// Fits two models and looks at their pages.
pub(crate) fn run(lock: Lock) -> Result<()> {
    let Some(browser) = browser() else { bail!("there is none of {}", BROWSERS.join(", ")) };
    let mflow = built::programs(lock)?.join("mflow");
    let folder = std::env::current_dir()?.join(FOLDER);
    files::remove_folder(&folder)?;
    std::fs::create_dir_all(&folder)?;
    let pages = Pages { browser, mflow, folder };
    let options = "--model m-flow --manifold-dim 2 --start random --epochs 2";
    for command in [
        "data swiss-roll -n 2000 --out roll",
        &format!("fit roll/x.npy {options} --out run"),
        "data polynomial-surface -n 2000 --out sim",
        "data polynomial-surface -n 20 --at 0.5 --seed 7 --out observed",
        &format!("fit sim/x.npy --context sim/context.npy {options} --out conditional"),
        "posterior conditional observed/x.npy --prior uniform:-1,1 --names theta --draws 200 --burn-in 100 --out posterior",
    ] {
        pages.mflow(command)?;
    }
    pages.reports()?;
    pages.posteriors()?;
    pages.explored("run", "")?;
    pages.explored("conditional", "0.25")?;
    println!("all pages show what they should; pictures of them are in {FOLDER}");
    Ok(())
}

/// The programs, and where the pages are.
struct Pages {
    browser: &'static str,
    mflow: PathBuf,
    folder: PathBuf,
}

impl Pages {
    fn mflow(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new(&self.mflow);
        shell::run(command.args(arguments.split(' ')).current_dir(&self.folder))
    }

    /// What a page is once its scripts have run; a picture of it is kept under this name.
    fn shown(&self, address: &str, name: &str) -> Result<String> {
        println!("a look at {address}");
        let profile = format!("--user-data-dir={}", self.folder.join("profile").display());
        let open = |own: &str| {
            let mut browser = Command::new(self.browser);
            browser.args(FLAGS).args([profile.as_str(), own, address]).stderr(Stdio::null());
            shell::read(&mut browser)
        };
        let picture = self.folder.join(name).with_extension("png");
        open(&format!("--screenshot={}", picture.display()))?;
        open("--dump-dom")
    }

    fn reports(&self) -> Result<()> {
        let page = self.file("run/report.html");
        let text = self.shown(&page, "report")?;
        let (figures, drawn) = (text.matches("<figure class=\"plot").count(), drawn(&text));
        ensure!(figures > 0 && drawn >= figures, "{page}: {drawn} of {figures} figures are drawn");
        Ok(())
    }

    fn posteriors(&self) -> Result<()> {
        let page = self.file("posterior/posterior.html");
        ensure!(drawn(&self.shown(&page, "posterior")?) > 0, "{page}: no figure is drawn");
        Ok(())
    }

    fn file(&self, name: &str) -> String {
        format!("file://{}", self.folder.join(name).display())
    }

    /// The explorer shows what `decode` and `project` write, for latents and a point that the address of the page says.
    fn explored(&self, run: &str, context: &str) -> Result<()> {
        let write = |name: &str, text: &str| files::write(&self.folder.join(name), text.as_bytes());
        let (latent, point) = ("0.3,-0.2", "0.4,0.1,0.9");
        write("latent.csv", &format!("{latent}\n"))?;
        write("point.csv", &format!("{point}\n"))?;
        write("context.csv", &format!("{context}\n"))?;
        let beside = if context.is_empty() { "" } else { " --context context.csv" };
        self.mflow(&format!("decode {run} latent.csv{beside} --out decoded.csv"))?;
        self.mflow(&format!("project {run} point.csv{beside} --out projected.csv"))?;
        let service = Service::start(&self.mflow, &self.folder, &format!("explore {run}"))?;
        let of_context =
            if context.is_empty() { String::new() } else { format!("&context={context}") };
        let address =
            format!("http://{}/#latent={latent}&point={point}{of_context}", service.address);
        let text = self.shown(&address, &format!("explore-{run}"))?;
        service.stop()?;
        ensure!(text.contains("data-ready=\"yes\""), "the page is not ready: {}", status(&text));
        ensure!(text.contains("<canvas"), "{run}: the figure is not drawn");
        for (id, file) in [("decoded", "decoded.csv"), ("projected", "projected.csv")] {
            let found = numbers(&text, id)?;
            let expected = row(&self.folder.join(file))?;
            let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * (1. + b.abs());
            ensure!(
                found.len() > expected.len() && found.iter().zip(&expected).all(is_near),
                "{run}, {id}: expected {expected:?} and a density, found {found:?}"
            );
        }
        Ok(())
    }
}

/// How many figures plotly.js has drawn, of whatever kind.
fn drawn(page: &str) -> usize {
    page.matches("class=\"plot-container plotly\"").count()
}

/// What the explorer says went wrong.
fn status(page: &str) -> &str {
    let after = page.split_once("id=\"status\"").map_or("", |(_, after)| after);
    after.split_once('>').and_then(|(_, text)| text.split_once('<')).map_or("", |(text, _)| text)
}

/// The numbers in the list of this id.
fn numbers(page: &str, id: &str) -> Result<Vec<f64>> {
    let list = page.split_once(&format!("id=\"{id}\"")).map(|(_, after)| after);
    let list = list.and_then(|after| after.split_once("</dl>")).map(|(list, _)| list);
    let list = list.with_context(|| format!("the page has no list {id}"))?;
    let values = list.split("<dd>").skip(1).map(|rest| {
        let text = rest.split_once('<').map_or(rest, |(text, _)| text);
        text.parse().with_context(|| format!("{id}: expected a number, found {text:?}"))
    });
    values.collect()
}

/// The last line of a file of numbers.
fn row(path: &Path) -> Result<Vec<f64>> {
    let text = files::read(path)?;
    let line = text.lines().last().unwrap_or_default();
    line.split(',').map(|v| v.parse().with_context(|| format!("the number {v:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_words_of_a_page_are_read() {
        let page = "<dl id=\"decoded\" class=\"facts\"><div><dt>x1</dt><dd>0.5</dd></div><div><dt>x2</dt>\
                    <dd>-1e-7</dd></div></dl><p id=\"status\" role=\"status\">too slow</p>";
        assert_eq!(numbers(page, "decoded").unwrap(), [0.5, -1e-7]);
        assert!(numbers(page, "projected").is_err());
        assert_eq!(status(page), "too slow");
        let undefined = page.replace("0.5", "undefined");
        assert!(numbers(&undefined, "decoded").unwrap_err().to_string().contains("undefined"));
    }
}
