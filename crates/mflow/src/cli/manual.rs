//! The command line as shells and `man` want it.
use super::Cli;
use super::exit::Done;
use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;

/// Print what makes a shell complete the words of mflow
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow completions bash > ~/.local/share/bash-completion/completions/mflow\n  \
    mflow completions zsh > ~/.zfunc/_mflow\n  \
    mflow completions fish > ~/.config/fish/completions/mflow.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// To the standard output.
    pub(super) fn run(&self) -> Result<Done> {
        // Written at once: a reader that goes is no reason to panic, which clap_complete does.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mflow", &mut text);
        super::output::bytes(&text)?;
        Ok(Done::Finished)
    }
}

/// Write manual pages, one for each verb
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow man --out ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder for mflow.1, mflow-fit.1 and so on
    #[arg(long)]
    out: PathBuf,
}

impl Man {
    /// Into the folder.
    pub(super) fn run(&self) -> Result<Done> {
        let out = &self.out;
        fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
        clap_mangen::generate_to(Cli::command(), out)
            .with_context(|| format!("writing to {}", out.display()))?;
        Ok(Done::Finished)
    }
}
