//! What the process says about itself: one subscriber, chosen here, so that
//! libraries and roles only emit.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    Text,
    Json,
}

/// Starts logging to standard error. `filter` is of the form `info,worker=debug`.
/// A second call in one process changes nothing.
pub fn start(style: LogStyle, filter: &str) -> Result<(), FilterError> {
    let filter = EnvFilter::try_new(filter).map_err(|e| FilterError(e.to_string()))?;
    let log = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let _ = match style {
        LogStyle::Text => log.compact().try_init(),
        LogStyle::Json => log.json().try_init(),
    };
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log filter is not of the form `info,worker=debug`: {0}")]
pub struct FilterError(String);
