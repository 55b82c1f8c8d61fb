//! `lambent ls`: the functions of the account, one per row. `deploy` shows its
//! function in the same form.

use std::borrow::Cow;

use crate::{
    client::{self, api::Function, reach::Reach},
    failure::Exit,
    print,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lambent ls\n  lambent ls --json | jq -r '.[].FunctionName'")]
pub(crate) struct Ls {
    /// Print one JSON array of configurations as the API gives them.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Ls {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let functions = client::block_on(async { self.reach.client()?.list().await })?;
        if self.json {
            print::json(&functions)?;
        } else if functions.is_empty() {
            print::line("no functions yet: lambent deploy DIR makes one")?;
        } else {
            print::out(table(&functions).as_bytes())?;
        }
        Ok(Exit::Success)
    }
}

/// Rows of functions, also for `deploy`.
pub(crate) fn table(functions: &[Function]) -> String {
    let head = ["name", "runtime", "memory", "timeout", "state", "modified", "size"];
    let row = |f: &Function| {
        [
            f.function_name.clone(),
            f.runtime.clone().unwrap_or_else(|| "-".into()),
            format!("{} MB", f.memory_size),
            format!("{} s", f.timeout),
            state(f).into_owned(),
            // 2026-11-21T12:00:00.000+0000, to the second.
            f.last_modified.get(..19).unwrap_or(&f.last_modified).replace('T', " "),
            size(f.code_size),
        ]
    };
    print::table(head, functions.iter().map(row))
}

/// A function can be called while an update of it is under way or has failed.
fn state(function: &Function) -> Cow<'_, str> {
    let state = function.state.as_deref().unwrap_or("Active");
    match function.last_update_status.as_deref() {
        None | Some("Successful") => state.into(),
        Some(update) => format!("{state}, update {update}").into(),
    }
}

pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let cases = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_740, "1.6 KiB"),
            (52_428_800, "50.0 MiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_row_says_what_state_the_function_is_in() {
        let text = r#"{"FunctionName":"f","MemorySize":128,"Timeout":3,"CodeSize":2048,
            "LastModified":"2026-11-21T12:00:00.000+0000","State":"Active",
            "LastUpdateStatus":"Failed","Runtime":"python3.11"}"#;
        let table = table(&[serde_json::from_str(text).unwrap()]);
        let row = table.lines().nth(1).unwrap();
        assert!(row.contains("Active, update Failed"), "{row}");
        assert!(row.contains("2026-11-21 12:00:00"), "{row}");
        assert!(row.ends_with("2.0 KiB"), "{row}");
    }
}
