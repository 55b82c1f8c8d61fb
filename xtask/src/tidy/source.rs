//! One Rust file as the checks see it: its text, its code without words, which
//! of its lines are tests, and the functions in it. Built once, read by all.

use super::functions::{self, Function};
use super::mask::{self, Masked};

#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Path from the root of the workspace, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) code: String,
    pub(crate) literals: Vec<(usize, String)>,
    pub(crate) functions: Vec<Function>,
    /// True for a file under `tests/`, `benches/` or `examples/`, or one that is
    /// only compiled for tests.
    pub(crate) only_tests: bool,
    in_test: Vec<bool>,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let Masked { code, literals } = mask::mask(text);
        let lines = code.lines().count();
        let mut in_test = vec![false; lines];
        for (from, to) in test_regions(&code) {
            let first = line_of(&code, from);
            let last = line_of(&code, to).min(lines.saturating_sub(1));
            in_test.iter_mut().take(last + 1).skip(first).for_each(|line| *line = true);
        }
        let functions = functions::of(&code);
        let only_tests = is_test_path(path) || code.contains("#![cfg(test)]");
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            literals,
            functions,
            only_tests,
            in_test,
        }
    }

    /// Whether line `line` (from 0) belongs to tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.only_tests || self.in_test.get(line).copied().unwrap_or(false)
    }

    /// The crate's directory name: `model` for `crates/model/src/lib.rs`.
    pub(crate) fn crate_name(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or(path)
    }

    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/") || self.path.ends_with("/generated.rs")
    }

    /// Lines that are not tests: what the length limits count.
    pub(crate) fn product_lines(&self) -> usize {
        (0..self.in_test.len()).filter(|line| !self.is_test(*line)).count()
    }

    /// Lines with code on them, outside tests and inside.
    pub(crate) fn code_lines(&self) -> (usize, usize) {
        let mut counts = (0, 0);
        for (number, line) in self.code.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            if self.is_test(number) {
                counts.1 += 1;
            } else {
                counts.0 += 1;
            }
        }
        counts
    }

    /// Where `word` stands as code: line numbers from 0.
    pub(crate) fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        mask::find_word(&self.code, word).map(|at| line_of(&self.code, at))
    }

    /// `path:line` with the line counted from 1, as editors do.
    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{}", self.path, line + 1)
    }

    /// Names of the modules declared `#[cfg(test)] mod name;`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        test_regions(&self.code)
            .into_iter()
            .filter_map(|(from, to)| {
                let item = self.code.get(from..to)?.trim_end_matches(';');
                let name = item.rsplit_once("mod ")?.1.trim();
                name.bytes().all(mask::is_word).then(|| name.to_owned())
            })
            .collect()
    }
}

fn is_test_path(path: &str) -> bool {
    ["/tests/", "/benches/", "/examples/"].iter().any(|part| path.contains(part))
        || path.ends_with("/tests.rs")
}

pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code.as_bytes()[..at.min(code.len())].iter().filter(|b| **b == b'\n').count()
}

/// Byte ranges of items that are compiled for tests only.
fn test_regions(code: &str) -> Vec<(usize, usize)> {
    let mut regions = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        for (at, _) in code.match_indices(marker) {
            regions.push((at, functions::item_end(code, at)));
        }
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";

    #[test]
    fn test_lines_are_told_from_product_lines() {
        let file = SourceFile::new("crates/model/src/a.rs", TEXT);
        let tests: Vec<bool> = (0..7).map(|line| file.is_test(line)).collect();
        assert_eq!(tests, [false, false, true, true, true, true, false]);
        assert_eq!(file.product_lines(), 3);
        assert_eq!(file.code_lines(), (2, 4));
        assert_eq!(file.crate_name(), "model");
    }

    #[test]
    fn a_file_of_tests_has_no_product_lines() {
        let file = SourceFile::new("crates/model/tests/a.rs", TEXT);
        assert_eq!(file.product_lines(), 0);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_found() {
        let file = SourceFile::new("crates/model/src/lib.rs", "#[cfg(test)]\nmod cases;\nmod b;\n");
        assert_eq!(file.test_modules(), ["cases"]);
    }
}
