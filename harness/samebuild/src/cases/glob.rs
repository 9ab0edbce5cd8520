//! Globs over files: Go's patterns within a component, `**` for any number of directories. What is found is sorted.

use std::io;
use std::path::{Path, PathBuf};

use samebuild_dockerfile::glob::{BadPattern, go_match, has_meta};

/// Whether `glob` matches the whole of `path`; one without a slash matches the last component.
///
/// # Errors
/// The glob is malformed.
pub(crate) fn matches(glob: &str, path: &str) -> Result<bool, BadPattern> {
    let parts: Vec<&str> = path.split('/').collect();
    if !glob.contains('/') {
        return go_match(glob, parts.last().copied().unwrap_or_default());
    }
    let patterns: Vec<&str> = glob.split('/').collect();
    // Mistakes are told whatever the path is.
    patterns.iter().try_for_each(|pattern| go_match(pattern, "").map(drop))?;
    fit(&patterns, &parts)
}

fn fit(patterns: &[&str], parts: &[&str]) -> Result<bool, BadPattern> {
    match (patterns.split_first(), parts.split_first()) {
        (None, None) => Ok(true),
        (Some((&"**", rest)), _) => {
            for taken in 0..=parts.len() {
                if fit(rest, &parts[taken..])? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Some((pattern, patterns)), Some((part, parts))) => {
            Ok(go_match(pattern, part)? && fit(patterns, parts)?)
        }
        _ => Ok(false),
    }
}

/// The files that `glob` matches, from the current directory or, if it begins with a slash, from the root; sorted. `**`
/// does not enter hidden directories, and follows no symbolic link.
///
/// # Errors
/// The glob is malformed, or a directory that it leads through cannot be read.
pub(super) fn files(glob: &str) -> io::Result<Vec<PathBuf>> {
    let mut places: Vec<PathBuf> = vec![if glob.starts_with('/') { "/".into() } else { PathBuf::new() }];
    let patterns: Vec<&str> = glob.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for (index, pattern) in patterns.iter().enumerate() {
        let is_last = index + 1 == patterns.len();
        let mut next = Vec::new();
        for place in &places {
            match *pattern {
                "**" => below(place, &mut next)?,
                pattern if !has_meta(pattern) => next.push(place.join(pattern)),
                pattern => {
                    for name in names(place)? {
                        let bad = |error: BadPattern| io::Error::new(io::ErrorKind::InvalidInput, error);
                        if go_match(pattern, &name).map_err(bad)? {
                            next.push(place.join(name));
                        }
                    }
                }
            }
        }
        next.retain(
            |path| if is_last { path.is_file() } else { path.is_dir() || path.as_os_str().is_empty() },
        );
        next.sort();
        next.dedup();
        places = next;
    }
    Ok(places)
}

/// `dir` itself and every directory below it.
fn below(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    found.push(dir.to_owned());
    for name in names(dir)? {
        let path = dir.join(&name);
        if !name.starts_with('.') && std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            below(&path, found)?;
        }
    }
    Ok(())
}

/// The names in a directory; those that are no text match nothing.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = std::fs::read_dir(dir)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))?;
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_without_a_slash_is_about_the_name_and_one_with_about_the_path() {
        for (glob, path, is_match) in [
            ("Dockerfile_*", "integration/dockerfiles/Dockerfile_a", true),
            ("Dockerfile_*", "Dockerfile_a/x", false),
            ("a/*", "a/x", true),
            ("a/*", "a/b/x", false),
            ("a/**", "a/b/x", true),
            ("**/x", "x", true),
            ("a/**/x", "a/x", true),
            ("a/**/x", "a/b/c/x", true),
            ("a/**/x", "b/x", false),
            ("Dockerfile.[ab]", "d/Dockerfile.b", true),
        ] {
            assert_eq!(matches(glob, path).unwrap(), is_match, "{glob} {path}");
        }
        assert!(matches("a/[", "b/c").is_err());
    }

    #[test]
    fn files_are_found_in_order_and_directories_are_none() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["bud/b/Dockerfile", "bud/a/Dockerfile", "bud/a/x", "bud/.git/Dockerfile", "bud/c/d/Dockerfile"]
        {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = dir.path().to_str().unwrap();
        let found = |glob: &str| -> Vec<String> {
            let files = files(&format!("{root}/{glob}")).unwrap();
            files.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
        };
        assert_eq!(
            found("bud/*/Dockerfile"),
            ["bud/.git/Dockerfile", "bud/a/Dockerfile", "bud/b/Dockerfile"]
        );
        assert_eq!(
            found("bud/**/Dockerfile"),
            ["bud/a/Dockerfile", "bud/b/Dockerfile", "bud/c/d/Dockerfile"]
        );
        assert_eq!(found("bud/*"), [""; 0]);
        assert_eq!(found("bud/a/x"), ["bud/a/x"]);
    }
}
