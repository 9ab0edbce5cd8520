//! Every cause explains its own pair of images, and nothing else does; every row of every rule has a cause.
#![expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself never reads any")]

mod made;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use made::PAIRS;
use samebuild_compare::{
    CAUSES, Contents, Options, RULES, Severity, Shape, compare_images, compare_outcome, compare_stored,
    explain, explain_rows, planted, render,
};
use samebuild_image::golden::Observation;
use samebuild_image::{Bytes, read};

/// Causes whose pair is that of a rule, or a planted one: builds that failed, and images that only their stored form can show.
const OF_RULES: &[(&str, &str)] = &[
    ("outcome", "build-failed"),
    ("failure", "build-failed"),
    ("annotations", "annotation"),
    ("config_digest", "config-spelling"),
    ("duplicate", "repeated-entry"),
    ("media_type", "media-type"),
    ("owner_name", "owner-names"),
    ("layer_urls", "descriptor"),
    ("listing", "index-platforms"),
    ("packing", "layer-packing"),
    ("stored_sparse", "stored-sparse"),
    ("subject", "referrer"),
    ("tar_form", "tar-records"),
];

/// What the pair of a rule, or the planted pair of that name, comes to, explained, with its rows.
fn of_rule(rule: &str) -> (Vec<samebuild_compare::Difference>, samebuild_compare::Explained) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pairs").join(rule);
    let read = |side: &str| Observation::parse(&std::fs::read_to_string(dir.join(side)).unwrap()).unwrap();
    let name = std::fs::read_to_string(dir.join("made.txt")).ok();
    let Some(name) = name.or_else(|| (!dir.exists()).then(|| rule.to_owned())) else {
        let rows = compare_outcome(&read("left.txt"), &read("right.txt"), &Options::strict()).unwrap();
        let explained =
            explain_rows(&rows, (&Shape::default(), &Shape::default()), &Contents::default(), None);
        return (rows, explained);
    };
    let pair = planted::special::pairs().unwrap().into_iter().find(|pair| pair.name == name.trim()).unwrap();
    let open = |bytes: Vec<u8>| read::find_image(Arc::new(Bytes::new(bytes)), &Default::default()).unwrap();
    let comparison = compare_stored(&open(pair.left), &open(pair.right), &Options::strict()).unwrap();
    let explained = explain(&comparison, None);
    (comparison.differences, explained)
}

#[test]
fn the_pairs_of_these_rules_have_these_causes_alone() {
    for (rule, cause) in OF_RULES {
        let (rows, explained) = of_rule(rule);
        let found: BTreeSet<&str> = explained.findings.iter().map(|finding| finding.cause.id).collect();
        assert_eq!(found, BTreeSet::from([*cause]), "{rule}: {}", render(&rows));
    }
}

#[test]
fn every_cause_has_a_pair_and_every_pair_a_cause() {
    let causes: BTreeSet<&str> = CAUSES.iter().map(|cause| cause.page().id).collect();
    assert_eq!(causes.len(), CAUSES.len(), "two causes have the same id");
    let mut pairs: BTreeSet<&str> = PAIRS.iter().map(|pair| pair.cause).collect();
    pairs.extend(OF_RULES.iter().map(|(_, cause)| *cause));
    assert_eq!(causes, pairs);
}

#[test]
fn each_cause_alone_explains_its_own_pair() {
    for pair in PAIRS {
        let (left, right) = (pair.make)();
        let options = Options { left: made::EPOCHS, right: made::EPOCHS, ..Options::strict() };
        let comparison = compare_images(&left, &right, &options).unwrap();
        let shown = render(&comparison.differences);
        assert!(!comparison.differences.is_empty(), "{}: nothing differs", pair.cause);
        let explained = explain(&comparison, None);
        let found: Vec<(&str, &str)> =
            explained.findings.iter().map(|finding| (finding.cause.id, &*finding.said)).collect();
        let causes: BTreeSet<&str> = found.iter().map(|(id, _)| *id).collect();
        assert_eq!(causes, BTreeSet::from([pair.cause]), "{}: {found:?}\n{shown}", pair.cause);
        let said: Vec<String> = explained
            .findings
            .iter()
            .map(|finding| {
                let notes = finding.details.iter().filter_map(|(_, lines)| lines.first());
                let notes: Vec<&str> = notes.map(|line| &*line.text).collect();
                format!("{} | {}", finding.said, notes.join(" | "))
            })
            .collect();
        assert!(
            said.iter().any(|said| said.contains(pair.says)),
            "{}: {said:?} lacks `{}`",
            pair.cause,
            pair.says
        );
        let explained_rows: usize =
            explained.findings.iter().map(|finding| finding.rows.len() + finding.consequences.len()).sum();
        assert_eq!(explained_rows, comparison.differences.len(), "{}: each row once\n{shown}", pair.cause);
    }
}

#[test]
fn every_row_of_every_rule_has_a_cause() {
    for rule in RULES.iter().map(|rule| rule.about().name) {
        let (rows, explained) = of_rule(rule);
        let count: usize = explained.findings.iter().map(|f| f.rows.len() + f.consequences.len()).sum();
        assert_eq!(count, rows.len(), "{rule}: {}", render(&rows));
    }
}

#[test]
fn pages_say_what_how_and_the_fix_and_no_cause_is_called_like_a_rule() {
    let rules: BTreeSet<&str> = RULES.iter().map(|rule| rule.about().name).collect();
    for page in CAUSES.iter().map(|cause| cause.page()) {
        let is_kebab = page.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(is_kebab && !rules.contains(page.id), "{}", page.id);
        assert!(!page.title.ends_with('.') && !page.title.contains('\n'), "{}", page.id);
        for text in [page.what, page.how, page.fix] {
            assert!(text.len() > 10 && !text.contains('\n'), "{}: {text}", page.id);
        }
    }
}

#[test]
fn a_missing_whiteout_has_what_comes_back_as_its_consequences() {
    let pair = PAIRS.iter().find(|pair| pair.cause == "missing-whiteout").unwrap();
    let (left, right) = (pair.make)();
    let explained = explain(&compare_images(&left, &right, &Options::strict()).unwrap(), None);
    let [finding] = &explained.findings[..] else { panic!("{explained:?}") };
    assert_eq!((finding.rows.len(), finding.consequences.len()), (1, 2));
    assert_eq!(finding.severity, Severity::Security);
}

#[test]
fn what_only_layers_show_is_no_behaviour() {
    let pair = PAIRS.iter().find(|pair| pair.cause == "repeated-file").unwrap();
    let (left, right) = (pair.make)();
    let explained = explain(&compare_images(&left, &right, &Options::strict()).unwrap(), None);
    assert!(explained.findings.iter().all(|finding| finding.severity > Severity::Security));
}

#[test]
fn a_thousand_files_of_one_copy_are_one_finding_with_its_directory_and_line() {
    let (left, right) = made::many(1000);
    let dockerfile = b"FROM scratch\nENV A=b\nCOPY src /srv/src\n";
    let file =
        samebuild_dockerfile::Dockerfile::parse(dockerfile, &samebuild_dockerfile::Syntax::BUILDKIT_HEAD)
            .unwrap();
    let explained = explain(&compare_images(&left, &right, &Options::strict()).unwrap(), Some((&file, None)));
    let [finding] = &explained.findings[..] else { panic!("{:?}", explained.findings) };
    assert_eq!((finding.cause.id, finding.rows.len()), ("context-times", 1000));
    assert_eq!(finding.said, "every time on the right is 77 s later");
    assert_eq!(finding.under, Some(samebuild_image::At::from("srv/src")));
    assert_eq!(finding.line.as_ref().map(|line| line.line), Some(3));
    assert_eq!(finding.instruction.as_deref(), Some("COPY src /srv/src # buildkit"));
}

#[test]
fn what_is_ignored_is_hidden_last_and_counted() {
    let (left, right) = made::many(10);
    let comparison = compare_images(&left, &right, &Options::strict()).unwrap();
    let explained = || explain(&comparison, None);
    let hidden = |ignores: &[&str]| {
        let ignores: Vec<_> = ignores.iter().map(|text| text.parse().unwrap()).collect();
        let (explained, hidden) =
            samebuild_compare::ignore::hide(explained(), &comparison.differences, &ignores);
        let left: usize = explained.findings.iter().map(|finding| finding.rows.len()).sum();
        let by: Vec<usize> = hidden.by.iter().map(|(_, count)| *count).collect();
        (left, by, hidden.rows.len())
    };
    assert_eq!(hidden(&[]), (10, vec![], 0));
    assert_eq!(hidden(&["path=/srv/src/f000?", "rule=mtime"]), (0, vec![10, 0], 10));
    assert_eq!(hidden(&["path=**/f0001", "cause=context-times,path=**/f0002"]), (8, vec![1, 1], 2));
    assert_eq!(hidden(&["cause=umask"]), (10, vec![0], 0));
    assert_eq!(hidden(&["side=left"]), (10, vec![0], 0), "both sides have these");
}

#[test]
fn what_follows_from_something_hidden_stays() {
    let pair = PAIRS.iter().find(|pair| pair.cause == "missing-whiteout").unwrap();
    let (left, right) = (pair.make)();
    let comparison = compare_images(&left, &right, &Options::strict()).unwrap();
    let ignore = ["path=/.wh.d".parse().unwrap()];
    let (explained, _) =
        samebuild_compare::ignore::hide(explain(&comparison, None), &comparison.differences, &ignore);
    assert_eq!((explained.findings[0].rows.len(), explained.findings[0].consequences.len()), (2, 0));
}
