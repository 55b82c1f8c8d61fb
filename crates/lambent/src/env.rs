//! `lambent env`: the variables that point AWS clients at the platform, in the
//! words of the caller's shell.

use std::{fmt::Write, path::PathBuf};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::{
    data::{self, Access},
    failure::Exit,
    print,
};

const EXAMPLES: &str = "\
Examples:
  eval \"$(lambent env)\"                       sh, bash, zsh
  lambent env --shell fish | source           fish
  lambent env --shell powershell | Invoke-Expression
  aws lambda list-functions                   afterwards, in the same shell";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Env {
    /// The platform's data directory.
    #[arg(long, value_name = "DIR", env = "LAMBENT_DATA")]
    data: Option<PathBuf>,
    /// The shell that evaluates the output.
    #[arg(long, value_enum, default_value_t = Shell::Sh, conflicts_with = "json")]
    shell: Shell,
    /// Print one JSON object of names and values.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Sh,
    Fish,
    Powershell,
}

impl Env {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let directory = self.data.map_or_else(data::default_directory, Ok)?;
        let access = data::read_access(&directory)?;
        let variables = variables(&access);
        if self.json {
            let pair = |(name, value): (&str, &str)| (name.to_owned(), Value::from(value));
            print::json(&variables.into_iter().map(pair).collect::<Map<_, _>>())?;
        } else {
            print::out(self.shell.set(variables).as_bytes())?;
        }
        Ok(Exit::Success)
    }
}

fn variables(access: &Access) -> [(&'static str, &str); 5] {
    [
        ("AWS_ENDPOINT_URL_LAMBDA", &access.endpoint),
        ("AWS_REGION", &access.region),
        ("AWS_DEFAULT_REGION", &access.region),
        ("AWS_ACCESS_KEY_ID", &access.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &access.secret_access_key),
    ]
}

impl Shell {
    fn set<'a>(self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut text = String::new();
        for (name, value) in variables {
            // Writing to a string cannot fail.
            let _ = match self {
                Shell::Sh => writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''")),
                Shell::Fish => {
                    let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
                    writeln!(text, "set -gx {name} '{quoted}'")
                }
                Shell::Powershell => {
                    writeln!(text, "$env:{name} = '{}'", value.replace('\'', "''"))
                }
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_gets_its_own_words_and_quotes() {
        let cases = [
            (Shell::Sh, r"export A='x/+y'", r"export A='it'\''s \'"),
            (Shell::Fish, r"set -gx A 'x/+y'", r"set -gx A 'it\'s \\'"),
            (Shell::Powershell, r"$env:A = 'x/+y'", r"$env:A = 'it''s \'"),
        ];
        for (shell, plain, quoted) in cases {
            assert_eq!(shell.set([("A", "x/+y")]), format!("{plain}\n"), "{shell:?}");
            assert_eq!(shell.set([("A", r"it's \")]), format!("{quoted}\n"), "{shell:?}");
        }
    }

    #[test]
    fn all_that_aws_clients_need_is_set() {
        let access = Access {
            endpoint: "http://127.0.0.1:4574".into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
            access_key_id: "AKIA".into(),
            secret_access_key: "s".into(),
        };
        let text = Shell::Sh.set(variables(&access));
        assert_eq!(
            text,
            "export AWS_ENDPOINT_URL_LAMBDA='http://127.0.0.1:4574'\n\
             export AWS_REGION='eu-west-1'\nexport AWS_DEFAULT_REGION='eu-west-1'\n\
             export AWS_ACCESS_KEY_ID='AKIA'\nexport AWS_SECRET_ACCESS_KEY='s'\n"
        );
    }
}
