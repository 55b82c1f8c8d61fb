//! Golden tests: each story of `stories/` against what stands beside it. With
//! `BLESS=1` the expectation is written anew, to be read before it is committed.

use std::{fs, path::Path};

#[test]
fn stories_are_told_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "txt")).collect();
    scripts.sort();
    assert!(scripts.len() >= 6, "stories are missing from {}", folder.display());
    for script in scripts {
        let told = sim::story::tell(&fs::read_to_string(&script).unwrap());
        let told = told.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let beside = script.with_extension("out");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&beside, &told).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        let parted = told.lines().zip(expected.lines()).position(|(now, then)| now != then);
        assert!(
            told == expected,
            "{} is told otherwise, first in line {:?}; BLESS=1 accepts it\n{told}",
            script.display(),
            parted.map(|at| at + 1)
        );
    }
}
