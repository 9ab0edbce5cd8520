//! The layer cache from outside: what is built with it is what is built without, whatever was built before, whatever became
//! of the cache. Without RUN, which needs a sandbox: that is `samebuild`'s tests' affair (`edited`, `cached`).

mod backends;
mod cleaning;
mod deaths;
mod listings;
#[expect(dead_code, reason = "`samebuild`'s tests play the rest")]
mod play;
mod project;
mod record;
mod sequences;
mod wrong_hits;
#[expect(dead_code, reason = "`samebuild`'s tests run something in theirs")]
mod yard;

use samebuild_builder::DIALECTS;
use samebuild_builder::cache::Fate;
use samebuild_image::{At, Kind, Meta, Mtime, Tree};
use yard::{Yard, file, tree};

const DOCKERFILE: &str = "FROM base AS one\nARG WHO=world\nENV A=$WHO\nWORKDIR /w/x\nCOPY --chown=1:2 a d/ ./\n\
FROM scratch\nCOPY --from=one /w /w\nADD d /d/\nLABEL l=1\nCOPY <<EOF /hello\nhi $PATH\nEOF\n";

#[test]
fn a_second_build_finds_every_step_and_makes_the_same_image_in_every_dialect() {
    for dialect in DIALECTS {
        let yard = Yard::new();
        let context = tree(&[("a", "1"), ("d/b", "2"), ("d/c", "3")]);
        // Not every language has heredocs.
        let text = DOCKERFILE.split("COPY <<").next().unwrap();
        let cold = yard.build(dialect, text, &context, &[], false);
        let first = yard.build(dialect, text, &context, &[], true);
        let asked = yard.trees_asked();
        let second = yard.build(dialect, text, &context, &[], true);
        assert_eq!((first.manifest, second.manifest), (cold.manifest, cold.manifest), "{}", dialect.id);
        if dialect.id.starts_with("kaniko") {
            assert!(second.used.looked.is_empty(), "one root is built as ever");
            continue;
        }
        assert_eq!(first.used.found(), 0, "{}", dialect.id);
        assert_eq!(second.used.found(), second.used.looked.len(), "{}: {:?}", dialect.id, second.used);
        assert!(second.used.looked.len() >= 4 && second.used.warnings.is_empty());
        assert_eq!(yard.trees_asked(), asked, "no file of the base is read where all is found");
    }
}

// `cache why` shows what a key was made of: a file that is copied by itself was without its name there.
#[test]
fn every_file_that_a_step_takes_is_told_by_its_place_in_the_context() {
    let context = tree(&[("a", "1"), ("d/b", "2")]);
    let built = Yard::new().build(DIALECTS[3], "FROM base\nCOPY a d/b /x/\nCOPY d /y\n", &context, &[], true);
    let lines = |step: usize| -> Vec<&str> {
        let parts = built.used.looked[step].parts.as_ref().unwrap().all();
        let files = parts.iter().filter(|part| part.name == "file").flat_map(|part| &part.lines);
        files.filter(|line| line.contains(" file 0")).map(|line| line.split(' ').next().unwrap()).collect()
    };
    assert_eq!((lines(0), lines(1)), (vec!["a", "d/b"], vec!["d/b"]));
}

// What a wildcard may mean depends on what the whole Dockerfile names: that is found without any file of a base.
#[test]
fn a_build_with_a_wildcard_of_which_all_is_found_reads_no_file_of_the_base() {
    let yard = Yard::new();
    let context = tree(&[("d/f", "1"), ("d/g", "2")]);
    let text = "FROM base AS one\nCOPY d/f* /x/\nFROM base\nCOPY --from=one /x /y\nCOPY d/*g /z/\n";
    for dialect in DIALECTS.iter().filter(|dialect| !dialect.id.starts_with("kaniko")) {
        let first = yard.build(dialect, text, &context, &[], true);
        let asked = yard.trees_asked();
        let second = yard.build(dialect, text, &context, &[], true);
        assert_eq!(second.manifest, first.manifest);
        assert_eq!((second.used.found(), yard.trees_asked()), (3, asked), "{}", dialect.id);
    }
}

// BuildKit 26.1 fails at a link that leads nowhere below what a wildcard matches: what it leads to is no part of the key.
#[test]
fn a_link_that_by_now_leads_nowhere_fails_with_the_cache_as_it_does_without() {
    let yard = Yard::new();
    let mut context = tree(&[("d/f", "1"), ("other", "2")]);
    let link = (Kind::Symlink(b"../other".to_vec()), Meta::new(0o777, Mtime::secs(9)));
    context.insert(&At::from("d/l"), link.0, link.1);
    let dialect = DIALECTS.iter().find(|dialect| dialect.id == "buildkit@26.1").unwrap();
    let build = |context: &Tree| yard.try_build(dialect, "FROM base\nCOPY d* other* /x/\n", context);
    assert!(build(&context).is_ok());
    assert_eq!(build(&context).unwrap().used.found(), 1);
    context.remove(&At::from("other"));
    let why = build(&context).err().unwrap();
    assert!(why.contains("it is not in the build context"), "{why}");
}

#[test]
fn what_a_step_does_not_use_does_not_keep_it_from_being_found() {
    let yard = Yard::new();
    let dialect = DIALECTS[3];
    let before = tree(&[("a", "1"), ("d/b", "2"), ("d/c", "3"), ("other", "x")]);
    let after = tree(&[("a", "1"), ("d/b", "2"), ("d/c", "3"), ("other", "y"), ("new", "z")]);
    yard.build(dialect, DOCKERFILE, &before, &[], true);
    let labelled = DOCKERFILE.replace("l=1", "l=2");
    let second = yard.build(dialect, &labelled, &after, &[], true);
    assert_eq!(second.used.found(), second.used.looked.len(), "{:?}", second.used);
    assert_eq!(second.manifest, yard.build(dialect, &labelled, &after, &[], false).manifest);
}

#[test]
fn each_change_that_shows_keeps_exactly_the_steps_it_shows_in_from_being_found() {
    let dialect = DIALECTS[3];
    let base = [("a", "1"), ("d/b", "2"), ("d/c", "3")];
    let mut renamed = tree(&base);
    renamed.remove(&"d/c".into());
    renamed.insert(&"d/e".into(), file("3", 0o644, 0).0, file("3", 0o644, 0).1);
    let mut touched = tree(&base);
    touched.meta_mut(&"a".into()).unwrap().mtime = samebuild_image::Mtime::secs(77);
    let mut changed = tree(&base);
    changed.meta_mut(&"d/c".into()).unwrap().mode = 0o755;
    let mut linked = tree(&base);
    linked.link(&"d/c".into(), &"d/b".into());
    let mut marked = tree(&base);
    marked.meta_mut(&"a".into()).unwrap().xattrs.insert(b"user.m".to_vec(), b"1".to_vec());
    // What stands on a step that changed is another step.
    for (what, context, missed) in [
        ("rename", renamed, 4),
        ("touch", touched, 4),
        ("chmod", changed, 4),
        ("link", linked, 4),
        ("attribute", marked, 1),
        ("content", tree(&[("a", "0"), ("d/b", "2"), ("d/c", "3")]), 4),
    ] {
        let yard = Yard::new();
        yard.build(dialect, DOCKERFILE, &tree(&base), &[], true);
        let second = yard.build(dialect, DOCKERFILE, &context, &[], true);
        assert_eq!(second.manifest, yard.build(dialect, DOCKERFILE, &context, &[], false).manifest, "{what}");
        let carried = second.used.looked.iter().filter(|looked| looked.fate == Fate::CarriedOut).count();
        // An attribute of the context gets into no layer, so what stands on that is found again.
        assert_eq!(carried, missed, "{what}: {:?}", second.used);
    }
}

// moby/buildkit and kaniko #728, #1688: an argument that nobody sees must not count, one that is seen must.
#[test]
fn an_argument_counts_where_it_is_seen() {
    let yard = Yard::new();
    let dialect = DIALECTS[3];
    let context = tree(&[("a", "1")]);
    let text = "FROM scratch\nCOPY a /x\nARG TO=/b\nCOPY a $TO\n";
    yard.build(dialect, text, &context, &[("TO", "/c"), ("UNSEEN", "1")], true);
    let again = yard.build(dialect, text, &context, &[("TO", "/c"), ("UNSEEN", "2")], true);
    assert_eq!(again.used.found(), 2);
    let other = yard.build(dialect, text, &context, &[("TO", "/d")], true);
    assert_eq!(other.used.found(), 1, "{:?}", other.used);
    assert_eq!(other.manifest, yard.build(dialect, text, &context, &[("TO", "/d")], false).manifest);
}

#[test]
fn a_decision_of_the_dialect_counts() {
    let yard = Yard::new();
    let context = tree(&[("a", "1")]);
    let text = "FROM scratch\nCOPY a /x/\n";
    yard.build(DIALECTS[3], text, &context, &[], true);
    let mut other = DIALECTS[3].clone();
    other.set("history.chown", "glued").unwrap();
    other.set("history.chown", "spaced").unwrap();
    assert_eq!(yard.build(&other, text, &context, &[], true).used.found(), 1, "how it is told does not");
    other.set("copy.setuid", "lost").unwrap();
    assert_eq!(yard.build(&other, text, &context, &[], true).used.found(), 0);
}

#[test]
fn an_entry_that_is_too_old_is_not_found() {
    let yard = Yard::new();
    let context = tree(&[("a", "1")]);
    let text = "FROM scratch\nCOPY a /x/\n";
    yard.build(DIALECTS[3], text, &context, &[], true);
    for (later, ttl, found) in [(100, 100, 1), (101, 100, 0), (-50, 0, 1)] {
        let built = yard.build_later(DIALECTS[3], text, &context, later, ttl);
        assert_eq!(built.used.found(), found, "{later} s later");
    }
}
