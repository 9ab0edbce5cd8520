//! Every rule fires on its own pair in `fixtures/pairs/` and on no other; every pair has its rule.
#![expect(clippy::disallowed_methods, reason = "fixtures are files; the crate itself never reads any")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_compare::{Difference, Options, RULES, compare_outcome, compare_stored, planted, render};
use samebuild_image::golden::Observation;
use samebuild_image::{Bytes, Stored, read};

/// The directory of pairs that must not differ; no rule's name.
const SAME: &str = "same";

fn pairs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pairs")
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "README.md").collect()
}

fn observation(path: &Path) -> Observation {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Observation::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The pair of images that a file names, where records cannot show the difference.
fn made(pair: &Path) -> Option<(Stored, Stored)> {
    let name = std::fs::read_to_string(pair.join("made.txt")).ok()?;
    let made = planted::special::pairs().unwrap().into_iter().find(|pair| pair.name == name.trim());
    let made = made.unwrap_or_else(|| panic!("{}: no pair is called {name}", pair.display()));
    let open = |bytes: Vec<u8>| read::find_image(Arc::new(Bytes::new(bytes)), &Default::default()).unwrap();
    Some((open(made.left), open(made.right)))
}

fn differences(pair: &Path, flip: bool) -> Vec<Difference> {
    if let Some((left, right)) = made(pair) {
        let (left, right) = if flip { (right, left) } else { (left, right) };
        return compare_stored(&left, &right, &Options::strict()).unwrap().differences;
    }
    let (left, right) = (observation(&pair.join("left.txt")), observation(&pair.join("right.txt")));
    let (left, right) = if flip { (right, left) } else { (left, right) };
    compare_outcome(&left, &right, &Options::strict()).unwrap()
}

#[test]
fn every_rule_has_a_pair_and_every_pair_a_rule() {
    let rules: BTreeSet<String> = RULES.iter().map(|rule| rule.about().name.to_owned()).collect();
    assert_eq!(rules.len(), RULES.len(), "two rules have the same name");
    let mut pairs = names(&pairs());
    assert!(pairs.remove(SAME), "no pairs that must not differ");
    assert_eq!(rules, pairs);
}

#[test]
fn every_rule_lives_in_the_file_named_after_it() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let mut files = names(&dir);
    assert!(files.remove("fields.rs"), "what the rules about fields share");
    let rules: BTreeSet<String> = RULES.iter().map(|rule| format!("{}.rs", rule.about().name)).collect();
    assert_eq!(rules, files);
}

#[test]
fn each_rule_fires_on_its_own_pair_only() {
    for name in names(&pairs()).into_iter().filter(|name| name != SAME) {
        for flip in [false, true] {
            let found = differences(&pairs().join(&name), flip);
            let fired: BTreeSet<&str> = found.iter().map(|difference| difference.rule).collect();
            assert_eq!(fired, BTreeSet::from([name.as_str()]), "{name}, flipped {flip}:\n{}", render(&found));
        }
    }
}

#[test]
fn pairs_that_say_the_same_do_not_differ() {
    let dir = pairs().join(SAME);
    let names = names(&dir);
    assert!(!names.is_empty());
    for name in names {
        let found = differences(&dir.join(&name), false);
        assert!(found.is_empty(), "{name}:\n{}", render(&found));
    }
}

#[test]
fn no_side_differs_from_itself() {
    for name in names(&pairs()).into_iter().filter(|name| name != SAME) {
        if let Some((left, right)) = made(&pairs().join(&name)) {
            for one in [left, right] {
                assert_eq!(compare_stored(&one, &one, &Options::strict()).unwrap().differences, [], "{name}");
            }
            continue;
        }
        for side in ["left.txt", "right.txt"] {
            let one = observation(&pairs().join(&name).join(side));
            assert_eq!(compare_outcome(&one, &one, &Options::strict()).unwrap(), [], "{name}/{side}");
        }
    }
}

#[test]
fn differences_read_as_a_person_expects() {
    let text: String = names(&pairs())
        .iter()
        .filter(|name| *name != SAME && made(&pairs().join(name)).is_none())
        .map(|name| render(&differences(&pairs().join(name), false)))
        .collect();
    expect_test::expect![[r#"
        config · Cmd · cmd: ["sh"] → ["/bin/sh","-c","sh"]
        config · Labels · config_null: null → {}
        config · ArgsEscaped · config_other: true → absent
        layer 1 · /srv/app · content: 6 "hello\n" → 6 "hallo\n"
        created · created: "2020-01-01T00:00:00Z" → "1970-01-01T00:00:00Z"
        layer 1 · diff_id: sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed → sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3
        config · Entrypoint · entrypoint: ["/entry"] → absent
        config · Env · env: order A, B → order B, A
        build · failure: line 2 → line 3
        config · Healthcheck · healthcheck: {"Test":["NONE"]} → {"Retries":3,"Test":["NONE"]}
        history 2 · history: {"created_by":"ENV A=1","empty_layer":true} → absent
        layer 1 · /srv/app · kind: file 0644 1000:1000 context 6 "hello\n" → fifo 0644 1000:1000 context
        config · Labels · labels: "b"="2" → no "b"
        image · layer_count: 2 layers on 1 of the base; alone: layer 2 (0 entries) → 1 layer on 1 of the base
        layer 1 · /srv/twin · link: hard link to /srv/app → a file of its own
        layer 1 · /srv/app · mode: 0644 → 0755
        layer 1 · /srv/app · mtime: context → now
        config · OnBuild · onbuild: ["RUN a","RUN b"] → ["RUN b","RUN a"]
        layer 1 · order: /srv then /srv/app → /srv then /srv/link
        build · outcome: built → failed: unknown-flag: Unknown flag: nope
        layer 1 · /srv/app · owner: 1000:1000 → 0:0
        layer 1 · /srv/app · path_form: srv/app → ./srv/app (only in the layer, not in the rootfs)
        layer 1 · /srv/late · paths: absent → file 0644 0:0 context 0 ""
        architecture · platform: "amd64" → "arm64"
        config · ExposedPorts · ports: no "443/TCP" → "443/TCP"
        config · Shell · shell: ["/bin/sh","-ec"] → ["/bin/sh","-c"]
        config · StopSignal · stop_signal: "9" → "SIGKILL"
        config · User · user: "app" → "1000"
        config · Volumes · volumes: "/data" → no "/data"
        config · WorkingDir · workdir: "/srv" → "/srv/"
        layer 1 · /srv/app · xattr: none → security.capability=0100000200040000000000000000000000000000(cap_net_bind_service+ep)
    "#]].assert_eq(&text);
}
