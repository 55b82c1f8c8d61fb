//! Every file opens with two to ten lines that say what it is, what it is not
//! and where it sits. Blank lines and a fenced drawing (a state machine belongs
//! at the head of its file) are not counted. Generated files open with their
//! generator's line instead, which `provenance` checks.

use super::source::SourceFile;
use super::{Finding, Tree};

const CHECK: &str = "header";
const LINES: std::ops::RangeInclusive<usize> = 2..=10;

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    for file in tree.rust.iter().filter(|file| !file.is_generated()) {
        let lines = header_lines(file);
        if !LINES.contains(&lines) {
            out.push(Finding::new(
                CHECK,
                &file.path,
                format!(
                    "opens with {lines} lines of //!, expected {} to {}",
                    LINES.start(),
                    LINES.end()
                ),
            ));
        }
    }
}

/// Leading `//!` lines with words; attributes or comments may stand before them.
fn header_lines(file: &SourceFile) -> usize {
    let opens = |line: &&str| line.trim_start().starts_with("//!");
    let before = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//!")
            && (line.is_empty() || line.starts_with("#!") || line.starts_with("// "))
    };
    let mut drawing = false;
    let counts = |line: &&str| {
        let text = line.trim_start().trim_start_matches("//!").trim();
        let fence = text.starts_with("```");
        drawing ^= fence;
        !fence && !drawing && !text.is_empty()
    };
    file.text.lines().skip_while(before).take_while(opens).filter(counts).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(text: &str) -> bool {
        let mut out = Vec::new();
        check(&Tree::of(&[("crates/a/src/lib.rs", text)]), &mut out);
        out.is_empty()
    }

    #[test]
    fn two_to_ten_lines_pass_and_others_do_not() {
        assert!(passes("//! One.\n//! Two.\n\nfn f() {}\n"));
        assert!(passes("#![no_std]\n//! One.\n//! Two.\n"));
        assert!(passes(&"//! x\n".repeat(10)));
        assert!(passes(
            &("//! x\n//!\n".repeat(10) + "//! ```text\n//! a -> b\n//! b -> c\n//! ```\n")
        ));
        assert!(!passes("//! x\n//!\n"));
        assert!(!passes("fn f() {}\n"));
        assert!(!passes("//! One.\n"));
        assert!(!passes(&"//! x\n".repeat(11)));
        assert!(!passes("use a::b;\n//! One.\n//! Two.\n"));
    }

    #[test]
    fn generated_files_are_left_to_their_own_check() {
        let mut out = Vec::new();
        check(&Tree::of(&[("crates/a/src/generated/b.rs", "fn f() {}\n")]), &mut out);
        assert!(out.is_empty());
    }
}
