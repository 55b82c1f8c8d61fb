//! The source tree as data: every Rust file, the manifests and the documents
//! that checks compare with them. Read once from disk, or given as pairs of
//! path and text by tests.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::source::SourceFile;

#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) rust: Vec<SourceFile>,
    /// Everything else that a check reads, by path from the root.
    pub(crate) texts: BTreeMap<String, String>,
}

/// Directories that hold no source of ours.
const SKIPPED: &[&str] = &["target", ".git", ".cache", "node_modules", "__pycache__"];

impl Tree {
    pub(crate) fn load(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        walk(root, root, &mut files)?;
        files.sort();
        let pairs: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        Ok(Self::of(&pairs))
    }

    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            if path.ends_with(".rs") {
                tree.rust.push(SourceFile::new(path, text));
            } else {
                tree.texts.insert((*path).to_owned(), (*text).to_owned());
            }
        }
        tree.mark_test_modules();
        tree
    }

    /// Manifests of the crates (not the workspace's), with the crate's name.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.texts.iter().filter_map(|(path, text)| {
            let name = match path.strip_prefix("crates/") {
                Some(rest) => {
                    rest.strip_suffix("/Cargo.toml").filter(|name| !name.contains('/'))?
                }
                None => path.strip_suffix("/Cargo.toml").filter(|name| *name == "xtask")?,
            };
            Some((name, path.as_str(), text.as_str()))
        })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// A module behind `#[cfg(test)] mod name;` is a test though its own file
    /// does not say so.
    fn mark_test_modules(&mut self) {
        let mut tests = Vec::new();
        for file in &self.rust {
            let folder = match file
                .path
                .strip_suffix("/lib.rs")
                .or_else(|| file.path.strip_suffix("/main.rs"))
            {
                Some(folder) => folder.to_owned(),
                None => file.path.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned(),
            };
            tests.extend(file.test_modules().into_iter().map(|name| format!("{folder}/{name}")));
        }
        for file in &mut self.rust {
            let hit = |module: &String| {
                file.path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            if tests.iter().any(hit) {
                file.only_tests = true;
            }
        }
    }
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            walk(root, &entry.path(), files)?;
        } else if kind.is_file() && is_read(&name) {
            let path = entry.path();
            let inside =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push((inside, std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn is_read(name: &str) -> bool {
    name.ends_with(".rs") || name.ends_with(".md") || name == "Cargo.toml" || name == "ratchet.txt"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_marks_its_file_and_those_below() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "#[cfg(test)]\nmod cases;\n"),
            ("crates/a/src/cases.rs", "fn a() {}\n"),
            ("crates/a/src/cases/b.rs", "fn a() {}\n"),
            ("crates/a/src/casesor.rs", "fn a() {}\n"),
        ]);
        let tests: Vec<bool> = tree.rust.iter().map(|file| file.only_tests).collect();
        assert_eq!(tests, [false, true, true, false]);
    }

    #[test]
    fn manifests_are_those_of_crates_and_xtask() {
        let tree = Tree::of(&[
            ("Cargo.toml", ""),
            ("crates/a/Cargo.toml", ""),
            ("crates/a/fixtures/b/Cargo.toml", ""),
            ("xtask/Cargo.toml", ""),
        ]);
        let names: Vec<&str> = tree.manifests().map(|(name, _, _)| name).collect();
        assert_eq!(names, ["a", "xtask"]);
    }
}
