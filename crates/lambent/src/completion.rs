//! `lambent completion SHELL` and the hidden `lambent man`: both are made from the
//! definitions of the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, failure::Exit, print};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lambent completion bash > /etc/bash_completion.d/lambent\n  \
    lambent completion zsh > \"${fpath[1]}/_lambent\"\n  \
    lambent completion fish > ~/.config/fish/completions/lambent.fish")]
pub(crate) struct Completion {
    /// The shell that reads the script.
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lambent", &mut script);
        print::out(&script)?;
        Ok(Exit::Success)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// The command to describe; without one, lambent itself.
    command: Option<String>,
}

impl Man {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut cli = Cli::command();
        cli.build();
        let page = match &self.command {
            None => cli,
            Some(name) => cli
                .find_subcommand(name)
                .cloned()
                .ok_or_else(|| anyhow::anyhow!("there is no command {name}"))?,
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(page).render(&mut text)?;
        print::out(&text)?;
        Ok(Exit::Success)
    }
}
