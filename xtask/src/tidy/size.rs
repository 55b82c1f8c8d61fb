//! Length limits. A function may have 70 lines, 2 % of them more, none above
//! 120 unless it is a table (a comment `tidy: table` above it says so); a file
//! may have 500 lines, tests not counted, and never 800. What is over the soft
//! limit today stands in ratchet.txt, whose numbers only go down:
//! `tidy --tighten` lowers them and never raises one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::functions::Function;
use super::source::SourceFile;
use super::{Finding, Tree};

const CHECK: &str = "size";
const RATCHET: &str = "xtask/ratchet.txt";

const FUNCTION_SOFT: usize = 70;
const FUNCTION_HARD: usize = 120;
/// One in fifty functions may be over the soft limit.
const FUNCTIONS_PER_LONG_ONE: usize = 50;
const FILE_SOFT: usize = 500;
const FILE_HARD: usize = 800;
const TABLE_MARK: &str = "tidy: table";
/// The name under which the ratchet counts functions over the soft limit.
const LONG_FUNCTIONS: &str = "functions-over-70";

type Ratchet = BTreeMap<String, usize>;

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    let allowed = match parse(tree.text(RATCHET).unwrap_or_default()) {
        Ok(allowed) => allowed,
        Err(line) => {
            out.push(Finding::new(
                CHECK,
                RATCHET,
                format!("line not understood: {line:?}, expected \"name number\""),
            ));
            return;
        }
    };
    check_functions(tree, &allowed, out);
    for file in &tree.rust {
        check_file(file, &allowed, out);
    }
}

fn check_functions(tree: &Tree, allowed: &Ratchet, out: &mut Vec<Finding>) {
    let long = long_functions(tree);
    for (file, function) in long.iter().filter(|(_, function)| function.lines > FUNCTION_HARD) {
        out.push(Finding::new(
            CHECK,
            file.place(function.line),
            format!(
                "fn {} has {} lines, {FUNCTION_HARD} is the hard stop",
                function.name, function.lines
            ),
        ));
    }
    let total = product_functions(tree).count();
    let share = total / FUNCTIONS_PER_LONG_ONE;
    let ratchet = allowed.get(LONG_FUNCTIONS).copied().unwrap_or(0);
    let limit = share.min(ratchet);
    if long.len() > limit {
        for (file, function) in &long {
            out.push(Finding::new(
                CHECK,
                file.place(function.line),
                format!(
                    "fn {} has {} lines; {} of {total} functions are over {FUNCTION_SOFT}, {limit} may be (2 % and {RATCHET})",
                    function.name,
                    function.lines,
                    long.len()
                ),
            ));
        }
    }
}

fn check_file(file: &SourceFile, allowed: &Ratchet, out: &mut Vec<Finding>) {
    let lines = file.product_lines();
    if lines > FILE_HARD {
        out.push(Finding::new(
            CHECK,
            &file.path,
            format!("has {lines} lines without tests, {FILE_HARD} is the hard stop"),
        ));
        return;
    }
    let limit = allowed.get(&file.path).copied().unwrap_or(FILE_SOFT).max(FILE_SOFT);
    if lines > limit && !file.is_generated() {
        out.push(Finding::new(
            CHECK,
            &file.path,
            format!("has {lines} lines without tests, {limit} are allowed"),
        ));
    }
}

fn product_functions(tree: &Tree) -> impl Iterator<Item = (&SourceFile, &Function)> {
    let files = tree.rust.iter().filter(|file| !file.is_generated());
    files.flat_map(|file| {
        file.functions.iter().filter(|f| !file.is_test(f.line)).map(move |f| (file, f))
    })
}

fn long_functions(tree: &Tree) -> Vec<(&SourceFile, &Function)> {
    product_functions(tree)
        .filter(|(file, f)| f.lines > FUNCTION_SOFT && !is_table(file, f))
        .collect()
}

/// A function that only lists rows, marked so in the comment above it.
fn is_table(file: &SourceFile, function: &Function) -> bool {
    let above = function.line.saturating_sub(6);
    let lines: Vec<&str> = file.text.lines().skip(above).take(function.line - above).collect();
    lines
        .iter()
        .rev()
        .take_while(|line| is_comment_or_attribute(line))
        .any(|line| line.contains(TABLE_MARK))
}

fn is_comment_or_attribute(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("#[")
}

fn parse(text: &str) -> Result<Ratchet, String> {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, number) = line.rsplit_once(' ').ok_or(line)?;
            let number = number.parse().map_err(|_| line)?;
            Ok((name.trim().to_owned(), number))
        })
        .collect::<Result<_, &str>>()
        .map_err(str::to_owned)
}

/// What the tree needs today, for each name the ratchet has.
fn needed(tree: &Tree, name: &str) -> usize {
    if name == LONG_FUNCTIONS {
        return long_functions(tree).len();
    }
    let lines =
        tree.rust.iter().find(|file| file.path == name).map_or(0, SourceFile::product_lines);
    if lines > FILE_SOFT { lines } else { 0 }
}

/// Numbers of the ratchet that could go down.
pub(crate) fn slack(tree: &Tree) -> Vec<String> {
    let allowed = parse(tree.text(RATCHET).unwrap_or_default()).unwrap_or_default();
    allowed
        .iter()
        .map(|(name, number)| (name, *number, needed(tree, name)))
        .filter(|(_, number, needed)| needed < number)
        .map(|(name, number, needed)| {
            format!("{RATCHET}: {name} can go down from {number} to {needed} (tidy --tighten)")
        })
        .collect()
}

pub(crate) fn tighten(tree: &Tree, root: &Path) -> Result<(), String> {
    let text = tree.text(RATCHET).unwrap_or_default();
    let lowered = lowered(tree, text)?;
    std::fs::write(root.join(RATCHET), lowered).map_err(|e| format!("writing {RATCHET}: {e}"))
}

fn lowered(tree: &Tree, text: &str) -> Result<String, String> {
    let allowed =
        parse(text).map_err(|line| format!("{RATCHET}: line not understood: {line:?}"))?;
    let mut lowered: String = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .fold(String::new(), |all, line| all + line + "\n");
    for (name, number) in &allowed {
        let number = needed(tree, name).min(*number);
        if number > 0 || name == LONG_FUNCTIONS {
            let _infallible = writeln!(lowered, "{name} {number}");
        }
    }
    Ok(lowered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    fn tree(ratchet: &str, text: &str) -> Tree {
        Tree::of(&[("crates/a/src/lib.rs", text), (RATCHET, ratchet)])
    }

    fn findings(ratchet: &str, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        check(&tree(ratchet, text), &mut out);
        out.into_iter().map(|f| f.what).collect()
    }

    fn short_ones(count: usize) -> String {
        (0..count).map(|i| function(&format!("f{i}"), 3)).collect()
    }

    #[test]
    fn long_functions_need_the_share_and_the_ratchet() {
        let text = short_ones(99) + &function("long", 71);
        assert_eq!(findings("functions-over-70 1\n", &text).len(), 0);
        assert_eq!(findings("functions-over-70 0\n", &text).len(), 1);
        assert_eq!(findings("", &text).len(), 1);
        let few = short_ones(10) + &function("long", 71);
        assert_eq!(findings("functions-over-70 1\n", &few).len(), 1);
    }

    #[test]
    fn the_hard_stop_spares_tables_and_tests() {
        let long = function("long", 121);
        assert!(
            findings("functions-over-70 9\n", &(short_ones(99) + &long))[0].contains("hard stop")
        );
        assert_eq!(
            findings("", &format!("/// Rows. tidy: table\n#[rustfmt::skip]\n{long}")).len(),
            0
        );
        assert_eq!(findings("", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")).len(), 0);
        assert_eq!(
            findings("", &format!("// tidy: table\n\n{long}")).len(),
            2,
            "the mark must touch its function"
        );
    }

    #[test]
    fn long_files_need_the_ratchet_and_stop_at_800() {
        let lines = |count: usize| "use a::b;\n".repeat(count);
        assert_eq!(findings("", &lines(500)).len(), 0);
        assert_eq!(findings("", &lines(501)).len(), 1);
        assert_eq!(findings("crates/a/src/lib.rs 501\n", &lines(501)).len(), 0);
        assert_eq!(findings("crates/a/src/lib.rs 501\n", &lines(502)).len(), 1);
        assert!(findings("crates/a/src/lib.rs 900\n", &lines(801))[0].contains("hard stop"));
    }

    #[test]
    fn a_garbled_ratchet_is_found() {
        assert_eq!(findings("functions-over-70 some\n", "").len(), 1);
    }

    #[test]
    fn tightening_lowers_and_never_raises() {
        let text = short_ones(99) + &function("long", 71);
        let ratchet = "# why\ncrates/a/src/lib.rs 700\nfunctions-over-70 4\n";
        assert_eq!(slack(&tree(ratchet, &text)).len(), 2);
        assert_eq!(
            lowered(&tree(ratchet, &text), ratchet).as_deref(),
            Ok("# why\nfunctions-over-70 1\n")
        );
        let zero = "functions-over-70 0\n";
        assert_eq!(lowered(&tree(zero, &text), zero).as_deref(), Ok(zero));
    }
}
