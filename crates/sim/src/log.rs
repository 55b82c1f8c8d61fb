//! The event log of a run: every line goes into a digest, and is kept where asked.
//! Two runs are the same when their digests are.

use std::fmt::{self, Write};

use model::Now;
use xxhash_rust::xxh3::Xxh3;

pub(crate) struct Log {
    digest: Xxh3,
    lines: u64,
    line: String,
    kept: Option<String>,
    echo: bool,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn new(keep: bool, echo: bool) -> Log {
        let kept = keep.then(String::new);
        Log { digest: Xxh3::new(), lines: 0, line: String::new(), kept, echo }
    }

    pub(crate) fn line(&mut self, now: Now, what: fmt::Arguments<'_>) {
        self.line.clear();
        // Writing to a String cannot fail.
        let _ = writeln!(self.line, "{:>12} {what}", now.0);
        self.digest.update(self.line.as_bytes());
        self.lines += 1;
        if self.echo {
            print!("{}", self.line);
        }
        if let Some(kept) = &mut self.kept {
            kept.push_str(&self.line);
        }
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest.digest128()
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.kept.as_deref()
    }

    pub(crate) fn into_text(self) -> Option<String> {
        self.kept
    }
}
