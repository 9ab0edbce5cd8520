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

/// `COPY d /lnk/` in BuildKit, where `/lnk` leads to `/real`; the same from Docker Engine 26.1.5 on either store.
#[test]
fn a_copied_directory_with_a_symlink_and_a_setuid_file_is_as_buildkit_wrote_it() {
    let entries = [
        dir("real", 0o755, CONTEXT),
        entry("real/lnk", Kind::Symlink(b"x".to_vec()), 0o777, CONTEXT),
        dir("real/sub", 0o700, CONTEXT),
        file("real/sub/y", "y\n", 0o644, CONTEXT),
        file("real/x", "x\n", 0o4755, CONTEXT),
    ];
    check(&entries, TarStyle::PLAIN, "5ec82cce5bedbd82487c4beff6436e7bb13708d8b47804a4dc80c167aef68cab");
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

/// `ADD x.tar /x/` of everything that is hard to write down, built by Docker Engine 20.10.24 (classic) in November 2026:
/// records for long and non-ASCII paths, big owners and a capability, devices, a split path, a name from the daemon's passwd.
#[test]
fn extended_headers_devices_and_names_are_as_docker_20_10_wrote_them() {
    let (built, old) = (1_795_227_224, 1_500_000_000);
    let (short, long, name) = ("l".repeat(99), "l".repeat(160), "n".repeat(101));
    let below = |dir: &str| file(&format!("x/{dir}/{}", "m".repeat(50)), "x", 0o644, old);
    let mut big = file("x/big", "b", 0o644, old);
    (big.meta.uid, big.meta.gid) = (3_000_000, 2_500_000);
    let mut cap = file("x/cap", "c", 0o644, old);
    let capability = [&[1, 0, 0, 2, 0, 4][..], &[0; 14]].concat();
    cap.meta.xattrs.insert(b"security.capability".to_vec(), capability);
    let mut named = file("x/who", "", 0o644, old);
    (named.meta.uid, named.meta.gid) = (33, 33);
    (named.uname, named.gname) = (b"www-data".to_vec(), b"www-data".to_vec());
    let entries = [
        dir("x", 0o755, built),
        big,
        entry("x/blk", Kind::Block { major: 300, minor: 70_000 }, 0o644, old),
        cap,
        entry("x/dev", Kind::Char { major: 5, minor: 300 }, 0o644, old),
        file("x/far", "f", 0o644, 0),
        entry("x/fifo", Kind::Fifo, 0o644, old),
        file("x/frac", "f", 0o644, old),
        file("x/hl", "x", 0o644, old),
        dir(&format!("x/{short}"), 0o755, built),
        below(&short),
        dir(&format!("x/{long}"), 0o755, built),
        below(&long),
        entry("x/ln", Kind::Symlink("t".repeat(120).into_bytes()), 0o777, old),
        entry(&format!("x/{name}"), Kind::Hardlink(At::from("x/hl")), 0o644, old),
        file("x/old", "f", 0o644, 0),
        dir("x/u", 0o755, built),
        file("x/u/spéc", "x", 0o644, old),
        named,
    ];
    check(&entries, TarStyle::TYPED, "49d35cabf0c78ea3d8f661cb52140e63a99b0d8ffa1b136cce250b2a3b09ed8c");
}

/// As the next step of the same build had it.
#[test]
fn hard_links_have_the_type_bits_of_what_they_link_to_and_whiteouts_have_none() {
    let bits = |entries: &[Entry]| {
        let mut tar = Vec::new();
        samebuild_image::layer_write::write_tar(entries, TarStyle::TYPED, &mut tar).unwrap();
        String::from_utf8(tar[tar.len() - 1536 + 100..][..7].to_vec()).unwrap()
    };
    let link = |path: &str, target: &str| entry(path, Kind::Hardlink(At::from(target)), 0o777, 0);
    let symlink = entry("s1", Kind::Symlink(b"a".to_vec()), 0o777, 0);
    assert_eq!(bits(&[symlink, link("s2", "s1")]), "0120777");
    assert_eq!(bits(&[entry("f1", Kind::Fifo, 0o644, 0), link("f2", "f1")]), "0010777");
    assert_eq!(bits(&[link("f2", "elsewhere")]), "0100777");
    assert_eq!(bits(&[file(".wh.x", "", 0o600, 0)]), "0000600");
    assert_eq!(bits(&[file("u/.wh..wh..opq", "", 0o755, 0)]), "0000755");
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
