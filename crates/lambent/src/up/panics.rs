//! A panic is a bug of ours: it goes into the log with its place, in the log's own
//! style, whichever thread it was on.

use std::panic::{self, PanicHookInfo};

pub(super) fn log() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, reason = reason(info), "panic: this is a bug in lambent");
    }));
}

fn reason<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("not a text")
}
