//! Names of images: `alpine` is `docker.io/library/alpine:latest`, wherever it is said. The grammar is the one of the
//! OCI distribution specification, spelled out: the expression `oci_client` compiles for it takes longer than a small build.

use oci_client::Reference;

const HUB: &str = "docker.io";

/// A name as registries take it.
///
/// # Errors
/// It is none; the text says what one looks like.
pub fn parse(name: &str) -> Result<Reference, String> {
    reference(name).map_err(|why| {
        format!("`{name}` is no name of an image ({why}); accepted: [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST], in lower case")
    })
}

/// One spelling for all names of the same image; what is no name stays as it is.
#[must_use]
pub fn whole(name: &str) -> String {
    reference(name).map_or_else(|_| name.to_owned(), |reference| reference.whole())
}

fn reference(text: &str) -> Result<Reference, &'static str> {
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    let (host, repository) = split_host(path);
    // What cannot be a host, as `a_b.c` cannot, Docker and the registry client take where a repository could have it.
    if !host.is_none_or(|host| is_host(host) || is_component(host))
        || !repository.split('/').all(is_component)
    {
        return Err("invalid reference format");
    }
    if !tag.is_none_or(is_tag) {
        return Err("invalid tag");
    }
    if !digest.is_none_or(is_digest) {
        return Err("invalid digest");
    }
    let (registry, repository) = match host {
        None | Some("index.docker.io" | HUB) if !repository.contains('/') => {
            (HUB, format!("library/{repository}"))
        }
        None | Some("index.docker.io") => (HUB, repository.to_owned()),
        Some(host) => (host, repository.to_owned()),
    };
    // As many characters as Docker takes.
    if repository.len() > 255 {
        return Err("a repository name has at most 255 characters");
    }
    let registry = registry.to_owned();
    Ok(match (tag.map(str::to_owned), digest.map(str::to_owned)) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(registry, repository, tag, digest),
        (None, Some(digest)) => Reference::with_digest(registry, repository, digest),
        (tag, None) => Reference::with_tag(registry, repository, tag.unwrap_or_else(|| "latest".to_owned())),
    })
}

/// A first component is a host where it looks like one.
fn split_host(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, path),
    }
}

/// A host may have capitals and a port, or be an address of IPv6 in brackets.
fn is_host(text: &str) -> bool {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_name = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    is_port(port) && host.split('.').all(is_name)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(is_plain) && text.bytes().last().is_some_and(is_plain);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends && separators
        .into_iter()
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// One that registries can be asked for: an algorithm they know, and as many hexadecimal digits as it has.
fn is_digest(text: &str) -> bool {
    let digits = match text.split_once(':') {
        Some(("sha256", digits)) if digits.len() == 64 => digits,
        Some(("sha384", digits)) if digits.len() == 96 => digits,
        Some(("sha512", digits)) if digits.len() == 128 => digits,
        _ => return false,
    };
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a registry's host is this machine itself, where Docker speaks plain HTTP too.
#[must_use]
pub fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_one_name_however_it_is_spelled() {
        for name in ["alpine", "alpine:latest", "docker.io/alpine", "docker.io/library/alpine:latest"] {
            assert_eq!(whole(name), "docker.io/library/alpine:latest", "{name}");
        }
        assert_eq!(whole("localhost:5000/a/b:1"), "localhost:5000/a/b:1");
        assert_eq!(whole("Not A Name"), "Not A Name");
    }

    #[test]
    fn what_is_no_name_says_what_one_is() {
        for name in ["UPPER", "a b", "", "a@sha256:12", "a:"] {
            assert!(parse(name).is_err_and(|why| why.contains("accepted:")), "{name}");
        }
    }

    /// What `docker tag` of 26.1 takes for a host, and what it refuses. It takes `Abc/x` too, which 20.10 refuses and
    /// which is mostly a slip of the pen.
    #[test]
    fn hosts_are_told_from_repositories_as_docker_tells_them() {
        for (name, host) in [
            ("a.a_0/0", "a.a_0"), // origin: the property below
            ("a.b__c/d", "a.b__c"),
            ("a--b.c/x", "a--b.c"),
            ("[::1]/x", "[::1]"),
            ("[::1]:5000/a", "[::1]:5000"),
        ] {
            assert_eq!(parse(name).map(|name| name.registry().to_owned()), Ok(host.to_owned()), "{name}");
        }
        for name in [
            "a._0/0",
            "Abc",
            "A_b/x",
            "Abc/x",
            "a-.c/x",
            "a.B_c/x",
            "a_b:5000/x",
            "a.b___c/d",
            "index.docker.io/Abc/x",
        ] {
            assert!(parse(name).is_err(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn names_are_read_as_the_registry_client_reads_them(
            text in "([A-Za-z0-9.-]{0,4}(:[0-9]{0,2})?/)?[a-z0-9._/-]{0,9}(:[A-Za-z0-9_.-]{0,4})?(@sha256:[0-9a-fg]{63,64})?"
        ) {
            // Theirs takes a first component with capitals that is no host for a part of the repository, which no registry
            // does.
            let theirs = Reference::try_from(text.as_str())
                .ok()
                .filter(|name| !name.repository().contains(|c: char| c.is_ascii_uppercase()))
                .map(|name| name.whole());
            proptest::prop_assert_eq!(reference(&text).ok().map(|reference| reference.whole()), theirs);
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000", "r.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["docker.io", "10.0.0.1:5000", "127.example.com", "[fe80::1]:1", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
