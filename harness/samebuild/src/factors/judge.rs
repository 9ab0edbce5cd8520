//! Which of the differences that a factor makes were written down beforehand, and which that were written down do not come.

use crate::cases::{Case, Cause, Volatile, dialect_matches};
use crate::conform::Verdict;
use crate::conform::check::{Check, Found, glob_matches};

use super::NOTHING;

/// Turns `unstable` into `known` where case.toml names this factor for every difference, and what is green into `stale`
/// where it names one that did not come.
pub(super) fn judge(case: &Case, factor: &str, check: &mut Check) {
    if !matches!(check.verdict, Verdict::Same | Verdict::Unstable) {
        return;
    }
    let speaks = |cause: &&Cause| {
        cause.factor == factor
            && (cause.dialects.is_empty()
                || cause.dialects.iter().any(|glob| dialect_matches(glob, &check.dialect)))
    };
    let written: Vec<&Cause> = case.causes.iter().filter(speaks).collect();
    let volatile = if factor == NOTHING { masked(case) } else { Vec::new() };
    for found in &mut check.differences {
        let cause = written.iter().copied().chain(&volatile).find(|cause| covers(cause, found));
        found.known = cause.map(|cause| cause.why.clone());
    }
    if check.verdict == Verdict::Unstable
        && !check.differences.is_empty()
        && check.differences.iter().all(|found| found.known.is_some())
    {
        check.verdict = Verdict::Known;
    }
    let missing = written.iter().find(|cause| !check.differences.iter().any(|found| covers(cause, found)));
    if let (Some(cause), Verdict::Same | Verdict::Known) = (missing, check.verdict) {
        let at = cause.at.as_deref().map_or_else(String::new, |at| format!(" at {at}"));
        check.verdict = Verdict::Stale;
        check.why = format!("case.toml says that {factor} makes a difference{at}, and it makes none");
    }
}

/// What goldens mask of a case differs by itself, and the case says why.
fn masked(case: &Case) -> Vec<Cause> {
    let written = |at: Option<String>, why: &str, cause: Option<String>| Cause {
        factor: NOTHING.to_owned(),
        dialects: Vec::new(),
        at,
        why: why.to_owned(),
        cause,
    };
    let whole = case.never_twice.iter().map(|why| written(None, why, None));
    let file = |file: &Volatile| written(Some(file.at.to_string()), &file.why, file.cause.clone());
    whole.chain(case.volatile.iter().map(file)).collect()
}

fn covers(cause: &Cause, found: &Found) -> bool {
    if cause.cause.is_some() && cause.cause.as_deref() != found.cause.map(|page| page.id) {
        return false;
    }
    match &cause.at {
        None => true,
        Some(glob) => found.difference.at.path().is_some_and(|at| glob_matches(glob, &at.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_compare::{Difference, Where};
    use samebuild_image::At;

    fn check(verdict: Verdict, paths: &[&str]) -> Check {
        let found = |path: &&str| {
            let (left, right) = (String::new(), String::new());
            Found::from(Difference {
                rule: "content",
                at: Where::Rootfs(At::from(*path)),
                left,
                right,
                seen: None,
                entries: Default::default(),
            })
        };
        Check {
            case: "a/b".to_owned(),
            dialect: "x@1".to_owned(),
            against: String::new(),
            verdict,
            why: String::new(),
            differences: paths.iter().map(found).collect(),
            is_divergence: false,
        }
    }

    #[test]
    fn what_was_written_down_is_known_what_was_not_is_unstable_and_what_does_not_come_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        let toml = "about = \"why?\"\n[[causes]]\nfactor = \"umask\"\nat = \"/srv/*\"\nwhy = \"modes\"\n\
                    [[causes]]\nfactor = \"context-mtimes\"\ndialects = [\"classic@*\", \"buildkit@*\"]\nwhy = \"times\"\n\
                    [[volatile]]\nat = \"/log\"\nwhy = \"a clock\"\n\
                    [[volatile]]\nat = \"/etc/id\"\nwhy = \"chance\"\ncause = \"machine-id\"\n";
        std::fs::write(dir.path().join("case.toml"), toml).unwrap();
        let case = crate::cases::load_one(dir.path(), "a/b".parse().unwrap(), &Default::default()).unwrap();
        for (factor, verdict, paths, becomes) in [
            ("umask", Verdict::Unstable, &["srv/a", "srv/b"][..], Verdict::Known),
            ("umask", Verdict::Unstable, &["srv/a", "etc/b"], Verdict::Unstable),
            ("umask", Verdict::Same, &[], Verdict::Stale),
            ("umask", Verdict::Skipped, &[], Verdict::Skipped),
            ("owners", Verdict::Unstable, &["srv/a"], Verdict::Unstable),
            ("context-mtimes", Verdict::Unstable, &["srv/a"], Verdict::Unstable),
            ("owners", Verdict::Same, &[], Verdict::Same),
            (NOTHING, Verdict::Unstable, &["log"], Verdict::Known),
            (NOTHING, Verdict::Unstable, &["log", "srv/a"], Verdict::Unstable),
            (NOTHING, Verdict::Unstable, &["etc/id"], Verdict::Unstable),
            (NOTHING, Verdict::Same, &[], Verdict::Same),
        ] {
            let mut check = check(verdict, paths);
            judge(&case, factor, &mut check);
            assert_eq!(check.verdict, becomes, "{factor} {paths:?}");
        }
        let mut explained = check(Verdict::Unstable, &["etc/id"]);
        explained.differences[0].cause =
            samebuild_compare::causes::cause("machine-id").map(|cause| cause.page());
        judge(&case, NOTHING, &mut explained);
        assert_eq!(
            explained.verdict,
            Verdict::Known,
            "a cause that is written must be the one that is found"
        );
        let mut check = Check { dialect: "buildkit@26.1".to_owned(), ..check(Verdict::Unstable, &["srv/a"]) };
        judge(&case, "context-mtimes", &mut check);
        assert_eq!(check.verdict, Verdict::Known, "a cause is of the dialects it names");
    }
}
