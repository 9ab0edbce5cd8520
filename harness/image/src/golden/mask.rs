//! Ids, pointers and machine paths inside texts. Each is a rule with its reason; none looks at a case.

/// Masks what a builder's message says about this run: digests, ids, pointers, where the root file system was mounted.
///
/// `paths` are this machine's, longest first, with the name each gets: `("/home/me/case/context", "<context>")`.
pub fn message(text: &str, paths: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (path, name) in paths {
        if !path.is_empty() {
            text = text.replace(path, name);
        }
    }
    words(&mounts(&digests(&unreachable(&ports(&text)))))
}

/// `127.0.0.1:<digits>` → `127.0.0.1:<port>`: what serves a case listens where the system lets it.
pub(super) fn ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut pieces = text.split(HOST);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(HOST);
        out.push_str(if digits > 0 { "<port>" } else { "" });
        out.push_str(&piece[digits..]);
    }
    out
}

/// What history says of a build's sources: hashes of what was copied, ports of servers.
pub(super) fn told(text: &str) -> String {
    ports(&copied(text))
}

/// How far a look-up at a registry got depends on the machine's network, not on the builder: from `Get "https://…` or
/// `dial tcp` on, all of it is `<registry not reachable>`.
fn unreachable(text: &str) -> String {
    let starts = ["Get \"http", "Head \"http", "failed to do request:", "dial tcp"];
    match starts.iter().filter_map(|start| text.find(start)).min() {
        Some(at) => format!("{}<registry not reachable>", &text[..at]),
        None => text.to_owned(),
    }
}

/// `sha256:<64 hexadecimal digits>` → `<digest>`.
pub(super) fn digests(text: &str) -> String {
    tagged(text, &["sha256:"], "", "<digest>")
}

/// The hash in classic's `COPY file:<hash> in /x`, also `dir:` and `multi:`: it names the sent bytes, as an id does, and
/// covers tar headers that belong to the client. No separator stands before it after `--chown=app:appg`.
pub(super) fn copied(text: &str) -> String {
    let text = tagged(text, &["file:"], "file:", "<id>");
    let text = tagged(&text, &["dir:"], "dir:", "<id>");
    fetched(&tagged(&text, &["multi:"], "multi:", "<id>"))
}

/// The hash in classic's `ADD <hash> in /x` of what was fetched: no word before it, and after `--chown=55:66` no separator.
fn fetched(text: &str) -> String {
    const ADD: &str = "#(nop) ADD ";
    let hash = text.find(ADD).and_then(|add| {
        let end = add + text[add..].find(" in ")?;
        let start = end.checked_sub(64).filter(|start| *start >= add + ADD.len())?;
        is_long_id(text.get(start..end)?).then_some((start, end))
    });
    hash.map_or_else(|| text.to_owned(), |(start, end)| format!("{}<id>{}", &text[..start], &text[end..]))
}

/// Whether this is an image's or container's id, long, short, or as a digest.
pub(super) fn is_id(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    (hex.len() == 64 || hex.len() == 12) && hex.bytes().all(is_hex)
}

/// Whether this is a host name that an engine took from a container's id.
pub(super) fn is_container_hostname(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(is_hex)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Replaces each of `tags` and the 64 digits after it by `kept` and `mask`.
fn tagged(text: &str, tags: &[&str], kept: &str, mask: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'next: while !rest.is_empty() {
        for tag in tags {
            if let Some(after) = rest.strip_prefix(tag)
                && after.bytes().take_while(|b| is_hex(*b)).count() == 64
            {
                out.push_str(kept);
                out.push_str(mask);
                rest = &after[64..];
                continue 'next;
            }
        }
        let step = rest.chars().next().map_or(1, char::len_utf8);
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    out
}

/// Everything of an absolute path down to the root file system of a build → `<rootfs>`: overlay's `…/ID/merged`,
/// a snapshot's `…/snapshots/N/fs`, BuildKit's and containerd's temporary mounts; down to the context that classic
/// unpacked → `<context>`.
fn mounts(text: &str) -> String {
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | ',' | ')' | '(' | '[' | ']' | '=');
    pieces(text, ends, |path| {
        let parts: Vec<&str> = path.split('/').collect();
        if !path.starts_with('/') {
            return None;
        }
        let (last, name) = (1..parts.len()).rev().find_map(|n| Some((n, mount(&parts[..=n])?)))?;
        let rest: String = parts[last + 1..].iter().flat_map(|part| ["/", part]).collect();
        Some(format!("{name}{rest}"))
    })
}

/// What lies at this path, if its last component is where an engine mounts or unpacks things.
fn mount(parts: &[&str]) -> Option<&'static str> {
    let temporary = |name: &str| parts.last()?.strip_prefix(name).filter(|rest| is_number(rest));
    if temporary("buildkit-mount").or_else(|| temporary("containerd-mount")).is_some() {
        return Some("<rootfs>");
    }
    if temporary("docker-builder").is_some() {
        return Some("<context>");
    }
    match parts {
        [.., "cachemounts", id] if id.strip_prefix("buildkit").is_some_and(is_number) => Some("<rootfs>"),
        [.., "snapshots", id, "fs"] if is_number(id) => Some("<rootfs>"),
        [.., id, "merged" | "diff" | "rootfs"] if is_long_id(id) || is_buildkit_ref(id) => Some("<rootfs>"),
        _ => None,
    }
}

/// Words that are an id or a pointer.
fn words(text: &str) -> String {
    pieces(
        text,
        |c| !c.is_ascii_alphanumeric(),
        |word| {
            if is_long_id(word) || is_buildkit_ref(word) {
                return Some("<id>".to_owned());
            }
            let pointer = word.strip_prefix("0x").is_some_and(|n| n.len() >= 8 && n.bytes().all(is_hex));
            pointer.then(|| "0x<ptr>".to_owned())
        },
    )
}

/// BuildKit's references: 25 digits to the base 36.
fn is_buildkit_ref(word: &str) -> bool {
    word.len() == 25
        && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        && word.bytes().any(|b| b.is_ascii_digit())
}

fn is_long_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_hex)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Cuts `text` where `ends` says and lets `change` replace the pieces.
fn pieces(text: &str, ends: impl Fn(char) -> bool, change: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(&ends) {
        let end = piece.chars().next_back().filter(|c| ends(*c)).map_or(0, char::len_utf8);
        let (word, end) = piece.split_at(piece.len() - end);
        match change(word) {
            Some(other) => out.push_str(&other),
            None => out.push_str(word),
        }
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "cf983b89e4fdb9856cb682f022744232c68f3ae9643f77a7dfc1b76780f6e33b";

    #[test]
    fn the_hash_of_a_classic_copy_is_masked_even_without_a_separator() {
        let masked = copied(&format!("#(nop) COPY --chown=app:appgdir:{HASH} in /n1/n2/ "));
        assert_eq!(masked, "#(nop) COPY --chown=app:appgdir:<id> in /n1/n2/ ");
        let longer = format!("file:{HASH}0");
        assert_eq!(copied(&longer), longer);
        let fetched = format!("/bin/sh -c #(nop) ADD --chown=55:66{HASH} in /n1/ ");
        assert_eq!(copied(&fetched), "/bin/sh -c #(nop) ADD --chown=55:66<id> in /n1/ ");
    }

    #[test]
    fn the_port_of_a_server_is_the_systems_choice() {
        let masked = told("ADD http://127.0.0.1:41231/a http://127.0.0.1:/b /x # buildkit");
        assert_eq!(masked, "ADD http://127.0.0.1:<port>/a http://127.0.0.1:/b /x # buildkit");
    }

    #[test]
    fn messages_lose_ids_digests_pointers_and_mounts() {
        let told = [
            (
                format!("mkdir /var/lib/docker/overlay2/{HASH}/merged/real/basefile: not a directory"),
                "mkdir <rootfs>/real/basefile: not a directory",
            ),
            (
                "cannot replace to directory /var/lib/docker/tmp/buildkit-mount3141592/real with file"
                    .to_owned(),
                "cannot replace to directory <rootfs>/real with file",
            ),
            (
                "checksum of ref n2vk9dq0v9e0mj7xj3m8z0f4q::k2vk9dq0v9e0mj7xj3m8z0f4q: \"/nope\": not found"
                    .to_owned(),
                "checksum of ref <id>::<id>: \"/nope\": not found",
            ),
            (
                format!("pull x@sha256:{HASH}: no; Next:0xc000123456 {HASH}"),
                "pull x@<digest>: no; Next:0x<ptr> <id>",
            ),
            ("lstat /here/ctx/nope: no such file".to_owned(), "lstat <context>/nope: no such file"),
            ("open /var/lib/docker/tmp/docker-builder123/nope: no".to_owned(), "open <context>/nope: no"),
            ("stat /x/snapshots/12/fs/real: no".to_owned(), "stat <rootfs>/real: no"),
            ("open /srv/merged/fs: no".to_owned(), "open /srv/merged/fs: no"),
        ];
        for (said, expected) in told {
            assert_eq!(message(&said, &[("/here/ctx", "<context>")]), expected);
        }
    }
}
