//! Which Debian mirror this machine uses, read from its own apt configuration.
//!
//! The project names no mirror: people behind one of their own should not have to tell us twice. Both formats apt
//! has are understood (sources.list(5)); whether the mirror is honest is left to apt and the archive's signature.

use std::path::Path;

use super::error::EngineError;

/// Overrides what apt's configuration says.
pub(super) const MIRROR_VAR: &str = "SAMEBUILD_DEBIAN_MIRROR";

/// The URI under which `dists/` and `pool/` are found.
///
/// # Errors
/// Neither the variable nor `/etc/apt` names one.
pub(super) fn mirror() -> Result<String, EngineError> {
    let var = std::env::var(MIRROR_VAR).ok().filter(|uri| !uri.trim().is_empty());
    find(var.as_deref(), Path::new("/etc/apt"))
}

fn find(var: Option<&str>, etc_apt: &Path) -> Result<String, EngineError> {
    if let Some(uri) = var {
        return Ok(uri.trim().trim_end_matches('/').to_owned());
    }
    let mut entries = Vec::new();
    for (path, format) in files(etc_apt) {
        if let Ok(text) = std::fs::read_to_string(&path) {
            entries.extend(match format {
                Format::OneLine => one_line(&text),
                Format::Deb822 => deb822(&text),
            });
        }
    }
    // An entry of the archive's own name before a mirror under another one.
    entries.retain(Entry::is_debian);
    entries.sort_by_key(|entry| !entry.uri.trim_end_matches('/').ends_with("/debian"));
    entries.first().map(|entry| entry.uri.trim_end_matches('/').to_owned()).ok_or_else(|| {
        EngineError::fetch(
            "Debian packages",
            format!(
                "no Debian mirror is known: {dir}/sources.list and {dir}/sources.list.d have no entry with a Debian \
                 release and the component `main`, and {MIRROR_VAR} is not set; set it to the URI of a mirror",
                dir = etc_apt.display()
            ),
        )
    })
}

enum Format {
    OneLine,
    Deb822,
}

/// apt's own order: sources.list, then the directory by name; files of other names are not sources.
fn files(etc_apt: &Path) -> Vec<(std::path::PathBuf, Format)> {
    let mut found: Vec<_> = std::fs::read_dir(etc_apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|path| match path.extension()?.to_str()? {
            "list" => Some((path, Format::OneLine)),
            "sources" => Some((path, Format::Deb822)),
            _ => None,
        })
        .collect();
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found.insert(0, (etc_apt.join("sources.list"), Format::OneLine));
    found
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
}

impl Entry {
    /// A release of Debian's own with `main`: third parties use names such as `bookworm-pgdg` or another component.
    fn is_debian(&self) -> bool {
        const RELEASES: [&str; 12] = [
            "buster",
            "bullseye",
            "bookworm",
            "trixie",
            "forky",
            "duke",
            "sid",
            "oldoldstable",
            "oldstable",
            "stable",
            "testing",
            "unstable",
        ];
        let release = |suite: &String| {
            let name = suite.strip_suffix("-updates").unwrap_or(suite);
            RELEASES.contains(&name)
        };
        self.suites.iter().any(release)
            && self.components.iter().any(|c| c == "main")
            && !self.uri.starts_with("cdrom:")
    }
}

fn one_line(text: &str) -> Vec<Entry> {
    text.lines().filter_map(one_line_entry).collect()
}

/// `deb [option=value …] URI suite component…`
fn one_line_entry(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None; // deb-src
    }
    rest = rest.trim_start();
    if let Some(options) = rest.strip_prefix('[') {
        rest = options.split_once(']')?.1;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Entry { uri: words.next()?, suites: vec![words.next()?], components: words.collect() })
}

/// Stanzas of `Key: value`, a value going on over indented lines; comments are lines that start with `#`.
fn deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            entries.extend(stanza_entries(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn stanza_entries(stanza: &[(String, String)]) -> Vec<Entry> {
    let words = |key: &str| -> Vec<String> {
        let value = stanza.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
        value.split_whitespace().map(str::to_owned).collect()
    };
    let enabled =
        words("enabled").first().is_none_or(|word| !["no", "false", "off", "0"].contains(&word.as_str()));
    if !enabled || !words("types").iter().any(|t| t == "deb") {
        return Vec::new();
    }
    let entry = |uri| Entry { uri, suites: words("suites"), components: words("components") };
    words("uris").into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mirror found in an apt directory with these files.
    fn found(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        find(None, dir.path()).ok()
    }

    #[test]
    fn the_deb822_format_is_read_with_comments_and_continuations() {
        let text = "# made by hand\nTypes: deb deb-src\n# an old one\nURIs:\n  http://mirror.example/debian/\n\
                    Suites: bookworm\n bookworm-updates\nComponents: main\n";
        assert_eq!(
            found(&[("sources.list.d/debian.sources", text)]).unwrap(),
            "http://mirror.example/debian"
        );
    }

    #[test]
    fn the_one_line_format_is_read_with_options() {
        let text = "deb-src http://src.example/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours\n";
        assert_eq!(found(&[("sources.list", text)]).unwrap(), "http://mirror.example/debian");
    }

    #[test]
    fn third_parties_and_the_security_archive_are_not_debian() {
        let other = "deb http://apt.example/postgres bookworm-pgdg main\n\
                     deb http://docker.example/linux/debian bookworm stable\n\
                     deb http://security.example/debian-security bookworm-security main\n";
        assert_eq!(found(&[("sources.list.d/other.list", other)]), None);
        let ours = ("sources.list.d/z.list", "deb http://deb.example/mirror/debian trixie main\n");
        assert_eq!(
            found(&[("sources.list.d/other.list", other), ours]).unwrap(),
            "http://deb.example/mirror/debian"
        );
    }

    #[test]
    fn disabled_entries_and_files_of_other_names_do_not_count() {
        let off =
            "Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n";
        let bak = "deb http://bak.example/debian bookworm main\n";
        assert_eq!(found(&[("sources.list.d/a.sources", off), ("sources.list.d/b.list.bak", bak)]), None);
    }

    #[test]
    fn the_variable_wins_and_without_either_the_error_names_both() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(find(Some("http://m.example/debian/"), empty.path()).unwrap(), "http://m.example/debian");
        let error = find(None, empty.path()).unwrap_err().to_string();
        assert!(error.contains(MIRROR_VAR) && error.contains("sources.list"), "{error}");
    }
}
