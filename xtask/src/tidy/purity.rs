//! `decide` chooses and does nothing else: no standard library, no executor, no
//! maps whose order is random, no unsafe code. The compiler proves the first
//! once `#![no_std]` stands there; this check keeps it standing.

use super::source::SourceFile;
use super::{Finding, Tree};

const CHECK: &str = "purity";
const CRATE_ROOT: &str = "crates/decide/src/lib.rs";
const ATTRIBUTES: &[&str] = &["#![no_std]", "#![forbid(unsafe_code)]"];

/// What a decision may not mention, as code.
const WORLD: &[&str] = &[
    "std::",
    "tokio",
    "async fn",
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "getrandom",
    "extern crate std",
    "println",
];

/// Dependencies that would bring the world in by themselves.
const IMPURE: &[&str] =
    &["tokio", "platform", "hyper", "rusqlite", "rustix", "libc", "getrandom", "tracing"];

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    let files: Vec<&SourceFile> =
        tree.rust.iter().filter(|f| f.path.starts_with("crates/decide/src/")).collect();
    if files.is_empty() {
        return;
    }
    let root = files.iter().find(|file| file.path == CRATE_ROOT);
    for attribute in ATTRIBUTES {
        if !root.is_some_and(|file| file.code.contains(attribute)) {
            out.push(Finding::new(CHECK, CRATE_ROOT, format!("lacks {attribute}")));
        }
    }
    for file in files {
        for word in WORLD {
            for line in places(file, word).filter(|line| !file.is_test(*line)) {
                out.push(Finding::new(
                    CHECK,
                    file.place(line),
                    format!("a decision mentions {word}: take it as an argument"),
                ));
            }
        }
    }
    if let Some(manifest) = tree.text("crates/decide/Cargo.toml") {
        for dependency in super::manifests::dependencies(manifest) {
            if !dependency.for_tests && IMPURE.contains(&dependency.name.as_str()) {
                out.push(Finding::new(
                    CHECK,
                    "crates/decide/Cargo.toml",
                    format!("depends on {}", dependency.name),
                ));
            }
        }
    }
}

/// `std::` ends in punctuation, so only what stands before it must not be part
/// of a word (`no_std::` is none of ours).
fn places<'a>(file: &'a SourceFile, word: &'a str) -> Box<dyn Iterator<Item = usize> + 'a> {
    match word.strip_suffix("::") {
        Some(name) => Box::new(file.lines_with(name).filter(move |line| {
            file.code.lines().nth(*line).is_some_and(|text| text.contains(word))
        })),
        None => Box::new(file.lines_with(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lib: &str, other: &str, manifest: &str) -> usize {
        let mut out = Vec::new();
        let tree = Tree::of(&[
            (CRATE_ROOT, lib),
            ("crates/decide/src/ring.rs", other),
            ("crates/decide/Cargo.toml", manifest),
        ]);
        check(&tree, &mut out);
        out.len()
    }

    const GOOD: &str = "#![no_std]\n#![forbid(unsafe_code)]\nextern crate alloc;\n";

    #[test]
    fn a_pure_crate_passes() {
        let other =
            "// std::time is not here\n#[cfg(test)]\nmod tests {\n    use std::vec::Vec;\n}\n";
        assert_eq!(count(GOOD, other, "[dev-dependencies]\ntokio = \"1\"\n"), 0);
    }

    #[test]
    fn each_impurity_is_found() {
        assert_eq!(count("extern crate alloc;\n", "", ""), 2);
        assert_eq!(count(GOOD, "use std::time::Duration;\n", ""), 1);
        assert_eq!(count(GOOD, "fn f(m: HashMap<u8, u8>) {}\n", ""), 1);
        assert_eq!(count(GOOD, "use tokio::sync::mpsc;\n", ""), 1);
        assert_eq!(count(GOOD, "", "[dependencies]\ntokio = \"1\"\n"), 1);
    }
}
