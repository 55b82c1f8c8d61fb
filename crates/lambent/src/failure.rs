//! How a command ends: its exit code, and for a failure one line that says what
//! failed and one that says what to do.

use std::{fmt, process::ExitCode};

/// Exit codes; they are part of the command line's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    /// The command failed, or the function that it called did.
    Failed,
    /// The command line or a setting is wrong. Clap's own code for that.
    Usage,
    /// No platform answers at the endpoint.
    Unreachable,
    /// The platform answered with an error.
    Refused,
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Refused => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// A failure whose remedy is known.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    todo: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, todo: impl Into<String>) -> Failure {
        Failure { exit, what: what.into(), todo: todo.into() }
    }

    pub(crate) fn usage(what: impl Into<String>, todo: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, what, todo)
    }

    pub(crate) fn failed(what: impl Into<String>, todo: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, what, todo)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.what, self.todo)
    }
}

impl std::error::Error for Failure {}

/// Tells the user, and says how the process ends.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    eprintln!("error: {error:#}");
    error.downcast_ref::<Failure>().map_or(Exit::Failed, |failure| failure.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_exit_code_and_both_lines() {
        let error = anyhow::Error::from(Failure::new(Exit::Refused, "it broke", "mend it"));
        assert_eq!(format!("{error:#}"), "it broke\n  mend it");
        assert_eq!(report(&error), Exit::Refused);
    }

    #[test]
    fn any_other_error_is_code_1() {
        assert_eq!(report(&anyhow::anyhow!("unforeseen")).code(), 1);
    }

    #[test]
    fn codes_are_as_the_help_lists_them() {
        let all = [Exit::Success, Exit::Failed, Exit::Usage, Exit::Unreachable, Exit::Refused];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4]);
        for exit in all {
            assert!(crate::cli::EXIT_CODES.contains(&format!("\n  {}  ", exit.code())));
        }
    }
}
