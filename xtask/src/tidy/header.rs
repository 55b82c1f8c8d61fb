//! Every file opens with two to ten lines that say what it is, what it is not
//! and where it sits. Generated files open with their generator's line instead,
//! which `provenance` checks.

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

/// Leading `//!` lines; a licence comment or attributes may stand before them.
fn header_lines(file: &SourceFile) -> usize {
    let opens = |line: &&str| line.trim_start().starts_with("//!");
    let before = |line: &&str| {
        let line = line.trim_start();
        !line.starts_with("//!")
            && (line.is_empty() || line.starts_with("#!") || line.starts_with("// "))
    };
    file.text.lines().skip_while(before).take_while(opens).count()
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
