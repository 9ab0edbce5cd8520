//! Whole images: views, pairing of layers, named moments, unread contents, hostile layers.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expect_test::{Expect, expect};
use samebuild_compare::{Options, compare, compare_outcome, render};
use samebuild_image::golden::Observation;
use samebuild_image::{At, Content, Digest, Entry, Epochs, Image, Kind, Layer, Meta, Mtime, Source};

fn check(left: &Image, right: &Image, options: &Options, expected: Expect) {
    expected.assert_eq(&render(&compare(left, right, options).unwrap()));
}

fn image(layers: Vec<Vec<Entry>>) -> Image {
    let layer = |entries| Layer { entries, ..Layer::default() };
    Image { layers: layers.into_iter().map(layer).collect(), ..Image::default() }
}

fn with_history(mut image: Image, said: &[&str]) -> Image {
    let entries: Vec<_> = said.iter().map(|text| serde_json::json!({ "created_by": text })).collect();
    image.config.insert("history".to_owned(), entries.into());
    image
}

fn entry(path: &str, kind: Kind) -> Entry {
    Entry::new(At::from(path), kind, Meta::new(0o644, Mtime::secs(100)))
}

fn file(path: &str, text: &str) -> Entry {
    entry(path, Kind::File(Content::inline(text.as_bytes())))
}

fn dir(path: &str) -> Entry {
    entry(path, Kind::Dir)
}

fn hardlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Hardlink(At::from(target)))
}

/// A source that counts what is read of it and, from `changed` on, has other bytes.
struct Counting {
    read: AtomicU64,
    size: u64,
    changed: u64,
}

impl Source for Counting {
    fn open(&self, offset: u64, len: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let same = io::repeat(b'a').take(self.changed.saturating_sub(offset).min(len));
        let bytes = same.chain(io::repeat(b'b')).take(len.min(self.size.saturating_sub(offset)));
        Ok(Box::new(Counted { bytes, read: &self.read }))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn name(&self) -> String {
        "counting".to_owned()
    }
}

struct Counted<'s, R> {
    bytes: R,
    read: &'s AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

const MIB: u64 = 1 << 20;

fn counting(size: u64, changed: u64) -> (Arc<Counting>, Content) {
    let source = Arc::new(Counting { read: AtomicU64::new(0), size, changed });
    (source.clone(), Content::lazy(source, 0, size))
}

#[test]
fn equal_digests_and_different_sizes_are_never_opened() {
    let (left_source, left) = counting(MIB, MIB);
    let (right_source, right) = counting(MIB, 0);
    let (odd_source, odd) = counting(MIB + 1, 0);
    let known = Digest::of(b"declared");
    let (left, right) = (left.with_digest(known), right.with_digest(known));
    let one = |content: Content| image(vec![vec![entry("a", Kind::File(content))]]);
    assert_eq!(compare(&one(left.clone()), &one(right), &Options::strict()).unwrap(), []);
    assert_eq!(compare(&one(left), &one(odd), &Options::strict()).unwrap().len(), 1);
    for source in [left_source, right_source, odd_source] {
        assert_eq!(source.read.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn contents_are_read_to_the_first_difference_only() {
    let (source, left) = counting(8 * MIB, 8 * MIB);
    let (_, right) = counting(8 * MIB, MIB);
    let one = |content: Content| image(vec![vec![entry("a", Kind::File(content))]]);
    let options = Options { rootfs: false, ..Options::strict() };
    check(
        &one(left),
        &one(right),
        &options,
        expect![[r#"
            layer 1 · /a · content: 8388608 bytes → 8388608 bytes, other bytes
        "#]],
    );
    assert!(source.read.load(Ordering::Relaxed) < 2 * MIB);
}

#[test]
fn truncated_content_is_an_error_with_its_place_not_a_difference() {
    let (_, whole) = counting(9, 9);
    let short = Content::lazy(Arc::new(Counting { read: AtomicU64::new(0), size: 5, changed: 9 }), 0, 9);
    let one = |content: Content| image(vec![vec![entry("a", Kind::File(content))]]);
    let error = compare(&one(whole), &one(short), &Options::strict()).unwrap_err().to_string();
    assert!(error.starts_with("compare layer 1 · /a: "), "{error}");
}

#[test]
fn a_difference_that_a_later_layer_covers_is_in_the_layers_only() {
    let left = image(vec![vec![file("a", "1\n")], vec![file("a", "3\n")]]);
    let right = image(vec![vec![file("a", "2\n")], vec![file("a", "3\n")]]);
    check(
        &left,
        &right,
        &Options::strict(),
        expect![[r#"
            layer 1 · /a · content: 2 "1\n" → 2 "2\n" (only in the layer, not in the rootfs)
        "#]],
    );
    assert_eq!(compare(&left, &right, &Options::rootfs()).unwrap(), []);
}

#[test]
fn an_opaque_directory_and_single_whiteouts_leave_the_same_rootfs() {
    let below = || vec![dir("d"), file("d/a", "a"), file("d/b", "b")];
    let left = image(vec![below(), vec![file("d/.wh..wh..opq", "")]]);
    let right = image(vec![below(), vec![file("d/.wh.a", ""), file("d/.wh.b", "")]]);
    assert_eq!(compare(&left, &right, &Options::rootfs()).unwrap(), []);
    check(
        &left,
        &right,
        &Options::strict(),
        expect![[r#"
            layer 2 · /d/.wh..wh..opq · paths: file 0644 0:0 1970-01-01T00:01:40Z 0 "" → absent (only in the layer, not in the rootfs)
            layer 2 · /d/.wh.a · paths: absent → file 0644 0:0 1970-01-01T00:01:40Z 0 "" (only in the layer, not in the rootfs)
            layer 2 · /d/.wh.b · paths: absent → file 0644 0:0 1970-01-01T00:01:40Z 0 "" (only in the layer, not in the rootfs)
        "#]],
    );
}

#[test]
fn a_missing_whiteout_is_one_difference_in_both_views() {
    let left = image(vec![vec![file("a", "a")], vec![file(".wh.a", "")]]);
    let right = image(vec![vec![file("a", "a")], vec![]]);
    check(
        &left,
        &right,
        &Options::strict(),
        expect![[r#"
            layer 2 · /.wh.a · paths: file 0644 0:0 1970-01-01T00:01:40Z 0 "" → absent
        "#]],
    );
}

#[test]
fn a_layer_put_in_between_does_not_shift_the_others() {
    let left = with_history(image(vec![vec![file("a", "1\n")], vec![file("c", "3\n")]]), &["A", "C"]);
    let right = image(vec![vec![file("a", "1\n")], vec![file("b", "2\n")], vec![file("c", "4\n")]]);
    let right = with_history(right, &["A", "B", "C"]);
    check(
        &left,
        &right,
        &Options::strict(),
        expect![[r#"
            image · layer_count: 2 layers → 3 layers; alone: layer 2 (1 entry)
            layer 2/3 · /c · content: 2 "3\n" → 2 "4\n"
            rootfs · /b · paths: absent → file 0644 0:0 1970-01-01T00:01:40Z 2 "2\n" (only in the rootfs, not in the layers)
            history 2 · history: absent → {"created_by":"B"}
        "#]],
    );
}

#[test]
fn hard_link_groups_are_compared_in_the_rootfs_whichever_name_came_first() {
    let left = image(vec![vec![file("a", "x"), hardlink("b", "a"), hardlink("c", "a")]]);
    let right = image(vec![vec![file("b", "x"), hardlink("a", "b"), file("c", "x")]]);
    check(
        &left,
        &right,
        &Options::rootfs(),
        expect![[r#"
            rootfs · /c · link: hard link to /a → a file of its own
        "#]],
    );
}

#[test]
fn named_moments_are_equal_whatever_the_clocks_said() {
    let at = |mtime| Entry { meta: Meta::new(0o644, mtime), ..file("a", "x") };
    let left = image(vec![vec![at(Mtime::At { secs: 50, nanos: 7 })]]);
    let right = image(vec![vec![at(Mtime::secs(1050))]]);
    let epochs = |from, to| Epochs { now: Some((from, to)), ..Epochs::default() };
    let options = Options { left: epochs(40, 60), right: epochs(1040, 1060), ..Options::strict() };
    assert_eq!(compare(&left, &right, &options).unwrap(), []);
    let literal = Options { left: epochs(40, 60), ..Options::strict() };
    check(
        &left,
        &right,
        &literal,
        expect![[r#"
            layer 1 · /a · mtime: now → 1970-01-01T00:17:30Z
        "#]],
    );
}

#[test]
fn a_replaced_kind_is_one_difference() {
    let link = Entry { meta: Meta::new(0o777, Mtime::secs(1)), ..entry("a", Kind::Symlink(b"b".to_vec())) };
    check(
        &image(vec![vec![file("a", "x")]]),
        &image(vec![vec![link]]),
        &Options::strict(),
        expect![[r#"
            layer 1 · /a · kind: file 0644 0:0 1970-01-01T00:01:40Z 1 "x" → symlink 0777 0:0 1970-01-01T00:00:01Z -> b
        "#]],
    );
}

#[test]
fn duplicate_entries_are_held_against_their_own_kind() {
    let left = image(vec![vec![file("a", "1"), file("a", "2")]]);
    let right = image(vec![vec![file("a", "2")]]);
    check(
        &left,
        &right,
        &Options::strict(),
        expect![[r#"
            layer 1 · /a · duplicate: again: file 0644 0:0 1970-01-01T00:01:40Z 1 "2" → not again (only in the layer, not in the rootfs)
            layer 1 · /a · content: 1 "1" → 1 "2" (only in the layer, not in the rootfs)
        "#]],
    );
}

#[test]
fn hostile_layers_are_compared_not_refused() {
    let hostile = |target: &str| {
        image(vec![vec![
            hardlink("dangling", target),
            entry("l1", Kind::Symlink(b"l2".to_vec())),
            entry("l2", Kind::Symlink(b"l1".to_vec())),
            file("l1/x", ""),
            file("l1/.wh.y", ""),
            file(".wh..wh.plnk", ""),
            entry("", Kind::Dir),
            file("d/f", ""),
            hardlink("to-dir", "d"),
        ]])
    };
    assert_eq!(compare(&hostile("nowhere"), &hostile("nowhere"), &Options::strict()).unwrap(), []);
    check(
        &hostile("nowhere"),
        &hostile("elsewhere"),
        &Options::strict(),
        expect![[r#"
            layer 1 · /dangling · link: hard link to /nowhere → hard link to /elsewhere
        "#]],
    );
}

#[test]
fn with_the_base_at_hand_a_directory_that_did_not_change_is_the_same() {
    let base = image(vec![vec![dir("etc"), file("etc/x", "x\n"), file("etc/y", "y\n")]]);
    let on_base = |rows: &str| {
        let text = format!(
            "seen-by: a\nbuilder: b\nplatform: c\noutcome: built\nbase: base (1 layer)\nlayer 1\n{rows}config\ntop\nhistory\n"
        );
        Observation::parse(&text).unwrap()
    };
    let touched = on_base(
        "  dir 0644 0:0 1970-01-01T00:01:40Z etc/\n  file 0644 0:0 1970-01-01T00:01:40Z etc/.wh.x 0 \"\"\n",
    );
    let left = on_base("  file 0644 0:0 1970-01-01T00:01:40Z etc/.wh.x 0 \"\"\n");
    let known = Options { base: Some(Arc::new(base)), ..Options::rootfs() };
    assert_eq!(compare_outcome(&left, &touched, &known).unwrap(), []);
    let unknown = compare_outcome(&left, &touched, &Options::rootfs()).unwrap();
    expect![[r#"
        rootfs · /etc · paths: as in the base → dir 0644 0:0 1970-01-01T00:01:40Z
    "#]]
    .assert_eq(&render(&unknown));
}
