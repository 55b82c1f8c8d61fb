//! Words that stand nowhere, or in one crate only: clock, entropy and tasks
//! belong to `platform`; unsafe code to `sandbox`; unfinished or ignored work
//! and modules named after nothing to nobody. Clippy refuses the same calls by
//! meaning; this check also sees what a local `#[allow]` would hide.

use super::source::SourceFile;
use super::{Finding, Tree};

const CHECK: &str = "forbidden";

struct Rule {
    words: &'static [&'static str],
    /// Path prefixes where the words are at home, each with its reason.
    homes: &'static [(&'static str, &'static str)],
    in_tests: bool,
    say: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        words: &[
            "tokio::spawn",
            "task::spawn",
            "task::spawn_blocking",
            "task::spawn_local",
            "spawn_local",
            "thread::spawn",
        ],
        homes: WORLD_HOMES,
        in_tests: false,
        say: "tasks and threads have a name and a kind: platform::tasks",
    },
    Rule {
        words: &["thread::Builder"],
        homes: &[
            ("crates/platform/", "the one home of clock, entropy and tasks"),
            (
                "crates/worker/src/logs.rs",
                "one named log writer: a slow disk must not hold a call, and lines are dropped and counted",
            ),
            (
                "crates/store/src/",
                "one named writer thread: SQLite blocks, and a commit must not wait for a pool",
            ),
            ("crates/sandbox/", "depends on no crate of ours"),
            ("crates/e2e/", "drives real programs from outside"),
        ],
        in_tests: false,
        say: "threads are named in platform::tasks; an exception is listed here with its reason",
    },
    Rule {
        words: &["Instant::now", "SystemTime::now", "clock_gettime"],
        homes: WORLD_HOMES,
        in_tests: false,
        say: "time comes from platform::clock, or as an argument",
    },
    Rule {
        words: &["getrandom", "thread_rng", "RandomState", "rand::random", "OsRng"],
        homes: WORLD_HOMES,
        in_tests: false,
        say: "randomness comes from platform::entropy, or as an argument",
    },
    Rule {
        words: &["unbounded_channel", "UnboundedSender", "mpsc::unbounded"],
        homes: &[],
        in_tests: false,
        say: "every queue has a bound with a name",
    },
    Rule {
        words: &["#[ignore", "todo!", "unimplemented!"],
        homes: &[],
        in_tests: true,
        say: "unfinished or ignored work is not merged",
    },
    Rule {
        words: &["unsafe"],
        homes: &[(
            "crates/sandbox/",
            "the only crate that speaks to the kernel below the safe libraries",
        )],
        in_tests: true,
        say: "unsafe code stands in sandbox only",
    },
];

/// Where the real world may be asked directly.
const WORLD_HOMES: &[(&str, &str)] = &[
    ("crates/platform/", "the one home of clock, entropy and tasks"),
    ("crates/e2e/", "drives real programs from outside, in real time"),
    ("xtask/", "a tool for people, not part of the running system"),
    (
        "crates/sandbox/",
        "depends on no crate of ours: its spawner is one thread that times its own phases",
    ),
    ("crates/lambent/src/bench", "measures real time, never decides by it"),
    (
        "crates/sim/src/main.rs",
        "tells people how long a run took; the run itself has a virtual clock",
    ),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "types"];

/// How far above an unsafe block its reason may begin.
const SAFETY_WITHIN: usize = 12;

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    for file in &tree.rust {
        check_name(file, out);
        check_safety(file, out);
        for rule in RULES {
            check_rule(file, rule, out);
        }
    }
}

fn check_rule(file: &SourceFile, rule: &Rule, out: &mut Vec<Finding>) {
    if rule.homes.iter().any(|(home, _)| file.path.starts_with(home)) {
        return;
    }
    for word in rule.words {
        for line in lines_with(file, word) {
            if rule.in_tests || !file.is_test(line) {
                out.push(Finding::new(CHECK, file.place(line), format!("{word}: {}", rule.say)));
            }
        }
    }
}

/// A word that ends in punctuation cannot be followed by more of itself, so only
/// its name is matched as a whole word.
fn lines_with<'a>(file: &'a SourceFile, word: &'a str) -> Vec<usize> {
    let name = word.trim_start_matches("#[").trim_end_matches('!');
    let whole = |line: &usize| file.code.lines().nth(*line).is_some_and(|text| text.contains(word));
    file.lines_with(name).filter(whole).collect()
}

fn check_name(file: &SourceFile, out: &mut Vec<Finding>) {
    let mut parts = file.path.trim_end_matches(".rs").split('/');
    if let Some(name) = parts.find(|part| EMPTY_NAMES.contains(part)) {
        out.push(Finding::new(
            CHECK,
            &file.path,
            format!("a module named {name} says nothing about what is inside"),
        ));
    }
    for name in EMPTY_NAMES {
        let declared = format!("mod {name}");
        for line in file.lines_with(&declared) {
            if file.code.lines().nth(line).is_some_and(|text| text.trim_end().ends_with('{')) {
                out.push(Finding::new(
                    CHECK,
                    file.place(line),
                    format!("a module named {name} says nothing about what is inside"),
                ));
            }
        }
    }
}

/// Each unsafe block or implementation has its proof just above it.
fn check_safety(file: &SourceFile, out: &mut Vec<Finding>) {
    let texts: Vec<&str> = file.text.lines().collect();
    let codes: Vec<&str> = file.code.lines().collect();
    for line in file.lines_with("unsafe") {
        let needs_proof = ["unsafe {", "unsafe impl"]
            .iter()
            .any(|form| codes.get(line).is_some_and(|c| c.contains(form)));
        let from = line.saturating_sub(SAFETY_WITHIN);
        let proved = texts.iter().take(line + 2).skip(from).any(|text| text.contains("SAFETY:"));
        if needs_proof && !proved {
            out.push(Finding::new(
                CHECK,
                file.place(line),
                "unsafe without a // SAFETY: comment above it",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut out);
        out.into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn the_world_is_asked_in_platform_only() {
        for text in [
            "fn f() { tokio::spawn(g()); }\n",
            "fn f() { let t = std::time::Instant::now(); }\n",
            "fn f() { getrandom::fill(&mut b); }\n",
            "fn f() { std::thread::spawn(g); }\n",
            "fn f() { let (a, b) = unbounded_channel(); }\n",
        ] {
            assert_eq!(findings("crates/worker/src/a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(
            findings("crates/platform/src/a.rs", "fn f() { tokio::spawn(g()); }\n").len(),
            0
        );
        assert_eq!(
            findings("crates/worker/tests/a.rs", "fn f() { tokio::spawn(g()); }\n").len(),
            0
        );
        assert_eq!(
            findings(
                "crates/worker/src/a.rs",
                "// tokio::spawn\nfn f() { g(\"Instant::now\"); }\n"
            )
            .len(),
            0
        );
    }

    #[test]
    fn unfinished_and_ignored_work_is_found_in_tests_too() {
        assert_eq!(findings("crates/a/tests/a.rs", "#[ignore]\nfn f() { todo!() }\n").len(), 2);
        assert_eq!(findings("crates/a/src/a.rs", "fn f() { unimplemented!(\"x\") }\n").len(), 1);
        assert_eq!(
            findings("crates/a/src/a.rs", "#[ignore = \"slow\"]\nfn f() { ignore(); }\n").len(),
            1
        );
    }

    #[test]
    fn unsafe_stands_in_sandbox_with_its_proof() {
        let bare = "fn f() { unsafe { g() } }\n";
        let proved = "fn f() {\n    // SAFETY: g has no conditions.\n    unsafe { g() }\n}\n";
        assert_eq!(findings("crates/sandbox/src/a.rs", proved).len(), 0);
        assert_eq!(findings("crates/sandbox/src/a.rs", bare).len(), 1);
        assert_eq!(findings("crates/worker/src/a.rs", proved).len(), 1);
        assert_eq!(findings("crates/worker/src/a.rs", "#![forbid(unsafe_code)]\n").len(), 0);
    }

    #[test]
    fn names_say_what_is_inside() {
        assert_eq!(findings("crates/a/src/utils.rs", "").len(), 1);
        assert_eq!(findings("crates/a/tests/common/mod.rs", "").len(), 1);
        assert_eq!(findings("crates/a/src/a.rs", "mod helpers {\n}\n").len(), 1);
        assert_eq!(findings("crates/a/src/typeset.rs", "mod types_of {\n}\n").len(), 0);
    }
}
