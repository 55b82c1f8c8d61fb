//! `lambent admin`: what operators look at and change: over the operators' API of a
//! running platform, or in the files of an installation. One file is one subject.

mod authority;
mod rings;

use crate::failure::Exit;

const EXAMPLES: &str = "\
Examples:
  lambent admin rings
  lambent admin rings --svg ring.svg
  lambent admin rings deploy --managers 4,5,6
  lambent admin rings back
  lambent admin authority create ./authority
  lambent admin authority issue ./authority --roles manager-2,worker-2 --to ./host-2";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Admin {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, clap::Subcommand)]
enum Subject {
    /// Show the ring versions: managers, settings, shares of the keys
    Rings(rings::Rings),
    /// Make certificates for the processes of an installation of many
    Authority(authority::AuthorityCommand),
}

impl Admin {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self.subject {
            Subject::Rings(rings) => rings.run(),
            Subject::Authority(command) => command.run(),
        }
    }
}
