//! What this host can isolate, judged before anything runs: enough, less than all
//! (started, with each lack said), or nothing (refused unless it was asked for).

use sandbox::probe::{self, Finding, Strength};

use crate::failure::Failure;

/// What the user is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Isolation {
    pub(super) strength: &'static str,
    pub(super) warnings: Vec<String>,
}

pub(super) fn judge(allow_weak: bool) -> Result<Isolation, Failure> {
    judge_findings(&probe::survey(), allow_weak)
}

fn judge_findings(findings: &[Finding], allow_weak: bool) -> Result<Isolation, Failure> {
    let strength = match (probe::strength(findings), allow_weak) {
        (Strength::Full, _) => "full",
        (Strength::Reduced { .. }, _) => "reduced; `lambent doctor` says what to do",
        (Strength::None, true) => "NONE; sandboxes may not start; only for code that you wrote",
        (Strength::None, false) => {
            let what =
                format!("this host cannot isolate functions: {}", lacks(findings).join("; "));
            let todo = "`lambent doctor` says what to do; --allow-weak-isolation starts anyway";
            return Err(Failure::failed(what, todo));
        }
    };
    Ok(Isolation { strength, warnings: lacks(findings) })
}

/// Every mechanism that is not there in full and that counts, with its meaning.
fn lacks(findings: &[Finding]) -> Vec<String> {
    let counts = |finding: &&Finding| match (finding.found, finding.weight) {
        (probe::Found::Found, _) | (_, probe::Weight::Extra) => false,
        (
            probe::Found::Partial | probe::Found::Missing,
            probe::Weight::Required | probe::Weight::Wanted,
        ) => true,
    };
    let text = |finding: &Finding| format!("{}: {}", finding.name, finding.meaning);
    findings.iter().filter(counts).map(text).collect()
}

#[cfg(test)]
mod tests {
    use sandbox::probe::{Found, Weight};

    use super::*;

    fn finding(name: &'static str, found: Found, weight: Weight) -> Finding {
        let detail = String::new();
        Finding { name, found, weight, detail, meaning: "meaning", remedy: "remedy" }
    }

    #[test]
    fn a_host_that_isolates_all_gives_no_warning() {
        let findings = [
            finding("a", Found::Found, Weight::Required),
            finding("b", Found::Missing, Weight::Extra),
        ];
        let judged = judge_findings(&findings, false).unwrap();
        assert_eq!(judged, Isolation { strength: "full", warnings: Vec::new() });
    }

    #[test]
    fn what_is_weaker_is_said() {
        let findings = [
            finding("a", Found::Found, Weight::Required),
            finding("memory limit", Found::Missing, Weight::Wanted),
            finding("b", Found::Partial, Weight::Wanted),
        ];
        let judged = judge_findings(&findings, false).unwrap();
        assert!(judged.strength.starts_with("reduced"));
        assert_eq!(judged.warnings, ["memory limit: meaning", "b: meaning"]);
    }

    #[test]
    fn a_host_that_isolates_nothing_is_refused_unless_asked_for() {
        let findings = [finding("user namespace", Found::Missing, Weight::Required)];
        let refusal = judge_findings(&findings, false).unwrap_err().to_string();
        assert!(refusal.contains("user namespace: meaning"), "{refusal}");
        assert!(refusal.contains("--allow-weak-isolation"), "{refusal}");
        let judged = judge_findings(&findings, true).unwrap();
        assert!(judged.strength.starts_with("NONE"));
        assert_eq!(judged.warnings, ["user namespace: meaning"]);
    }
}
