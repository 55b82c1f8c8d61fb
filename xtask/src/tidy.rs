//! The project's own rules, checked on the source tree: what STYLE promises and
//! a compiler does not see. Not a formatter and not a linter of Rust's meaning
//! (rustfmt and clippy are), so a light scanner is enough here.
//!
//! `cargo run -p xtask -- tidy` prints the report; `cargo test -p xtask tidy`
//! runs the same checks. Each file in `tidy/` is one subject, with a test that
//! shows its check failing.

mod citations;
mod documented;
mod edges;
mod forbidden;
mod functions;
mod header;
mod manifests;
mod mask;
mod measure;
mod provenance;
mod purity;
mod size;
mod source;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use tree::Tree;

/// One broken rule: which check, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) at: String,
    pub(crate) what: String,
}

impl Finding {
    fn new(check: &'static str, at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { check, at: at.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.at, self.check, self.what)
    }
}

type Check = fn(&Tree, &mut Vec<Finding>);

/// Every rule, in the order in which the report shows them.
const CHECKS: &[Check] = &[
    edges::check,
    purity::check,
    size::check,
    header::check,
    documented::check,
    citations::check,
    forbidden::check,
    provenance::check,
    manifests::check,
];

/// The `tidy` subcommand: `tidy`, `tidy --edges` or `tidy --tighten`.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let root = workspace_root();
    let tree = Tree::load(&root).map_err(|e| format!("reading the source tree: {e}"))?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => report(&tree),
        ["--edges"] => {
            print!("{}", edges::listing(&tree));
            Ok(())
        }
        ["--tighten"] => size::tighten(&tree, &root),
        other => Err(format!(
            "tidy takes nothing, --edges (print the crate edges) or --tighten (lower the ratchet), not {other:?}"
        )),
    }
}

fn report(tree: &Tree) -> Result<(), String> {
    print!("{}", measure::Figures::of(tree));
    for note in size::slack(tree) {
        println!("note: {note}");
    }
    let findings = findings(tree);
    if findings.is_empty() {
        println!("tidy: {} rule groups hold", CHECKS.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(format!("tidy: {} findings", findings.len()))
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut out = Vec::new();
    for check in CHECKS {
        check(tree, &mut out);
    }
    out
}

fn workspace_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole tree obeys every rule.
    #[test]
    fn tidy() {
        let tree = Tree::load(&workspace_root()).expect("the source tree is readable");
        let found: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "broken rules:\n{}", found.join("\n"));
    }

    #[test]
    fn tidy_report_fails_when_a_rule_is_broken() {
        let tree = Tree::of(&[("crates/model/src/lib.rs", "pub fn f() {}\n")]);
        assert!(report(&tree).is_err());
    }

    #[test]
    fn tidy_refuses_unknown_arguments() {
        assert!(run(&["--fix".to_owned()]).is_err());
    }
}
