//! `lambent`: the one binary. It reads the command line, wires the roles of `up`
//! together, and talks to a running platform for people.
//!
//! The wall: no rule of the domain stands here. What a function, a limit or an
//! environment is, the roles know; a branch on one here is a bug.
#![forbid(unsafe_code)]

mod admin;
mod cli;
mod client;
mod completion;
mod data;
mod demo;
mod deploy;
mod doctor;
mod env;
mod failure;
mod invoke;
mod logs;
mod ls;
mod print;
mod rm;
mod up;
mod version;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(exit) => exit.into(),
        Err(error) => failure::report(&error).into(),
    }
}
