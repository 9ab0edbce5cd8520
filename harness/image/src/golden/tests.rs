//! Printing and parsing goldens are inverses, and broken ones are refused with their line.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::at::At;
use crate::digest::Digest;
use crate::entry::Meta;
use crate::mtime::{Epoch, Mtime};

fn check(text: &str, error: Expect) {
    match Observation::parse(text) {
        Ok(parsed) => panic!("parsed: {parsed:?}"),
        Err(found) => error.assert_eq(&found.to_string()),
    }
}

/// `HEAD` and `line` as the only row of the only layer.
fn with_row(line: &str) -> String {
    format!("{HEAD}outcome: built\nbase: b (1 layer)\n\nlayer 1\n  {line}\n\nconfig\n\ntop\n\nhistory\n")
}

const HEAD: &str = "seen-by: classic@20.10\nbuilder: Docker\nplatform: linux/amd64\n";

#[test]
fn a_golden_reads_as_a_person_expects() {
    let mut odd = Meta::new(0o4755, Mtime::secs(1_262_304_000));
    (odd.uid, odd.gid) = (1000, 1001);
    odd.xattrs.insert(b"user.a b".to_vec(), b"hi".to_vec());
    odd.xattrs.insert(b"user.none".to_vec(), Vec::new());
    let now = || Meta::new(0o755, Mtime::Named(Epoch::Now));
    let known = Body::Sha256 { size: 300, digest: Digest::of(b"") };
    let rows = vec![
        Row::new("dst/", What::Dir, now()),
        Row::new("dst/a", What::File(Body::Text("hi\n".to_owned())), odd),
        Row::new("dst/big", What::File(known), now()),
        Row::new("dst/tool", What::File(Body::Base(At::from("bin/busybox"))), now()),
        Row::new("dst/env", What::File(Body::Volatile), now()),
        Row::new("dst/x y", What::Symlink(b"../a".to_vec()), Meta::new(0o777, Mtime::Named(Epoch::Now))),
        Row::new("dst/b", What::Hardlink(At::from("dst/a")), now()),
        Row::new("dst/null", What::Char { major: 1, minor: 3 }, now()),
    ];
    let object = |json: &str| serde_json::from_str::<Map<String, Value>>(json).unwrap();
    let record = Record {
        base: BaseLine { name: "samebuild.test/base:1".to_owned(), layers: 1 },
        layers: vec![
            Stratum { diff_id: None, rows },
            Stratum { diff_id: Some(Digest::of(b"")), rows: vec![] },
        ],
        config: object(r#"{"Env":["A=1"],"Cmd":null}"#),
        top: object(r#"{"os":"linux","container_config":{"User":"","Cmd":["sh"]},"a.b":{}}"#),
        history: vec![object(r#"{"comment":"c","created_by":"RUN x"}"#), object(r#"{"empty_layer":true}"#)],
    };
    let observation = Observation {
        seen_by: vec!["classic@20.10".to_owned(), "classic@26.1".to_owned()],
        builder: "Docker Engine 20.10.24+dfsg1, classic builder, overlay2".to_owned(),
        platform: "linux/amd64".to_owned(),
        outcome: Outcome::Built(record),
    };
    expect![[r#"
        seen-by: classic@20.10 classic@26.1
        builder: Docker Engine 20.10.24+dfsg1, classic builder, overlay2
        platform: linux/amd64
        outcome: built
        base: samebuild.test/base:1 (1 layer)

        layer 1
          dir      0755 0:0 now dst/
          file     4755 1000:1001 2010-01-01T00:00:00Z dst/a 3 "hi\n" xattr "user.a b" 6869 xattr user.none -
          file     0755 0:0 now dst/big 300 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
          file     0755 0:0 now dst/tool =base:/bin/busybox
          file     0755 0:0 now dst/env volatile
          symlink  0777 0:0 now "dst/x y" -> ../a
          hardlink 0755 0:0 now dst/b -> dst/a
          char     0755 0:0 now dst/null 1,3

        layer 2 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

        config
          Cmd: null
          Env: ["A=1"]

        top
          "a.b": {}
          container_config.Cmd: ["sh"]
          container_config.User: ""
          os: "linux"

        history
          1 {"created_by":"RUN x","comment":"c"}
          2 {"empty_layer":true}
    "#]]
    .assert_eq(&observation.to_string());
    assert_eq!(Observation::parse(&observation.to_string()), Ok(observation));
}

#[test]
fn a_failure_says_where_the_builder_says_so() {
    let text = format!("{HEAD}outcome: failed\nline: 2\nclass: unknown-flag\nmessage: Unknown flag: nope\n");
    let parsed = Observation::parse(&text).unwrap();
    assert_eq!(parsed.to_string(), text);
    let Outcome::Failed(failure) = parsed.outcome else { panic!("built") };
    assert_eq!((failure.step, failure.line, failure.class.as_str()), (None, Some(2), "unknown-flag"));
}

#[test]
fn broken_goldens_are_refused_with_line_and_accepted_forms() {
    check(
        "",
        expect![
            "parse the golden, line 0: expected `seen-by: …`, but the text ends; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &format!("{HEAD}outcome: maybe\n"),
        expect![
            "parse the golden, line 4: `maybe` is not an outcome; accepted: built, failed; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &with_row("fil 0644 0:0 now a 0 \"\""),
        expect![
            "parse the golden, line 8: `fil` is not a kind of entry; accepted: file, dir, symlink, hardlink, char, block, fifo; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &with_row("file 0644 0:0 now a 3 \"x\""),
        expect![
            "parse the golden, line 8: the text is 1 bytes, not 3, or not printable; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &with_row("dir 644 0:0 now a"),
        expect![
            "parse the golden, line 8: `644` is not a mode; accepted: four octal digits; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &with_row("dir 0644 0:0 yesterday a"),
        expect![
            "parse the golden, line 8: `yesterday` is not a time; accepted: base, context, sde, 0, now, or 2020-01-01T00:00:00Z; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &with_row("dir 0644 0:0 now a b"),
        expect![
            "parse the golden, line 8: `b` is too much; accepted here: `xattr NAME HEX`; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
    check(
        &format!("{}layer 2\n", with_row("dir 0755 0:0 now a")),
        expect![
            "parse the golden, line 15: `layer 2` after the end; it is written by `cargo xtask observe` or `bless`, not by hand"
        ],
    );
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z./ =\"\\\\>-]{0,12}".prop_map(String::into_bytes),
        ".{0,6}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn mtime() -> impl Strategy<Value = Mtime> {
    prop_oneof![
        (0usize..5).prop_map(|n| Mtime::Named(Epoch::NAMES[n].0)),
        (any::<i64>(), 0u32..1_000_000_000).prop_map(|(secs, nanos)| Mtime::At { secs, nanos }),
        (0i64..4_000_000_000).prop_map(Mtime::secs),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    let xattrs = prop::collection::btree_map(bytes(), bytes(), 0..3);
    (0u32..0o10000, any::<u64>(), any::<u64>(), mtime(), xattrs)
        .prop_map(|(mode, uid, gid, mtime, xattrs)| Meta { mode, uid, gid, mtime, xattrs })
}

fn body() -> impl Strategy<Value = Body> {
    let printable = |text: &String| is_printable(text) && text.len() as u64 <= Body::TEXT_MAX;
    prop_oneof![
        ".{0,40}\n?".prop_filter("printable", printable).prop_map(Body::Text),
        (any::<u64>(), bytes()).prop_map(|(size, bytes)| Body::Sha256 { size, digest: Digest::of(&bytes) }),
        bytes().prop_map(|path| Body::Base(At::clean(path))),
        Just(Body::Volatile),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        body().prop_map(What::File),
        Just(What::Dir),
        Just(What::Fifo),
        bytes().prop_map(What::Symlink),
        bytes().prop_map(|target| What::Hardlink(At::clean(target))),
        any::<(u32, u32)>().prop_map(|(major, minor)| What::Char { major, minor }),
        any::<(u32, u32)>().prop_map(|(major, minor)| What::Block { major, minor }),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((".{0,5}", inner), 0..3)
                .prop_map(|f| Value::Object(f.into_iter().collect())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof!["container_config", "[A-Za-z_.: -]{0,8}", ".{0,4}"];
    prop::collection::vec((name, json()), 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn record() -> impl Strategy<Value = Record> {
    let row = (bytes(), what(), meta()).prop_map(|(path, what, meta)| Row { path, what, meta });
    let diff_id = prop::option::of(bytes().prop_map(|bytes| Digest::of(&bytes)));
    let layer =
        (diff_id, prop::collection::vec(row, 0..4)).prop_map(|(diff_id, rows)| Stratum { diff_id, rows });
    let layers = prop::collection::vec(layer, 0..3);
    (".{0,8}", any::<u32>(), layers, fields(), fields(), prop::collection::vec(fields(), 0..3)).prop_map(
        |(name, below, layers, config, top, history)| Record {
            base: BaseLine { name, layers: below },
            layers,
            config,
            top,
            history,
        },
    )
}

fn observation() -> impl Strategy<Value = Observation> {
    let failure = (any::<Option<u32>>(), any::<Option<u32>>(), ".{0,8}", "(?s).{0,30}")
        .prop_map(|(step, line, class, message)| Failure { step, line, class, message });
    let outcome = prop_oneof![record().prop_map(Outcome::Built), failure.prop_map(Outcome::Failed)];
    (prop::collection::btree_set(".{1,8}", 0..3), ".{0,20}", ".{0,8}", outcome).prop_map(
        |(seen_by, builder, platform, outcome)| Observation {
            seen_by: seen_by.into_iter().collect(),
            builder,
            platform,
            outcome,
        },
    )
}

proptest! {
    #[test]
    fn parsing_undoes_printing(observation in observation()) {
        let text = observation.to_string();
        let parsed = Observation::parse(&text);
        prop_assert_eq!(parsed.as_ref(), Ok(&observation), "{}", text);
        prop_assert_eq!(parsed.map(|parsed| parsed.to_string()), Ok(text));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(?s)(seen-by: a\nbuilder: b\nplatform: c\noutcome: (built|failed)\n)?.{0,60}") {
        let _ = Observation::parse(&text);
    }
}
