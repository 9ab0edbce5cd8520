//! Somebody else's Dockerfiles with one context: each file that a glob matches is a case. There are no goldens for them and
//! no `case.toml`; what they need beyond themselves is in `samebuild.toml`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::At;

use super::case::Case;
use super::config::{Config, Spoke};
use super::context;
use super::dialects::Vocabulary;
use super::glob;
use super::id::CaseId;
use super::problem::CaseError;

/// Which Dockerfiles, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Corpus<'a> {
    /// Of Dockerfiles; what ends in `.dockerignore` is none.
    pub globs: &'a [String],
    pub context: &'a Path,
    /// Else `samebuild.toml` at the context's root, if there is one.
    pub config: Option<&'a Path>,
}

/// The cases of a corpus, by name, and what there is to say about the rules.
///
/// # Errors
/// A glob matches nothing, a file or the context cannot be read, or the rules contradict themselves.
pub fn load_corpus(
    corpus: &Corpus<'_>,
    vocabulary: &Vocabulary,
) -> Result<(Vec<Case>, Vec<String>), CaseError> {
    let config = match corpus.config {
        Some(path) => Config::read(path, vocabulary)?,
        None => Config::beside(corpus.context, vocabulary)?,
    };
    let files = dockerfiles(corpus.globs)?;
    let unreadable = |path: &Path, error: &io::Error| {
        CaseError::about(path, error.to_string(), "make it readable, or name another with --context")
    };
    let root = corpus.context.canonicalize().map_err(|error| unreadable(corpus.context, &error))?;
    let tree = context::from_disk(&root).map_err(|error| {
        CaseError::about(corpus.context, error.to_string(), "a context must be readable as a whole")
    })?;
    let mut spoke = Spoke::default();
    let mut cases = Vec::new();
    for (id, path) in names(&files) {
        let error = |error: io::Error| CaseError::about(&path, error.to_string(), "make it readable");
        let dockerfile: Arc<[u8]> = std::fs::read(&path).map_err(error)?.into();
        let inside =
            inside(&path, &root).map_err(error)?.filter(|name| tree.get(&At::from(&**name)).is_some());
        let mut case = Case::without_description(&root, id, dockerfile, tree.clone());
        match &inside {
            Some(name) => case.dockerfile_name.clone_from(name),
            None => {
                case.dockerfile_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                case.outside = Some(super::case::Outside { ignore: beside(&path).map_err(error)? });
            }
        }
        let name = inside.unwrap_or_else(|| path.to_string_lossy().into_owned());
        config.apply(&mut case, &name, &mut spoke)?;
        cases.push(case);
    }
    cases.sort_by(|left, right| left.id.cmp(&right.id));
    let silent = config.silent(&spoke, cases.len());
    Ok((cases, silent))
}

fn dockerfiles(globs: &[String]) -> Result<Vec<PathBuf>, CaseError> {
    let mut files = BTreeSet::new();
    for one in globs {
        let found = glob::files(one).map_err(|error| {
            CaseError::about(
                one,
                error.to_string(),
                "accepted: *, ?, [a-z] within a name, ** for directories",
            )
        })?;
        let is_dockerfile =
            |path: &PathBuf| path.extension().is_none_or(|extension| extension != "dockerignore");
        let found: Vec<PathBuf> = found.into_iter().filter(is_dockerfile).collect();
        if found.is_empty() {
            let help = "quote it, so that the shell leaves it alone: --dockerfile 'tests/*/Dockerfile'";
            return Err(CaseError::about(one, "no Dockerfile matches this glob", help));
        }
        files.extend(found);
    }
    Ok(files.into_iter().collect())
}

/// A name for each file: its path below the directory they share, without `/Dockerfile` where that still names one alone.
fn names(files: &[PathBuf]) -> Vec<(CaseId, PathBuf)> {
    let parts = |path: &Path| -> Vec<String> {
        path.iter().map(|part| part.to_string_lossy().into_owned()).filter(|part| part != "/").collect()
    };
    let all: Vec<Vec<String>> = files.iter().map(|path| parts(path)).collect();
    let shared = (0..)
        .take_while(|depth| {
            let first = all.first().and_then(|parts| parts.get(*depth));
            all.iter().all(|parts| depth + 1 < parts.len() && parts.get(*depth) == first)
        })
        .count();
    let short = |parts: &[String]| -> Vec<String> {
        let is_usual = |name: &String| name == "Dockerfile" || name == "Containerfile";
        let rest = &parts[shared..];
        match rest.split_last() {
            Some((last, before)) if !before.is_empty() && is_usual(last) => before.to_vec(),
            _ => rest.to_vec(),
        }
    };
    let shorts: Vec<Vec<String>> = all.iter().map(|parts| short(parts)).collect();
    let is_alone = |short: &Vec<String>| shorts.iter().filter(|other| *other == short).count() == 1;
    let mut named = Vec::new();
    for ((path, parts), short) in files.iter().zip(&all).zip(&shorts) {
        let name = if is_alone(short) { short } else { &parts[shared..] };
        let id = CaseId::new(name.iter().map(String::as_str).filter(|part| *part != ".."));
        named.extend(id.map(|id| (id, path.clone())));
    }
    named
}

/// What the context calls the file, if it is in there: `docker build -f` says it so.
fn inside(path: &Path, root: &Path) -> io::Result<Option<String>> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.canonicalize()?,
        _ => Path::new(".").canonicalize()?,
    };
    let full = dir.join(path.file_name().unwrap_or_default());
    Ok(full.strip_prefix(root).ok().and_then(|name| name.to_str()).map(str::to_owned))
}

/// `<Dockerfile>.dockerignore`, where there is one.
fn beside(path: &Path) -> io::Result<Option<Arc<[u8]>>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".dockerignore");
    match std::fs::read(PathBuf::from(name)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, path: &str, text: &str) {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(dir: &Path, glob: &str, context: &str) -> Result<(Vec<Case>, Vec<String>), String> {
        let globs = [dir.join(glob).to_str().unwrap().to_owned()];
        let context = dir.join(context);
        let corpus = Corpus { globs: &globs, context: &context, config: None };
        load_corpus(&corpus, &Vocabulary::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn files_in_one_directory_are_cases_that_share_their_context() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "integration/dockerfiles/Dockerfile_b", "FROM scratch\n");
        put(dir.path(), "integration/dockerfiles/Dockerfile_a", "FROM scratch\nCOPY context/foo /\n");
        put(dir.path(), "integration/dockerfiles/Dockerfile_a.dockerignore", "x\n");
        put(dir.path(), "integration/context/foo", "foo");
        put(
            dir.path(),
            "integration/samebuild.toml",
            "[[match]]\ndockerfile = \"dockerfiles/*_b\"\nargs = { A = \"1\" }\n",
        );
        let (cases, silent) = load(dir.path(), "integration/dockerfiles/*", "integration").unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(names, ["Dockerfile_a", "Dockerfile_b"]);
        assert_eq!(cases[0].dockerfile_name, "dockerfiles/Dockerfile_a");
        assert!(
            cases[0].outside.is_none() && cases[0].context_tree().get(&At::from("context/foo")).is_some()
        );
        assert_eq!(cases[1].build.args["A"], "1");
        assert_eq!(silent, [""; 0]);
    }

    #[test]
    fn a_dockerfile_per_directory_is_called_after_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for path in
            ["bud/add/Dockerfile", "bud/copy/Containerfile", "bud/copy/Dockerfile", "bud/run/Dockerfile.in"]
        {
            put(dir.path(), path, "FROM scratch\n");
        }
        put(dir.path(), "ctx/a", "a");
        put(dir.path(), "bud/add/Dockerfile.dockerignore", "a\n");
        let (cases, _) = load(dir.path(), "bud/*/*", "ctx").unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(names, ["add", "copy/Containerfile", "copy/Dockerfile", "run/Dockerfile.in"]);
        let outside = cases[0].outside.as_ref().unwrap();
        assert_eq!(outside.ignore.as_deref(), Some(&b"a\n"[..]));
        assert!(cases[0].context_tree().get(&At::from("Dockerfile")).is_none());
        let error = load(dir.path(), "nothing/*", "ctx").unwrap_err();
        assert!(error.contains("no Dockerfile matches"), "{error}");
    }
}
