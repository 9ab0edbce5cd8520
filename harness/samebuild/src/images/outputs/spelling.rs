//! How an output is written down: `KIND:PLACE`, as skopeo does (`docker://NAME` too), or `type=…,dest=…`, as buildx does.

/// Kind and place.
pub(super) fn read(text: &str) -> Result<(String, String), String> {
    if text.starts_with("type=") || text.contains(",type=") {
        return pairs(text);
    }
    for scheme in ["docker://", "registry://"] {
        if let Some(name) = text.strip_prefix(scheme) {
            return Ok(("registry".to_owned(), name.to_owned()));
        }
    }
    let (kind, place) = text.split_once(':').unwrap_or((text, ""));
    Ok((kind.to_owned(), place.to_owned()))
}

fn pairs(text: &str) -> Result<(String, String), String> {
    let wrong = |why: String| Err(format!("understand --output {text}: {why}"));
    let (mut kind, mut dest, mut name) = ("", "", "");
    let (mut tar, mut push) = (true, false);
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "type" => kind = value,
            "dest" => dest = value,
            "name" => name = value,
            "tar" | "push" if !["true", "false"].contains(&value) => {
                return wrong(format!("{key} is true or false, not `{value}`"));
            }
            "tar" => tar = value == "true",
            "push" => push = value == "true",
            _ => return wrong(format!("`{key}` is not known; accepted: type, dest, name, tar, push")),
        }
    }
    let (kind, place) = match kind {
        "oci" if tar => ("oci-archive", dest),
        "oci" => ("oci", dest),
        "docker" if dest.is_empty() => ("engine", name),
        "docker" => ("docker-archive", dest),
        "registry" => ("registry", name),
        "image" if push => ("registry", name),
        "image" => ("store", name),
        other => {
            return wrong(format!("type `{other}` is not known; accepted: oci, docker, registry, image"));
        }
    };
    Ok((kind.to_owned(), place.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same_places() {
        for (text, kind, place) in [
            ("oci:a/b", "oci", "a/b"),
            ("docker-archive:x.tar", "docker-archive", "x.tar"),
            ("docker://localhost:5000/a:1", "registry", "localhost:5000/a:1"),
            ("registry:localhost:5000/a:1", "registry", "localhost:5000/a:1"),
            ("engine", "engine", ""),
            ("type=oci,dest=x.tar", "oci-archive", "x.tar"),
            ("type=oci,tar=false,dest=d", "oci", "d"),
            ("type=docker,dest=x.tar", "docker-archive", "x.tar"),
            ("type=docker", "engine", ""),
            ("type=image,name=r/a,push=true", "registry", "r/a"),
            ("dest=x.tar,type=oci", "oci-archive", "x.tar"),
        ] {
            assert_eq!(read(text), Ok((kind.to_owned(), place.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_with_what_is() {
        for (text, part) in [
            ("type=local,dest=d", "accepted: oci, docker"),
            ("type=oci,dst=d", "accepted: type, dest"),
            ("type=oci,tar=yes", "true or false"),
        ] {
            assert!(read(text).is_err_and(|why| why.contains(part)), "{text}");
        }
    }
}
