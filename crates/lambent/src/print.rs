//! What commands share when they print: tables, JSON, and output that ends quietly
//! when its reader has gone.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// Rows under a head, without lines: they stay easy to cut and grep.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// One JSON value on a line of its own.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    out(&text)
}

pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    out(format!("{text}\n").as_bytes())
}

/// Bytes to standard output as they are. `head` and friends may close it early:
/// that ends the command and is no failure.
pub(crate) fn out(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_heads() {
        let text =
            table(["name", "size"], [["a".into(), "1".into()], ["bcdef".into(), "2".into()]]);
        assert_eq!(text, " name   size\n a      1\n bcdef  2\n");
    }
}
