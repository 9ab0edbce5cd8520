//! Debian packages, fetched and unpacked into the cache without installing anything.
//!
//! `apt-get download` brings them, checked against the signed index of one release; how apt is kept away from the
//! machine's own state is told in `apt.rs`. A package once unpacked is used without a network from then on; which
//! Debian revision that was is recorded beside it.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Progress;
use super::apt::{Apt, run};
use super::apt_sources;
use super::cache::Lock;
use super::error::{EngineError, IoContext};

/// What may vary is the Debian revision: `upstream` 1.1.5 matches `1.1.5+ds1-1+deb12u1`, not `1.1.50-1`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagePin {
    pub name: String,
    /// Debian's code name, e.g. `bookworm`.
    pub release: String,
    /// The upstream version without epoch and repacking suffix, e.g. `20.10.24`.
    pub upstream: String,
}

/// An unpacked package; all but the place is in `package.json` beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub release: String,
    /// Debian's full version, epoch and revision included.
    pub version: String,
    /// Of the `.deb`, in hexadecimal, equal to what the signed index says.
    pub sha256: String,
    /// Names of the packages it depends on, alternatives included, in the order of the index.
    pub depends: Vec<String>,
    /// Where its files are, as under `/`.
    #[serde(skip)]
    pub root: PathBuf,
}

/// A Debian release as a source of packages, over a cache directory. Locks out other processes while it lives.
pub struct Debian<'a> {
    dir: PathBuf,
    release: String,
    apt: Apt,
    progress: Progress<'a>,
    updated: Cell<bool>,
    _lock: Lock,
}

/// Directories that are not packages yet.
const NEW: &str = ".new-";

impl<'a> Debian<'a> {
    /// `cache` as [`super::cache_dir`] gives it. Needs no network yet.
    ///
    /// # Errors
    /// `release` is not a plain word, or the directory cannot be made or locked.
    pub fn new(cache: &Path, release: &str, progress: Progress<'a>) -> Result<Self, EngineError> {
        if release.is_empty() || !release.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(EngineError::fetch(
                format!("from Debian `{release}`"),
                "that is not the name of a release",
            ));
        }
        let dir = cache.join("debian").join(release);
        let lock = Lock::take(&dir, progress)?;
        Ok(Self {
            apt: Apt::new(dir.join("apt")),
            dir,
            release: release.to_owned(),
            progress,
            updated: Cell::new(false),
            _lock: lock,
        })
    }

    /// The package of this name whose upstream version is `upstream` (any, if `None`): from the cache, else from
    /// the archive.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] when a program (apt, dpkg), the keyring, the mirror or the network is missing, or when
    /// the archive has another upstream version.
    pub fn package(&self, name: &str, upstream: Option<&str>) -> Result<Package, EngineError> {
        if let Some(package) = self.unpacked(name, upstream) {
            return Ok(package);
        }
        self.update()?;
        let offered = self.offered(name)?;
        let matching = offered.iter().find(|o| upstream.is_none_or(|pin| is_upstream(&o.version, pin)));
        let chosen = matching.ok_or_else(|| {
            let versions: Vec<_> = offered.iter().map(|o| o.version.as_str()).collect();
            let versions = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
            EngineError::fetch(
                format!("Debian's {name} {}", upstream.unwrap_or_default()),
                format!("the archive has in {}: {versions}; adapt the pin to what it has", self.release),
            )
        })?;
        self.download(name, chosen)
    }

    /// The one unpacked last, if there are several revisions.
    fn unpacked(&self, name: &str, upstream: Option<&str>) -> Option<Package> {
        let mut found: Vec<_> = fs::read_dir(self.dir.join(name))
            .ok()?
            .filter_map(|entry| {
                let dir = entry.ok()?.path();
                let record = dir.join("package.json");
                let mut package: Package = serde_json::from_slice(&fs::read(&record).ok()?).ok()?;
                package.root = dir.join("root");
                let wanted = upstream.is_none_or(|pin| is_upstream(&package.version, pin));
                let time = fs::metadata(&record).ok()?.modified().ok()?;
                wanted.then_some((time, package))
            })
            .collect();
        found.sort_by_key(|(time, _)| *time);
        found.pop().map(|(_, package)| package)
    }

    /// `apt-get update`, once for each value of this type.
    fn update(&self) -> Result<(), EngineError> {
        if self.updated.get() {
            return Ok(());
        }
        self.sweep();
        let mirror = apt_sources::mirror()?;
        self.apt.configure(&mirror, &self.release)?;
        (self.progress)(&format!("reading Debian's {} package index from {mirror}", self.release));
        self.apt.run("apt-get", &["-q", "-o", "APT::Update::Error-Mode=any", "update"]).map_err(|error| {
            let hint = format!("the mirror {mirror} comes from /etc/apt or {}", apt_sources::MIRROR_VAR);
            EngineError::fetch(format!("Debian's {} index", self.release), format!("{error}; {hint}"))
        })?;
        self.updated.set(true);
        Ok(())
    }

    /// What processes left that were killed while they downloaded; the lock says that there are no others.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(NEW.as_bytes()))
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }

    /// What the index says about a package; nothing if it does not know the name.
    fn offered(&self, name: &str) -> Result<Vec<Offer>, EngineError> {
        let known = self
            .apt
            .run("apt-cache", &["pkgnames", name])
            .map_err(|why| EngineError::fetch(format!("Debian's {name}"), why))?;
        if !known.lines().any(|line| line == name) {
            return Ok(Vec::new());
        }
        let shown = self
            .apt
            .run("apt-cache", &["show", name])
            .map_err(|why| EngineError::fetch(format!("Debian's {name}"), why))?;
        Ok(offers(&shown))
    }

    fn download(&self, name: &str, offer: &Offer) -> Result<Package, EngineError> {
        let what = || format!("Debian's {name} {}", offer.version);
        (self.progress)(&format!("downloading {}", what()));
        let temp = tempfile::Builder::new().prefix(NEW).tempdir_in(&self.dir);
        let temp = temp.io(|| format!("create a directory in {}", self.dir.display()))?;
        let exactly = format!("{name}={}", offer.version);
        let downloaded = self.apt.run_in(temp.path(), "apt-get", &["-q", "download", &exactly]);
        downloaded.map_err(|why| EngineError::fetch(what(), why))?;
        let deb = only_deb(temp.path()).ok_or_else(|| EngineError::fetch(what(), "apt-get left no .deb"))?;
        let bytes = fs::read(&deb).io(|| format!("read {}", deb.display()))?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        if sha256 != offer.sha256 {
            let why = format!("its sha256 is {sha256}, the signed index says {}", offer.sha256);
            return Err(EngineError::fetch(what(), why));
        }
        let staged = temp.path().join("package");
        let root = staged.join("root");
        fs::create_dir_all(&root).io(|| format!("create {}", root.display()))?;
        run(Command::new("dpkg").arg("-x").arg(&deb).arg(&root))
            .map_err(|why| EngineError::fetch(what(), why))?;

        let mut package = Package {
            name: name.to_owned(),
            release: self.release.clone(),
            version: offer.version.clone(),
            sha256,
            depends: offer.depends.clone(),
            root,
        };
        let record =
            serde_json::to_vec_pretty(&package).map_err(|e| EngineError::fetch(what(), e.to_string()))?;
        fs::write(staged.join("package.json"), record).io(|| format!("record {}", what()))?;
        let home = self.dir.join(name).join(offer.version.replace(':', "%3a"));
        let _ = fs::remove_dir_all(&home); // one without a readable record
        fs::create_dir_all(self.dir.join(name)).io(|| format!("create {}", self.dir.join(name).display()))?;
        fs::rename(&staged, &home).io(|| format!("move {} into place", what()))?;
        package.root = home.join("root");
        Ok(package)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Offer {
    version: String,
    sha256: String,
    depends: Vec<String>,
}

/// The stanzas of `apt-cache show`.
fn offers(shown: &str) -> Vec<Offer> {
    shown
        .split("\n\n")
        .filter_map(|stanza| {
            let field = |name: &str| {
                let line = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                line.map(str::trim)
            };
            Some(Offer {
                version: field("Version")?.to_owned(),
                sha256: field("SHA256")?.to_owned(),
                depends: depends(field("Depends").unwrap_or_default()),
            })
        })
        .collect()
}

/// `a (>= 1), b | c:any` is a, b, c.
fn depends(field: &str) -> Vec<String> {
    let name = |part: &str| part.trim().split([' ', '(', ':']).next().map(str::to_owned);
    field.split([',', '|']).filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// Whether Debian's `version` packages upstream's `pin`.
fn is_upstream(version: &str, pin: &str) -> bool {
    let without_epoch = version.split_once(':').map_or(version, |(_, rest)| rest);
    let rest = without_epoch.strip_prefix(pin);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.'))
}

fn only_deb(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?;
    entries.filter_map(|e| Some(e.ok()?.path())).find(|path| path.extension().is_some_and(|x| x == "deb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_matches_every_debian_revision_of_its_upstream_version_only() {
        assert!(is_upstream("20.10.24+dfsg1-1+deb12u1+b6", "20.10.24"));
        assert!(is_upstream("1:1.35.0-4+deb12u1+b1", "1.35.0"));
        assert!(is_upstream("1.7.24~ds1-6+deb13u1", "1.7.24"));
        assert!(is_upstream("1.1.5", "1.1.5"));
        assert!(!is_upstream("1.1.50-1", "1.1.5"));
        assert!(!is_upstream("1.1.5.1-1", "1.1.5"));
        assert!(!is_upstream("1.1.5rc1-1", "1.1.5"));
    }

    #[test]
    fn what_apt_cache_shows_is_read_stanza_by_stanza() {
        let shown = "Package: runc\nVersion: 1.1.5-1\nDepends: libc6 (>= 2.34), libseccomp2 (>= 2.5.0) | x:any\n\
                     Description: a\n b: c\nSHA256: aa\n\nPackage: runc\nVersion: 1.1.4-1\nSHA256: bb\n";
        let first = Offer {
            version: "1.1.5-1".into(),
            sha256: "aa".into(),
            depends: vec!["libc6".into(), "libseccomp2".into(), "x".into()],
        };
        let second = Offer { version: "1.1.4-1".into(), sha256: "bb".into(), depends: vec![] };
        assert_eq!(offers(shown), [first, second]);
    }

    #[test]
    fn a_package_record_survives_being_written_and_read_and_is_found_by_its_pin() {
        let cache = tempfile::tempdir().unwrap();
        let debian = Debian::new(cache.path(), "bookworm", &|_| {}).unwrap();
        let home = cache.path().join("debian/bookworm/runc/1.1.5-1");
        fs::create_dir_all(home.join("root")).unwrap();
        let package = Package {
            name: "runc".into(),
            release: "bookworm".into(),
            version: "1.1.5-1".into(),
            sha256: "aa".into(),
            depends: vec!["libc6".into()],
            root: home.join("root"),
        };
        fs::write(home.join("package.json"), serde_json::to_vec(&package).unwrap()).unwrap();
        assert_eq!(debian.unpacked("runc", Some("1.1.5")), Some(package));
        assert_eq!(debian.unpacked("runc", Some("1.1.6")), None);
        assert_eq!(debian.unpacked("containerd", None), None);
    }

    #[test]
    fn a_release_that_is_a_path_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        assert!(Debian::new(cache.path(), "../x", &|_| {}).is_err());
        assert!(Debian::new(cache.path(), "", &|_| {}).is_err());
    }
}
