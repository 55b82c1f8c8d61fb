//! Who may know whom: the dependencies between our crates, read from their
//! manifests, against the ```edges block of ARCHITECTURE.md, which also gives
//! each crate its layer. An arrow points to a lower layer, always; that also
//! keeps the roles, which share one layer, from importing each other.
//! Development dependencies are free: tests may look anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Finding, Tree};

const DOCUMENT: &str = "ARCHITECTURE.md";
const CHECK: &str = "edges";

/// Crates above every wall: nothing may import them.
const PROOF: &[&str] = &["e2e", "sim", "xtask"];

type Edges = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default)]
struct Listed {
    layers: BTreeMap<String, u8>,
    edges: Edges,
}

pub(crate) fn check(tree: &Tree, out: &mut Vec<Finding>) {
    let real = real_edges(tree);
    let Some(block) = tree.text(DOCUMENT).and_then(block) else {
        out.push(Finding::new(
            CHECK,
            DOCUMENT,
            "has no ```edges block that lists the crates and their edges",
        ));
        return;
    };
    let listed = match parse(&block) {
        Ok(listed) => listed,
        Err(line) => {
            out.push(Finding::new(
                CHECK,
                DOCUMENT,
                format!("edge line not understood: {line:?}, expected \"L2 name: a b\""),
            ));
            return;
        }
    };
    compare(&real, &listed.edges, out);
    for (from, targets) in &real {
        for to in targets {
            check_direction(from, to, &listed.layers, out);
        }
    }
}

/// The block as ARCHITECTURE.md should have it, for `tidy --edges`.
pub(crate) fn listing(tree: &Tree) -> String {
    let layers =
        tree.text(DOCUMENT).and_then(block).and_then(|b| parse(&b).ok()).unwrap_or_default().layers;
    let mut rows: Vec<(Option<&u8>, &String, String)> = Vec::new();
    let real = real_edges(tree);
    for (from, to) in &real {
        rows.push((layers.get(from), from, to.iter().cloned().collect::<Vec<_>>().join(" ")));
    }
    rows.sort_by(|a, b| (b.0, a.1).cmp(&(a.0, b.1)));
    let mut text = String::new();
    for (layer, from, to) in rows {
        let layer = layer.map_or_else(|| "L?".to_owned(), |n| format!("L{n}"));
        let line = format!("{layer} {from}: {to}");
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn compare(real: &Edges, listed: &Edges, out: &mut Vec<Finding>) {
    let none = BTreeSet::new();
    let names: BTreeSet<&String> = real.keys().chain(listed.keys()).collect();
    for name in names {
        match (real.contains_key(name), listed.contains_key(name)) {
            (true, false) => {
                out.push(Finding::new(CHECK, DOCUMENT, format!("crate {name} is not listed")))
            }
            (false, true) => out.push(Finding::new(
                CHECK,
                DOCUMENT,
                format!("crate {name} is listed but does not exist"),
            )),
            _ => {}
        }
        let (has, says) = (real.get(name).unwrap_or(&none), listed.get(name).unwrap_or(&none));
        for extra in has.difference(says) {
            out.push(Finding::new(CHECK, DOCUMENT, format!("edge {name} -> {extra} exists but is not listed: a new edge is its own change, with its reason")));
        }
        for gone in says.difference(has) {
            out.push(Finding::new(
                CHECK,
                DOCUMENT,
                format!("edge {name} -> {gone} is listed but does not exist"),
            ));
        }
    }
}

fn check_direction(from: &str, to: &str, layers: &BTreeMap<String, u8>, out: &mut Vec<Finding>) {
    let at = format!("crates/{from}/Cargo.toml");
    if PROOF.contains(&to) {
        out.push(Finding::new(CHECK, at, format!("{from} imports {to}, which nothing may import")));
        return;
    }
    if let (Some(high), Some(low)) = (layers.get(from), layers.get(to)) {
        if high == low {
            out.push(Finding::new(
                CHECK,
                at,
                format!(
                    "{from} imports {to} of its own layer L{low}: they speak through a lower crate"
                ),
            ));
        } else if high < low {
            out.push(Finding::new(
                CHECK,
                at,
                format!("{from} (L{high}) imports {to} (L{low}): arrows point down"),
            ));
        }
    }
}

fn block(document: &str) -> Option<String> {
    let rest = document.split_once("```edges\n")?.1;
    Some(rest.split_once("```")?.0.to_owned())
}

fn parse(block: &str) -> Result<Listed, String> {
    let mut listed = Listed::default();
    for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let bad = || line.to_owned();
        let (head, targets) = line.split_once(':').ok_or_else(bad)?;
        let (layer, name) = head.split_once(' ').ok_or_else(bad)?;
        let layer = layer.strip_prefix('L').and_then(|n| n.parse().ok()).ok_or_else(bad)?;
        let name = name.trim().to_owned();
        listed.layers.insert(name.clone(), layer);
        listed.edges.insert(name, targets.split_whitespace().map(str::to_owned).collect());
    }
    Ok(listed)
}

fn real_edges(tree: &Tree) -> Edges {
    let ours: BTreeSet<&str> = tree.manifests().map(|(name, _, _)| name).collect();
    tree.manifests()
        .map(|(name, _, text)| {
            let targets = super::manifests::dependencies(text)
                .into_iter()
                .filter(|dependency| {
                    !dependency.for_tests && ours.contains(dependency.name.as_str())
                })
                .map(|dependency| dependency.name)
                .collect();
            (name.to_owned(), targets)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(document: &str, manifests: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![(DOCUMENT, document)];
        files.extend_from_slice(manifests);
        let mut out = Vec::new();
        check(&Tree::of(&files), &mut out);
        out.into_iter().map(|f| f.what).collect()
    }

    const LOW: (&str, &str) = ("crates/low/Cargo.toml", "[dependencies]\n");
    const HIGH: (&str, &str) = (
        "crates/high/Cargo.toml",
        "[dependencies]\nlow.workspace = true\n\n[dev-dependencies]\nside.workspace = true\n",
    );
    const SIDE: (&str, &str) = ("crates/side/Cargo.toml", "[dependencies]\n");

    #[test]
    fn listed_edges_hold() {
        let document = "```edges\nL5 high: low\nL5 side:\nL0 low:\n```\n";
        assert_eq!(findings(document, &[LOW, HIGH, SIDE]), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_found() {
        let missing =
            findings("```edges\nL5 high:\nL0 low:\nL1 gone: low\n```\n", &[LOW, HIGH, SIDE]);
        assert_eq!(missing.len(), 4, "{missing:?}");
        assert!(missing.iter().any(|m| m.contains("crate gone is listed but does not exist")));
        assert!(missing.iter().any(|m| m.contains("edge gone -> low is listed but")));
        assert!(missing.iter().any(|m| m.contains("edge high -> low exists but")));
        assert!(missing.iter().any(|m| m.contains("crate side is not listed")));
    }

    #[test]
    fn roles_import_no_roles_and_arrows_point_down() {
        let same = findings("```edges\nL5 high: low\nL5 low:\n```\n", &[LOW, HIGH]);
        assert!(same[0].contains("of its own layer L5"), "{same:?}");
        let up = findings("```edges\nL1 high: low\nL5 low:\n```\n", &[LOW, HIGH]);
        assert!(up[0].contains("arrows point down"), "{up:?}");
        let sim = findings(
            "```edges\nL6 sim:\nL7 high: sim\n```\n",
            &[
                ("crates/sim/Cargo.toml", ""),
                ("crates/high/Cargo.toml", "[dependencies]\nsim = \"1\"\n"),
            ],
        );
        assert!(sim[0].contains("nothing may import"), "{sim:?}");
    }

    #[test]
    fn a_missing_or_garbled_block_is_found() {
        assert_eq!(findings("# nothing\n", &[LOW]).len(), 1);
        assert_eq!(findings("```edges\nlow\n```\n", &[LOW]).len(), 1);
    }

    #[test]
    fn the_listing_can_be_pasted() {
        let tree = Tree::of(&[(DOCUMENT, "```edges\nL5 high:\nL0 low:\n```\n"), LOW, HIGH]);
        assert_eq!(listing(&tree), "L5 high: low\nL0 low:\n");
    }
}
