//! Manifests explain themselves: every dependency of a crate and every lint of
//! the workspace stands beside a comment that says why it is there. Reads the
//! few forms of TOML that our manifests use, line by line.

use super::{Finding, Tree};

const CHECK: &str = "reasons";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) for_tests: bool,
    /// Line in the manifest, from 0.
    line: usize,
    has_reason: bool,
}

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    for (_, path, text) in tree.manifests() {
        for dependency in dependencies(text).into_iter().filter(|d| !d.has_reason) {
            out.push(Finding::new(
                CHECK,
                format!("{path}:{}", dependency.line + 1),
                format!("dependency {} has no comment that says why it is here", dependency.name),
            ));
        }
    }
    if let Some(text) = tree.text("Cargo.toml") {
        check_lints(text, out);
    }
}

fn check_lints(text: &str, out: &mut Vec<Finding>) {
    for entry in entries(text).filter(|entry| entry.section.starts_with("workspace.lints")) {
        if !entry.has_reason {
            out.push(Finding::new(
                CHECK,
                format!("Cargo.toml:{}", entry.line + 1),
                format!("lint {} has no comment that says why it is set", entry.key),
            ));
        }
    }
}

/// The dependencies a manifest names, in all sections and for all targets.
pub(crate) fn dependencies(text: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    for entry in entries(text) {
        let Some((kind, table)) = dependency_section(&entry.section) else { continue };
        let name = match table {
            Some(name) => name.to_owned(),
            None => entry.key.split('.').next().unwrap_or_default().trim_matches('"').to_owned(),
        };
        let seen = found
            .iter()
            .any(|d: &Dependency| d.name == name && d.for_tests == (kind == "dev-dependencies"));
        if !seen {
            found.push(Dependency {
                name,
                for_tests: kind == "dev-dependencies",
                line: entry.line,
                has_reason: entry.has_reason || (table.is_some() && entry.section_has_reason),
            });
        }
    }
    found
}

/// `[dependencies]`, `[target.'…'.dev-dependencies]` or `[dependencies.name]`.
fn dependency_section(section: &str) -> Option<(&str, Option<&str>)> {
    for kind in ["dev-dependencies", "build-dependencies", "dependencies"] {
        if section == kind || section.ends_with(&format!(".{kind}")) {
            return Some((kind, None));
        }
        if let Some(table) = section.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')) {
            return Some((kind, Some(table)));
        }
    }
    None
}

struct Entry {
    section: String,
    section_has_reason: bool,
    key: String,
    line: usize,
    has_reason: bool,
}

/// `key = value` lines. Lines inside a value that spans several are skipped.
fn entries(text: &str) -> impl Iterator<Item = Entry> + '_ {
    let mut section = String::new();
    let mut section_has_reason = false;
    let mut after_comment = false;
    let mut open = 0_i32;
    text.lines().enumerate().filter_map(move |(line, full)| {
        let (content, comment) = split_comment(full);
        let was_after_comment =
            std::mem::replace(&mut after_comment, content.trim().is_empty() && comment);
        let continued = open > 0;
        open += depth(content);
        if continued {
            return None;
        }
        if let Some(name) = content.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        {
            open = 0;
            name.trim().clone_into(&mut section);
            section_has_reason = comment || was_after_comment;
            return None;
        }
        let key = content.split_once('=')?.0.trim().to_owned();
        let has_reason = comment || was_after_comment;
        Some(Entry { section: section.clone(), section_has_reason, key, line, has_reason })
    })
}

/// A line's content, and whether a comment that says something follows it.
fn split_comment(line: &str) -> (&str, bool) {
    let mut quoted = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'#' if !quoted => return (&line[..at], !line[at + 1..].trim().is_empty()),
            _ => {}
        }
    }
    (line, false)
}

fn depth(content: &str) -> i32 {
    let count = |open: char, close: char| {
        let signed = |c: char| i32::from(c == open) - i32::from(c == close);
        content.chars().map(signed).sum::<i32>()
    };
    count('[', ']') + count('{', '}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let mut out = Vec::new();
        check(&Tree::of(files), &mut out);
        out.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dependency_without_reason_is_found() {
        let text = "[dependencies]\n# holds bytes\nbytes.workspace = true\nserde = \"1\" # data\nhttp = \"1\"\nx = { version = \"1\", features = [\n  \"a\",\n] } # why\n\n[dev-dependencies]\nproptest.workspace = true\n";
        let found = findings(&[("crates/a/Cargo.toml", text)]);
        let names: Vec<bool> = ["http", "proptest"]
            .iter()
            .map(|name| found.iter().any(|f| f.contains(&format!("dependency {name} "))))
            .collect();
        assert_eq!(names, [true, true], "{found:?}");
        assert!(found.iter().all(|f| !f.contains("bytes") && !f.contains("serde")), "{found:?}");
    }

    #[test]
    fn an_empty_comment_is_no_reason() {
        assert_eq!(
            findings(&[("crates/a/Cargo.toml", "[dependencies]\nhttp = \"1\" #\n")]).len(),
            1
        );
    }

    #[test]
    fn dependencies_of_every_form_are_named() {
        let text = "[package]\nname = \"a\"\n[target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n[dependencies.zip]\nversion = \"1\"\nfeatures = []\n[build-dependencies]\ncc = \"1\"\n";
        let names: Vec<String> = dependencies(text).into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["libc", "zip", "cc"]);
    }

    #[test]
    fn a_lint_without_reason_is_found() {
        let text = "[workspace.lints.rust]\nunsafe_code = \"deny\" # proof\nunused = \"deny\"\n[workspace.lints.clippy]\n# all of it\nall = { level = \"warn\", priority = -1 }\n";
        let found = findings(&[("Cargo.toml", text)]);
        assert_eq!(
            found,
            ["Cargo.toml:3: [reasons] lint unused has no comment that says why it is set"]
        );
    }
}
