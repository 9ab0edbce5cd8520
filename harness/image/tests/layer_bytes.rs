//! Layers written byte for byte as real builders wrote them: the digests below are those of images that Docker Engine
//! 20.10.24 (classic builder), BuildKit 73ed6825 (August 2026) and the BuildKit in Docker Engine 26.1.5 made.

use samebuild_image::layer_write::{Written, write};
use samebuild_image::{At, Compression, Content, Entry, Kind, Meta, Mtime, TarStyle};

const BASE: i64 = 1_577_836_800;
const CONTEXT: i64 = 1_609_459_200;

fn entry(path: &str, kind: Kind, mode: u32, secs: i64) -> Entry {
    Entry::new(At::from(path), kind, Meta::new(mode, Mtime::secs(secs)))
}

fn dir(path: &str, mode: u32, secs: i64) -> Entry {
    entry(path, Kind::Dir, mode, secs)
}

fn file(path: &str, text: &str, mode: u32, secs: i64) -> Entry {
    entry(path, Kind::File(Content::inline(text.as_bytes())), mode, secs)
}

fn written(entries: &[Entry], style: TarStyle) -> Written {
    write(entries, style, Compression::None, std::io::sink()).unwrap()
}

#[track_caller]
fn check(entries: &[Entry], style: TarStyle, diff_id: &str) {
    assert_eq!(written(entries, style).diff_id.to_string(), format!("sha256:{diff_id}"));
}

#[test]
fn the_empty_layer_is_1024_zero_bytes() {
    let empty = written(&[], TarStyle::PLAIN);
    assert_eq!(empty.size, 1024);
    check(&[], TarStyle::PLAIN, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
    check(&[], TarStyle::TYPED, "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

/// `COPY d /dst` in BuildKit, on either store.
#[test]
fn a_copied_directory_with_a_symlink_and_a_setuid_file_is_as_buildkit_wrote_it() {
    let entries = |root: &str| {
        let at = |name: &str| format!("{root}/{name}");
        vec![
            dir(root, 0o755, CONTEXT),
            entry(&at("lnk"), Kind::Symlink(b"x".to_vec()), 0o777, CONTEXT),
            dir(&at("sub"), 0o700, CONTEXT),
            file(&at("sub/y"), "y\n", 0o644, CONTEXT),
            file(&at("x"), "x\n", 0o4755, CONTEXT),
        ]
    };
    let real = "5ec82cce5bedbd82487c4beff6436e7bb13708d8b47804a4dc80c167aef68cab";
    check(&entries("real"), TarStyle::PLAIN, real);
}

/// `RUN mv /withfile /moved` in BuildKit: a hard link, and a whiteout with neither mode nor time.
#[test]
fn a_renamed_directory_with_a_hard_link_and_a_whiteout_is_as_buildkit_wrote_it() {
    let entries = [
        dir("moved", 0o755, BASE),
        file("moved/a", "one\n", 0o644, BASE),
        entry("moved/a-hard", Kind::Hardlink(At::from("moved/a")), 0o644, BASE),
        file("moved/b", "two\n", 0o644, BASE),
        file(".wh.withfile", "", 0, 0),
    ];
    check(&entries, TarStyle::PLAIN, "c64ba864bcb7f04e253eaa68b9c3ddfa98e591babd80e72803f2cdafbd54bc53");
}

#[test]
fn copied_directories_are_as_docker_20_10_wrote_them_with_types_and_root_by_name() {
    let entries = [
        dir("home", 0o755, CONTEXT),
        dir("home/app", 0o755, CONTEXT),
        file("home/app/k", "k\n", 0o644, CONTEXT),
        dir("real", 0o700, CONTEXT),
        file("real/n", "n\n", 0o644, CONTEXT),
    ];
    check(&entries, TarStyle::TYPED, "cd1330b0762ca7878164beca291045c235bc75457a17c0c505b93f8dabd531bb");
}

/// `RUN touch -d "2001-01-01 00:00:00" /real/basefile`.
#[test]
fn a_touched_file_is_as_docker_20_10_wrote_it() {
    let entries = [dir("real", 0o755, BASE), file("real/basefile", "base\n", 0o644, 978_307_200)];
    check(&entries, TarStyle::TYPED, "7bbba7e4072dc3594ac02f04c4de10f03efe2c4b06bce66b8edc8bfd6776bf7c");
}

#[test]
fn one_file_differs_between_the_two_in_its_header_only() {
    let entries = [file("a", "a\n", 0o644, CONTEXT)];
    check(&entries, TarStyle::TYPED, "ba14b9a74e8821ab2cf2ce5cba0c153bb5efbeac93e043f9c30127ecdf67caea");
    assert_ne!(written(&entries, TarStyle::PLAIN).diff_id, written(&entries, TarStyle::TYPED).diff_id);
}

#[test]
fn a_compressed_layer_has_both_digests() {
    let entries = [file("a", "a\n", 0o644, CONTEXT)];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut blob = Vec::new();
        let packed = write(&entries, TarStyle::PLAIN, compression, &mut blob).unwrap();
        assert_eq!(packed.diff_id, written(&entries, TarStyle::PLAIN).diff_id);
        assert_eq!(packed.blob_digest, samebuild_image::Digest::of(&blob));
        assert_eq!(packed.blob_size, blob.len() as u64);
    }
}

#[test]
fn what_a_tar_cannot_hold_is_an_error_that_names_the_entry() {
    let nul = Entry { raw: Some(b"a\0b".to_vec()), ..file("a", "", 0o644, 0) };
    let golden =
        Entry { meta: Meta::new(0, Mtime::Named(samebuild_image::Epoch::Now)), ..file("b", "", 0, 0) };
    let device = entry("c", Kind::Char { major: u32::MAX, minor: 0 }, 0o600, 0);
    let unknown = Content::known(samebuild_image::Digest::of(b"x"), 1);
    let unread = entry("d", Kind::File(unknown), 0o644, 0);
    for (entry, place) in [(nul, "/a"), (golden, "/b"), (device, "/c"), (unread, "/d")] {
        let error = write([&entry], TarStyle::PLAIN, Compression::None, std::io::sink()).unwrap_err();
        assert!(error.to_string().contains(&format!("entry {place}:")), "{error}");
    }
}
