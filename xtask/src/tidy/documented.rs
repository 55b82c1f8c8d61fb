//! What operators and callers meet is written down once: each metric (a public
//! function of a `metrics.rs`) has one row in docs/METRICS.md, each public
//! error name (a string ending in `Exception` in `aws-api`'s errors) has one in
//! docs/ERRORS.md, and no row is about something that is gone. A row is a table
//! line that begins with the name in backquotes.

use std::collections::{BTreeMap, BTreeSet};

use super::source::SourceFile;
use super::{Finding, Tree};

const CHECK: &str = "documented";
const METRICS: &str = "docs/METRICS.md";
const ERRORS: &str = "docs/ERRORS.md";
/// What we call an error of the API; its name ends so, while a function's own
/// errors, described in the same document, are named by its runtime.
const EXCEPTION: &str = "exception";

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    compare(&metrics(tree), METRICS, "metric", tree, out);
    compare(&errors(tree), ERRORS, EXCEPTION, tree, out);
}

fn metrics(tree: &Tree) -> BTreeSet<String> {
    let homes = tree.rust.iter().filter(|file| file.path.ends_with("/metrics.rs"));
    homes
        .flat_map(|file| file.functions.iter().filter(|f| f.is_public && !file.is_test(f.line)))
        .map(|function| function.name.clone())
        .collect()
}

fn errors(tree: &Tree) -> BTreeSet<String> {
    let homes = tree.rust.iter().filter(|file| file.path.starts_with("crates/aws-api/src/errors"));
    homes.flat_map(error_names).collect()
}

fn error_names(file: &SourceFile) -> impl Iterator<Item = String> + '_ {
    let whole = |text: &str| {
        text.ends_with("Exception")
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    file.literals
        .iter()
        .filter(move |(line, text)| whole(text) && !file.is_test(*line))
        .map(|(_, text)| text.clone())
}

fn compare(real: &BTreeSet<String>, path: &str, kind: &str, tree: &Tree, out: &mut Vec<Finding>) {
    let Some(document) = tree.text(path) else {
        if !real.is_empty() {
            out.push(Finding::new(
                CHECK,
                path,
                format!("is missing, and {} {kind}s need a row in it", real.len()),
            ));
        }
        return;
    };
    let rows = rows(document);
    for name in real {
        match rows.get(name) {
            Some(1) => {}
            Some(count) => out.push(Finding::new(
                CHECK,
                path,
                format!("{kind} {name} has {count} rows, one is enough"),
            )),
            None => out.push(Finding::new(CHECK, path, format!("{kind} {name} has no row"))),
        }
    }
    let ours = |name: &&String| kind != EXCEPTION || name.ends_with("Exception");
    for name in rows.keys().filter(ours).filter(|name| !real.contains(*name)) {
        out.push(Finding::new(CHECK, path, format!("{kind} {name} has a row but does not exist")));
    }
}

/// Names in backquotes in the first column of the tables, counted.
fn rows(document: &str) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for line in document.lines() {
        let name = line
            .trim()
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'))
            .map(|(name, _)| name);
        if let Some(name) = name {
            *rows.entry(name.to_owned()).or_default() += 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(metrics: &str, errors: &str) -> Vec<String> {
        let mut out = Vec::new();
        let tree = Tree::of(&[
            ("crates/worker/src/metrics.rs", "pub fn started() {}\nfn private() {}\n"),
            (
                "crates/aws-api/src/errors.rs",
                "fn f() { g(\"ServiceException\"); g(\"an Exception\"); }\n",
            ),
            (METRICS, metrics),
            (ERRORS, errors),
        ]);
        check(&tree, &mut out);
        out.into_iter().map(|f| f.what).collect()
    }

    const METRIC_ROW: &str = "| name | what |\n|---|---|\n| `started` | calls |\n";
    const ERROR_ROW: &str = "| `ServiceException` | 500 |\n";

    #[test]
    fn one_row_each_passes() {
        assert_eq!(findings(METRIC_ROW, ERROR_ROW), Vec::<String>::new());
    }

    #[test]
    fn missing_double_and_stale_rows_are_found() {
        assert_eq!(findings("", ERROR_ROW), ["metric started has no row"]);
        let double = format!("{ERROR_ROW}{ERROR_ROW}");
        assert_eq!(
            findings(METRIC_ROW, &double),
            ["exception ServiceException has 2 rows, one is enough"]
        );
        let stale = format!("{ERROR_ROW}| `GoneException` | 400 |\n| `Runtime.ExitError` | |\n");
        assert_eq!(
            findings(METRIC_ROW, &stale),
            ["exception GoneException has a row but does not exist"]
        );
    }
}
