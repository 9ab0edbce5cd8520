//! What CI asks of a checkout, as a pure question: given what a run came to, is it enough? That enough was exercised and
//! found green, and that a planted difference was seen.

mod policy;

pub use policy::{Canary, GatePolicy, Minimums};

use crate::conform::{CaseResult, Verdict};

/// What a gate looks at.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    pub results: &'a [CaseResult],
    /// Goldens that belong to nothing, one sentence each.
    pub orphans: &'a [String],
    /// What the planted check came to.
    pub canary: Verdict,
    /// Why it is not known any more why dialects part; a sentence.
    pub stale_attributions: Option<String>,
    /// Whether the report says what is committed.
    pub report_is_current: bool,
}

/// Why the gate is shut, one sentence each; empty: it is open.
pub fn complaints(minimums: &Minimums, canary: &Canary, evidence: &Evidence<'_>) -> Vec<String> {
    let checks = || evidence.results.iter().flat_map(|result| &result.checks);
    let mut complaints: Vec<String> = checks()
        .filter(|check| !check.verdict.is_green())
        .map(|check| format!("{} {} {} ({})", check.verdict, check.case, check.dialect, check.against))
        .collect();
    complaints.extend(evidence.orphans.iter().cloned());
    let exercised = checks().filter(|check| check.verdict.is_exercised_and_green()).count();
    if exercised == 0 {
        complaints.push("nothing ran".to_owned());
    } else if exercised < minimums.conform {
        let skipped = checks().filter(|check| check.verdict == Verdict::Skipped).count();
        complaints.push(format!(
            "{exercised} checks were exercised and green, and ci/gate.toml demands {}; {skipped} were skipped",
            minimums.conform
        ));
    }
    let live = checks()
        .filter(|check| check.against.starts_with("live ") && check.verdict.is_exercised_and_green())
        .count();
    if live < minimums.live {
        complaints.push(format!("{live} live checks were green, and ci/gate.toml demands {}", minimums.live));
    }
    if evidence.canary != Verdict::Different {
        complaints.push(format!(
            "the planted canary ({}, built as {} and held against {}) came out `{}`: the comparison is blind",
            canary.case, canary.dialect, canary.against, evidence.canary
        ));
    }
    complaints.extend(evidence.stale_attributions.clone());
    if !evidence.report_is_current {
        complaints.push("REPORT.md is out of date: `cargo xtask report` writes it anew".to_owned());
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::Check;

    fn results(verdicts: &[Verdict]) -> Vec<CaseResult> {
        let check = |verdict: &Verdict| Check {
            case: "a/b".to_owned(),
            dialect: "x@1".to_owned(),
            against: "golden".to_owned(),
            verdict: *verdict,
            why: String::new(),
            differences: Vec::new(),
            is_divergence: false,
        };
        let checks = verdicts.iter().map(check).collect();
        vec![CaseResult { case: "a/b".to_owned(), checks, ..CaseResult::default() }]
    }

    fn complaints_of(verdicts: &[Verdict], change: impl FnOnce(&mut Evidence<'_>)) -> Vec<String> {
        let results = results(verdicts);
        let mut evidence = Evidence {
            results: &results,
            orphans: &[],
            canary: Verdict::Different,
            stale_attributions: None,
            report_is_current: true,
        };
        change(&mut evidence);
        let canary = Canary { case: "a/b".to_owned(), dialect: "x@1".to_owned(), against: "y@1".to_owned() };
        complaints(&Minimums { conform: 2, live: 0 }, &canary, &evidence)
    }

    #[test]
    fn a_gate_opens_only_where_enough_is_green_and_the_canary_died() {
        use Verdict::*;
        assert_eq!(complaints_of(&[Same, Known, Skipped], |_| {}), [""; 0]);
        for (verdicts, says) in [
            (&[][..], "nothing ran"),
            (&[Skipped, Skipped], "nothing ran"),
            (&[Same, Skipped], "ci/gate.toml demands 2; 1 were skipped"),
            (&[Same, Same, Stale], "stale a/b x@1 (golden)"),
            (&[Same, Same, Broken], "broken a/b"),
        ] {
            let complaints = complaints_of(verdicts, |_| {});
            assert!(complaints.iter().any(|complaint| complaint.contains(says)), "{complaints:?}");
        }
    }

    #[test]
    fn a_live_gate_counts_only_what_was_built_live() {
        let mut results = results(&[Verdict::Same, Verdict::Same]);
        let canary = Canary { case: "a/b".to_owned(), dialect: "x@1".to_owned(), against: "y@1".to_owned() };
        let said = |results: &[CaseResult]| {
            let evidence = Evidence {
                results,
                orphans: &[],
                canary: Verdict::Different,
                stale_attributions: None,
                report_is_current: true,
            };
            complaints(&Minimums { conform: 2, live: 1 }, &canary, &evidence)
        };
        assert_eq!(said(&results), ["0 live checks were green, and ci/gate.toml demands 1"]);
        results[0].checks[0].against = "live docker-20.10".to_owned();
        assert_eq!(said(&results), [""; 0]);
    }

    #[test]
    fn a_canary_that_lives_shuts_the_gate() {
        for canary in [Verdict::Same, Verdict::Known, Verdict::Skipped, Verdict::Broken] {
            let complaints =
                complaints_of(&[Verdict::Same, Verdict::Same], |evidence| evidence.canary = canary);
            assert!(
                complaints.len() == 1 && complaints[0].contains("the comparison is blind"),
                "{complaints:?}"
            );
        }
    }

    #[test]
    fn orphans_and_what_is_out_of_date_shut_the_gate() {
        static ORPHANS: std::sync::LazyLock<[String; 1]> =
            std::sync::LazyLock::new(|| ["golden/x belongs to no case".to_owned()]);
        let complaints = complaints_of(&[Verdict::Same, Verdict::Same], |evidence| {
            evidence.report_is_current = false;
            evidence.stale_attributions = Some("golden/divergence.txt is out of date".to_owned());
            evidence.orphans = &*ORPHANS;
        });
        assert_eq!(complaints.len(), 3, "{complaints:?}");
    }
}
