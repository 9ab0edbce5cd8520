//! Names of images: `alpine` is `docker.io/library/alpine:latest`, wherever it is said.

use oci_client::Reference;

/// A name as registries take it.
///
/// # Errors
/// It is none; the text says what one looks like.
pub fn parse(name: &str) -> Result<Reference, String> {
    Reference::try_from(name).map_err(|error| {
        format!("`{name}` is no name of an image ({error}); accepted: [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST], in lower case")
    })
}

/// One spelling for all names of the same image; what is no name stays as it is.
#[must_use]
pub fn whole(name: &str) -> String {
    Reference::try_from(name).map_or_else(|_| name.to_owned(), |reference| reference.whole())
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
