//! The command line: names, help, and which file runs which command. What a
//! command's options mean stands with the command.

use clap::{Parser, Subcommand};

use crate::{
    admin::Admin,
    completion::{Completion, Man},
    deploy::Deploy,
    doctor::Doctor,
    env::Env,
    failure::Exit,
    invoke::Invoke,
    logs::Logs,
    ls::Ls,
    rm::Rm,
    up::{Up, spawner::SandboxSpawner},
    version::Version,
};

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the command failed, or the function that it called did
  2  the command line or a setting is wrong
  3  no platform answers at the endpoint
  4  the platform refused the request";

const START: &str = "\
Start here:
  lambent up --demo            see it work: three functions, cold and warm times
  lambent up                   serve; then, in another terminal:
  eval \"$(lambent env)\"        point AWS clients at it
  lambent deploy ./my-function
  lambent invoke my-function --payload '{\"name\":\"you\"}'";

/// Self-hosted functions behind the AWS Lambda API.
///
/// Lambent runs each call in an isolated execution environment that is already
/// warm whenever that can be arranged. AWS's own clients (CLI, SDKs, Terraform)
/// work with it unchanged.
#[derive(Debug, Parser)]
#[command(name = "lambent", version, propagate_version = false)]
#[command(after_help = START, after_long_help = format!("{START}\n\n{EXIT_CODES}"))]
#[command(subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the platform on this host
    Up(Box<Up>),
    /// Print the variables that point AWS clients at the platform
    Env(Env),
    /// Create or update a function from a directory, a zip or a file
    Deploy(Deploy),
    /// Call a function and print its answer
    Invoke(Invoke),
    /// Show a function's log
    Logs(Logs),
    /// List functions
    Ls(Ls),
    /// Delete functions
    Rm(Rm),
    /// Check this host and say what is missing, what that means and what to do
    Doctor(Doctor),
    /// Look at and change what operators are concerned with
    Admin(Admin),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completion(Completion),
    /// Print the man page
    #[command(hide = true)]
    Man(Man),
    /// The helper process that makes sandboxes; started by `up`
    #[command(hide = true)]
    SandboxSpawner(SandboxSpawner),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Up(up) => up.run(),
            Command::Env(env) => env.run(),
            Command::Deploy(deploy) => deploy.run(),
            Command::Invoke(invoke) => invoke.run(),
            Command::Logs(logs) => logs.run(),
            Command::Ls(ls) => ls.run(),
            Command::Rm(rm) => rm.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Admin(admin) => admin.run(),
            Command::Version(version) => version.run(),
            Command::Completion(completion) => completion.run(),
            Command::Man(man) => man.run(),
            Command::SandboxSpawner(spawner) => spawner.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_people_type_has_help_and_an_example() {
        for command in Cli::command().get_subcommands().filter(|c| !c.is_hide_set()) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says nothing about itself");
            let quiet = ["version"].contains(&name);
            assert!(quiet || command.get_after_help().is_some(), "{name} has no example");
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{name} {} has no help", arg.get_id());
            }
        }
    }

    #[test]
    fn every_command_that_prints_rows_or_values_has_json() {
        for name in ["up", "env", "deploy", "invoke", "logs", "ls", "rm", "doctor", "version"] {
            let cli = Cli::command();
            let command = cli.find_subcommand(name).expect(name);
            assert!(command.get_arguments().any(|arg| arg.get_id() == "json"), "{name}");
        }
    }
}
