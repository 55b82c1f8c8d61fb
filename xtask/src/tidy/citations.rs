//! Documents speak of what exists: a Rust file that a document names is in the
//! tree, and a test that SPECIFICATION.md cites as the check of a promise is a
//! function in it. A citation is written: test `name_of_the_test`.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const CHECK: &str = "citations";
const PROMISES: &str = "SPECIFICATION.md";

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    let files: BTreeSet<&str> = tree.rust.iter().map(|file| file.path.as_str()).collect();
    let functions: BTreeSet<&str> =
        tree.rust.iter().flat_map(|file| file.functions.iter().map(|f| f.name.as_str())).collect();
    for (path, text) in documents(tree) {
        for (number, line) in text.lines().enumerate() {
            let at = format!("{path}:{}", number + 1);
            for name in named_files(line) {
                let inside = format!("crates/{name}");
                if !files.contains(name) && !files.contains(inside.as_str()) {
                    out.push(Finding::new(
                        CHECK,
                        &at,
                        format!("names {name}, which does not exist"),
                    ));
                }
            }
            if path == PROMISES {
                for name in cited_tests(line).filter(|name| !functions.contains(name)) {
                    out.push(Finding::new(
                        CHECK,
                        &at,
                        format!("cites the test {name}, which does not exist"),
                    ));
                }
            }
        }
    }
}

/// The documents of the root and of docs/.
fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let texts = tree.texts.iter().filter(|(path, _)| path.ends_with(".md"));
    texts
        .filter(|(path, _)| !path.contains('/') || path.starts_with("docs/"))
        .map(|(p, t)| (p.as_str(), t.as_str()))
}

/// Words like `frontend/src/http.rs` or `crates/model/src/limits.rs`.
fn named_files(line: &str) -> impl Iterator<Item = &str> {
    let part_of_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    line.split(move |c: char| !part_of_path(c))
        .filter(|word| word.ends_with(".rs") && word.contains("/src/"))
}

fn cited_tests(line: &str) -> impl Iterator<Item = &str> {
    line.split("test `").skip(1).filter_map(|rest| rest.split_once('`')).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(
            &Tree::of(&[("crates/a/src/lib.rs", "fn a1_1_holds() {}\n"), (path, text)]),
            &mut out,
        );
        out.into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn named_files_exist() {
        assert_eq!(
            findings("ARCHITECTURE.md", "`crates/a/src/lib.rs`, a/src/lib.rs and src/x.rs\n").len(),
            0
        );
        assert_eq!(
            findings("ARCHITECTURE.md", "see a/src/gone.rs\n"),
            ["names a/src/gone.rs, which does not exist"]
        );
        assert_eq!(findings("docs/X.md", "see a/src/gone.rs\n").len(), 1);
    }

    #[test]
    fn cited_tests_exist() {
        assert_eq!(findings(PROMISES, "| x | test `a1_1_holds` |\n").len(), 0);
        assert_eq!(findings(PROMISES, "| x | test `a1_2_holds` |\n").len(), 1);
    }
}
