//! Figures about the code, beside what STYLE measured on code it admires.
//! They are shown and never fail a run: sizes have their own check.

use std::fmt;

use super::Tree;

/// Crates that are proof from end to end.
const PROOF: &[&str] = &["sim", "e2e"];

#[derive(Debug, Default)]
pub(crate) struct Figures {
    files: Vec<usize>,
    functions: Vec<usize>,
    code: usize,
    tests: usize,
    generated: usize,
}

impl Figures {
    pub(crate) fn of(tree: &Tree) -> Self {
        let mut figures = Self::default();
        for file in &tree.rust {
            let (code, tests) = file.code_lines();
            if file.is_generated() {
                figures.generated += code;
                continue;
            }
            if PROOF.contains(&file.crate_name()) {
                figures.tests += code + tests;
            } else {
                figures.code += code;
                figures.tests += tests;
            }
            if !file.only_tests {
                figures.files.push(file.product_lines());
                figures.functions.extend(
                    file.functions.iter().filter(|f| !file.is_test(f.line)).map(|f| f.lines),
                );
            }
        }
        figures.files.sort_unstable();
        figures.functions.sort_unstable();
        figures
    }
}

/// The value below which `percent` of the sorted values lie.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * percent / 100).min(last)).copied().unwrap_or(0)
}

/// Hundredths as `1.23`, without floating point.
fn ratio(part: usize, whole: usize) -> String {
    let hundredths = (part * 100).checked_div(whole).unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let long = self.functions.iter().filter(|lines| **lines > 70).count();
        writeln!(
            f,
            "functions: {}, lines median {} (aim 10), 90 % {} (aim 35), over 70: {} = {} % (limit 2 %), longest {}",
            self.functions.len(),
            percentile(&self.functions, 50),
            percentile(&self.functions, 90),
            long,
            ratio(long * 100, self.functions.len()),
            self.functions.last().unwrap_or(&0),
        )?;
        writeln!(
            f,
            "files: {}, lines without tests median {}, 90 % {} (aim 500), longest {}",
            self.files.len(),
            percentile(&self.files, 50),
            percentile(&self.files, 90),
            self.files.last().unwrap_or(&0),
        )?;
        writeln!(
            f,
            "code lines: {}, tests {}, tests per code {} (aim 0.60), generated {}",
            self.code,
            self.tests,
            ratio(self.tests, self.code),
            self.generated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_tell_code_from_tests_and_generated() {
        let figures = Figures::of(&Tree::of(&[
            ("crates/a/src/lib.rs", "fn f() {\n}\n#[test]\nfn t() {\n}\n"),
            ("crates/sim/src/lib.rs", "fn f() {}\n"),
            ("crates/a/src/generated/b.rs", "fn f() {}\n"),
        ]));
        assert_eq!((figures.code, figures.tests, figures.generated), (2, 4, 1));
        assert_eq!(figures.functions, [1, 2]);
        assert!(figures.to_string().contains("tests per code 2.00"));
    }

    #[test]
    fn percentiles_and_ratios() {
        let sorted: Vec<usize> = (1..=100).collect();
        assert_eq!(
            (percentile(&sorted, 50), percentile(&sorted, 90), percentile(&[], 50)),
            (51, 91, 0)
        );
        assert_eq!((ratio(2, 3), ratio(1, 0)), ("0.66".to_owned(), "0.00".to_owned()));
    }
}
