//! `lambent logs`: a function's log lines, from all its environments, in the order
//! they were written. Following asks again from the position it has reached.

use std::time::Duration;

use bytes::Bytes;
use model::Civil;
use platform::Clock;
use serde::Deserialize;

use crate::{
    client::{self, reach::Reach},
    failure::Exit,
    print,
};

/// How often a followed log is asked for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);

const EXAMPLES: &str = "\
Examples:
  lambent logs hello
  lambent logs hello -f --since 10m
  lambent logs hello --json | jq -r .m";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Logs {
    /// Name of the function.
    name: String,
    /// Go on with new lines as they are written.
    #[arg(long, short)]
    follow: bool,
    /// Only lines of the last while: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    since: Option<Duration>,
    /// Print JSON lines: `t` milliseconds since the epoch, `s` stream, `m` message.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Deserialize)]
struct Line {
    t: u64,
    m: String,
}

impl Logs {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        client::block_on(async {
            let mut client = self.reach.client()?;
            let since = self.since.map(|since| u64::try_from(since.as_millis()));
            let from_ms = match since.transpose()? {
                Some(since) => Clock::system().wall_ms().saturating_sub(since),
                None => 0,
            };
            let mut after = 0;
            loop {
                let page = client.logs(&self.name, after).await?;
                print::out(&render(&page.lines, from_ms, self.json))?;
                let reached_end = page.next == after || page.lines.is_empty();
                after = page.next;
                if reached_end && !self.follow {
                    return Ok(Exit::Success);
                }
                if reached_end {
                    tokio::time::sleep(FOLLOW_EVERY).await;
                }
            }
        })
    }
}

fn render(lines: &Bytes, from_ms: u64, json: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for raw in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = serde_json::from_slice::<Line>(raw).ok();
        if line.as_ref().is_some_and(|line| line.t < from_ms) {
            continue;
        }
        match line.filter(|_| !json) {
            Some(Line { t, m }) => {
                let message = m.trim_end_matches('\n');
                text.extend_from_slice(format!("{} {message}", time(t)).as_bytes());
            }
            // As it is: for programs, and where it is no line of ours.
            None => text.extend_from_slice(raw),
        }
        text.push(b'\n');
    }
    text
}

/// `2026-11-21T12:00:00.000Z`
fn time(epoch_ms: u64) -> String {
    let Civil { year, month, day, hour, minute, second, milli } = Civil::of_epoch_ms(epoch_ms);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a number and s, m, h or d, such as 10m");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("2h", Some(7_200)),
            ("1d", Some(86_400)),
            ("10", None),
            ("m", None),
            ("", None),
            ("-1s", None),
            ("5é", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn lines_have_their_time_and_older_ones_are_left_out() {
        let lines = Bytes::from_static(
            b"{\"t\":1000,\"s\":\"x\",\"m\":\"old\"}\n{\"t\":1795262400123,\"s\":\"x\",\"m\":\"new\\n\"}\n",
        );
        let text = String::from_utf8(render(&lines, 2_000, false)).unwrap();
        assert_eq!(text, "2026-11-21T12:00:00.123Z new\n");
        let json = String::from_utf8(render(&lines, 2_000, true)).unwrap();
        assert_eq!(json, "{\"t\":1795262400123,\"s\":\"x\",\"m\":\"new\\n\"}\n");
    }
}
