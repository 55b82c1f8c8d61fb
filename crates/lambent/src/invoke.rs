//! `lambent invoke`: one call. The answer goes to standard output as it came, so
//! that it can be piped; everything said about it goes to standard error.

use std::{
    fs,
    io::{self, Read, Write},
};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    client::{self, api::Invoked, reach::Reach},
    failure::{Exit, Failure},
    print,
};

const EXAMPLES: &str = "\
Examples:
  lambent invoke hello
  lambent invoke hello --payload '{\"name\":\"you\"}' --tail
  lambent invoke hello --payload @event.json
  jq -n '{n:1}' | lambent invoke hello --payload - | jq .

Exit code 1: the function failed; its error is on standard output, as AWS gives it.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Invoke {
    /// Name or ARN of the function.
    name: String,
    /// The event: JSON, `@FILE`, or `-` for standard input.
    #[arg(long, short, value_name = "JSON|@FILE|-", default_value = "{}")]
    payload: String,
    /// Print the last 4 KiB of the call's log to standard error.
    #[arg(long)]
    tail: bool,
    /// Version or alias to call.
    #[arg(long)]
    qualifier: Option<String>,
    /// Print one JSON object: status, version, error, payload and log tail.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Invoke {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let payload = payload(&self.payload)?;
        let invoked = client::block_on(async {
            let mut client = self.reach.client()?;
            client.invoke(&self.name, self.qualifier.as_deref(), payload, self.tail).await
        })?;
        if self.json {
            print::json(&as_json(&invoked))?
        } else {
            show(&invoked)?
        }
        Ok(if invoked.error.is_some() { Exit::Failed } else { Exit::Success })
    }
}

fn payload(given: &str) -> anyhow::Result<Bytes> {
    if given == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes.into());
    }
    let Some(path) = given.strip_prefix('@') else { return Ok(given.to_owned().into()) };
    let read = fs::read(path).map_err(|error| {
        let what = format!("the payload {path} cannot be read: {error}");
        Failure::usage(what, "--payload takes JSON, @FILE, or - for standard input")
    });
    Ok(read?.into())
}

fn show(invoked: &Invoked) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    if let Some(log) = &invoked.log {
        stderr.write_all(log)?;
        if !log.ends_with(b"\n") {
            stderr.write_all(b"\n")?;
        }
    }
    if let Some(error) = &invoked.error {
        writeln!(stderr, "function error: {error}")?;
    }
    let mut payload = invoked.payload.to_vec();
    if !payload.is_empty() && !payload.ends_with(b"\n") {
        payload.push(b'\n');
    }
    print::out(&payload)
}

fn as_json(invoked: &Invoked) -> Value {
    let Invoked { payload, error, log, version, status } = invoked;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let payload = serde_json::from_slice(payload).unwrap_or_else(|_| json!(text(payload)));
    json!({
        "status": status,
        "version": version,
        "error": error,
        "payload": payload,
        "log": log.as_deref().map(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_text_or_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "[1]").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(payload(&at).unwrap(), "[1]");
        assert_eq!(payload("{\"a\":1}").unwrap(), "{\"a\":1}");
        let error = payload("@/no/such/file").unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }

    #[test]
    fn payloads_that_are_no_json_are_shown_as_text() {
        let invoked = |payload| Invoked {
            payload: Bytes::from_static(payload),
            error: Some("Unhandled".into()),
            log: Some(b"END\n".to_vec()),
            version: Some("$LATEST".into()),
            status: 200,
        };
        assert_eq!(as_json(&invoked(b"{\"a\":1}"))["payload"], json!({ "a": 1 }));
        let raw = as_json(&invoked(b"<p>"));
        assert_eq!(raw["payload"], json!("<p>"));
        assert_eq!(raw["log"], json!("END\n"));
    }
}
