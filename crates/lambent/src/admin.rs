//! `lambent admin`: what operators look at and change, over the operators' API of a
//! running platform. One file is one subject.

mod rings;

use crate::failure::Exit;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lambent admin rings\n  lambent admin rings --svg ring.svg\n  \
                  lambent admin rings back"
)]
pub(crate) struct Admin {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, clap::Subcommand)]
enum Subject {
    /// Show the ring versions: managers, settings, shares of the keys
    Rings(rings::Rings),
}

impl Admin {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self.subject {
            Subject::Rings(rings) => rings.run(),
        }
    }
}
