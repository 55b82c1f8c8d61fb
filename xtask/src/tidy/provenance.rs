//! Generated code says so in its first lines and names its generator, so that
//! nobody edits it by hand. Whether it is up to date is asked of the generator
//! itself: `xtask codegen --check MODEL`, where the published model is at hand.

use super::{Finding, Tree};

const CHECK: &str = "generated";
const GENERATOR: &str = "xtask -- codegen";
/// How many lines from the top the generator must have introduced itself.
const WITHIN: usize = 5;

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    for file in &tree.rust {
        let introduced = introduces_itself(&file.text);
        if file.is_generated() && !introduced {
            out.push(Finding::new(
                CHECK,
                &file.path,
                format!("does not begin with \"Generated from\" its source and name its generator, `{GENERATOR}`"),
            ));
        }
        if introduced && !file.is_generated() {
            out.push(Finding::new(
                CHECK,
                &file.path,
                "is generated but does not stand under generated/",
            ));
        }
    }
}

fn introduces_itself(text: &str) -> bool {
    let top: Vec<&str> = text.lines().take(WITHIN).filter(|line| line.starts_with("//")).collect();
    let begins = top
        .first()
        .is_some_and(|line| line.trim_start_matches(['/', '!', ' ']).starts_with("Generated from"));
    begins && top.iter().any(|line| line.contains(GENERATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        let mut out = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut out);
        out.len()
    }

    #[test]
    fn generated_code_names_its_generator() {
        assert_eq!(
            count(
                "crates/a/src/generated/b.rs",
                "//! Generated from a model.\n//! By `cargo run -p xtask -- codegen MODEL`.\n"
            ),
            0
        );
        assert_eq!(count("crates/a/src/generated/b.rs", "//! Types.\n"), 1);
        assert_eq!(
            count(
                "crates/a/src/b.rs",
                "//! Generated from a model.\n//! By `cargo run -p xtask -- codegen MODEL`.\n"
            ),
            1
        );
        assert_eq!(count("crates/a/src/b.rs", "//! Types.\n"), 0);
    }
}
