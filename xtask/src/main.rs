//! Tools for the people who work on this repository, one subcommand per file.
//! Nothing here is part of the running system, and no crate depends on it.

mod codegen;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- COMMAND\n  codegen [--check] MODEL      write the code generated from the service model\n  tidy [--edges | --tighten]   check the project's own rules";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) => match command.as_str() {
            "codegen" => codegen::run(rest),
            "tidy" => tidy::run(rest),
            other => Err(format!("unknown command {other:?}\n{USAGE}")),
        },
        None => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
