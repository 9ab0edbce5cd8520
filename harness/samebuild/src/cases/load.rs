//! Finding cases below a directory and reading them. The order is that of their names, whatever the disk says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use samebuild_image::{At, Tree};

use super::case::{Case, USUAL_BASE};
use super::check;
use super::context;
use super::dialects::Vocabulary;
use super::format::CaseToml;
use super::id::CaseId;
use super::problem::{CaseError, Problem, Text};
use super::serve;

const DOCKERFILE: &str = "Dockerfile";
const CASE_TOML: &str = "case.toml";
const CONTEXT: &str = "context";

/// All cases below `root`, sorted by name. A directory with a Dockerfile is a case, and is not searched further; `root`
/// itself may be one. Hidden directories and symbolic links are passed by.
///
/// # Errors
/// The first thing wrong with any of them, or no case at all.
pub fn load(root: &Path, vocabulary: &Vocabulary) -> Result<Vec<Case>, CaseError> {
    if is_case(root) {
        return Ok(vec![load_one(root, name_of(root)?, vocabulary)?]);
    }
    let mut cases = Vec::new();
    search(root, &mut Vec::new(), vocabulary, &mut cases)?;
    if cases.is_empty() {
        let found = "there is no case in it or below it";
        let help = "a case is a directory with a Dockerfile; make one with `cargo xtask new-case group/name`, or name \
                    another directory";
        return Err(CaseError::about(root, found, help));
    }
    cases.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(cases)
}

/// The case in `dir`, under the name `id`.
///
/// # Errors
/// What is wrong with it, with the place and the next step.
pub fn load_one(dir: &Path, id: CaseId, vocabulary: &Vocabulary) -> Result<Case, CaseError> {
    let dockerfile_path = dir.join(DOCKERFILE);
    let dockerfile: Arc<[u8]> = match std::fs::read(&dockerfile_path) {
        Ok(bytes) => bytes.into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = "it has a case.toml but no Dockerfile";
            return Err(CaseError::about(
                dir,
                found,
                "write a Dockerfile beside case.toml, or remove the directory",
            ));
        }
        Err(error) => return Err(unreadable(&dockerfile_path, &error)),
    };
    let toml_path = dir.join(CASE_TOML);
    match std::fs::read_to_string(&toml_path) {
        Ok(content) => {
            let text = Text { path: toml_path, content: content.into() };
            described(dir, id, dockerfile, &text, vocabulary)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => plain(dir, id, dockerfile),
        Err(error) => Err(unreadable(&toml_path, &error)),
    }
}

fn is_case(dir: &Path) -> bool {
    dir.join(CASE_TOML).is_file() || dir.join(DOCKERFILE).is_file()
}

fn search(
    dir: &Path,
    components: &mut Vec<String>,
    vocabulary: &Vocabulary,
    cases: &mut Vec<Case>,
) -> Result<(), CaseError> {
    let error = |error: io::Error| unreadable(dir, &error);
    let mut below = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(error)? {
        let entry = entry.map_err(error)?;
        if entry.file_type().map_err(error)?.is_dir()
            && !entry.file_name().as_encoded_bytes().starts_with(b".")
        {
            below.push(entry.path());
        }
    }
    below.sort();
    for dir in below {
        components.push(utf8_name(&dir)?);
        if is_case(&dir) {
            if let Some(id) = CaseId::new(components.iter().map(String::as_str)) {
                cases.push(load_one(&dir, id, vocabulary)?);
            }
        } else {
            search(&dir, components, vocabulary, cases)?;
        }
        components.pop();
    }
    Ok(())
}

/// A case that `case.toml` describes: the context is `context/` and what the file adds.
fn described(
    dir: &Path,
    id: CaseId,
    dockerfile: Arc<[u8]>,
    text: &Text,
    vocabulary: &Vocabulary,
) -> Result<Case, CaseError> {
    let wrong = |problem: Problem| problem.within(text);
    let written: CaseToml =
        toml::from_str(&text.content).map_err(|error| wrong(Problem::from_toml(&error)))?;
    let context_dir = dir.join(CONTEXT);
    let mut tree = context_of(&context_dir)?;
    for name in ["Dockerfile", "Dockerfile.dockerignore"] {
        let beside = dir.join(name);
        let bytes = if name == DOCKERFILE {
            Some(dockerfile.clone())
        } else {
            std::fs::read(&beside).ok().map(Arc::from)
        };
        let Some(bytes) = bytes else { continue };
        if tree.get(&At::from(name)).is_some() {
            let found =
                format!("there is another `{name}` beside context/, and that one is put into the context");
            return Err(CaseError::about(
                context_dir.join(name),
                found,
                "keep the one beside case.toml only",
            ));
        }
        context::put_file(&mut tree, name, bytes);
    }
    context::plant(&mut tree, &written.context, context::CONTEXT_EPOCH).map_err(wrong)?;
    let said = |name, key: &Option<toml::Spanned<String>>| {
        key.as_ref().map(|text| check::said(name, text)).transpose().map_err(wrong)
    };
    let (never_twice, volatile) = check::volatile(written.volatile.as_ref()).map_err(wrong)?;
    Ok(Case {
        about: Some(check::said("about", &written.about).map_err(wrong)?),
        origin: said("origin", &written.origin)?,
        needs: written.needs.iter().map(|need| *need.get_ref()).collect(),
        base: said("base", &written.base)?.unwrap_or_else(|| USUAL_BASE.to_owned()),
        build: check::build(&written.build).map_err(wrong)?,
        served: serve::pages(&written.serve, &written.build).map_err(wrong)?,
        known: check::known(&written.known, vocabulary).map_err(wrong)?,
        under: check::under(written.under, vocabulary).map_err(wrong)?,
        causes: check::causes(&written.causes, vocabulary).map_err(wrong)?,
        volatile,
        never_twice,
        outcomes: check::outcomes(&written.outcome, vocabulary).map_err(wrong)?,
        ..Case::without_description(dir, id, dockerfile, tree)
    })
}

/// What is under `context/`; nothing where there is none.
fn context_of(dir: &Path) -> Result<Tree, CaseError> {
    match std::fs::symlink_metadata(dir) {
        Ok(found) if found.is_dir() => context::from_disk(dir).map_err(|error| scan_failed(dir, &error)),
        Ok(found) => {
            let what =
                if found.is_symlink() { "a symbolic link, which may lead anywhere" } else { "no directory" };
            Err(CaseError::about(dir, format!("it is {what}"), "make it a directory, or remove it"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(context::empty()),
        Err(error) => Err(unreadable(dir, &error)),
    }
}

/// Anybody's directory: all of it is the context, as in `docker build DIR`.
fn plain(dir: &Path, id: CaseId, dockerfile: Arc<[u8]>) -> Result<Case, CaseError> {
    let context = context::from_disk(dir).map_err(|error| scan_failed(dir, &error))?;
    Ok(Case::without_description(dir, id, dockerfile, context))
}

fn name_of(root: &Path) -> Result<CaseId, CaseError> {
    let full: PathBuf = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    let name = utf8_name(&full)?;
    CaseId::new([name.as_str()]).ok_or_else(|| CaseError::about(root, "it has no name", "name a directory"))
}

fn utf8_name(dir: &Path) -> Result<String, CaseError> {
    let name = dir.file_name().unwrap_or_default();
    name.to_str().map(str::to_owned).ok_or_else(|| {
        CaseError::about(
            dir,
            "its name is not UTF-8, so it cannot be the name of a case",
            "rename the directory",
        )
    })
}

fn unreadable(path: &Path, error: &io::Error) -> CaseError {
    CaseError::about(path, error.to_string(), "make it readable, or name another directory")
}

fn scan_failed(path: &Path, error: &dyn std::error::Error) -> CaseError {
    CaseError::about(path, error.to_string(), "a context must be readable as a whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn every_bad_case_is_refused_with_its_place_and_the_next_step() {
        let root = repository().join("fixtures/bad-cases");
        let mut dirs: Vec<PathBuf> =
            std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
        dirs.sort();
        assert!(dirs.len() >= 40, "only {} bad cases in {}", dirs.len(), root.display());
        for dir in dirs {
            let name = format!("bad-cases/{}", dir.file_name().unwrap().to_str().unwrap());
            let vocabulary = Vocabulary {
                rules: &["mode", "owner"],
                faults: &["mtime-lag"],
                factors: &["umask", "owners"],
                ..Vocabulary::default()
            };
            let message = match load(&dir, &vocabulary) {
                Ok(_) => "nothing is wrong with it\n".to_owned(),
                Err(error) => error.render().replace(dir.to_str().unwrap(), &name),
            };
            println!("{message}");
            expect_test::expect_file![dir.join("expected.txt")].assert_eq(&message);
        }
    }

    #[test]
    fn every_case_of_the_repository_can_be_read_and_asks_something() {
        let cases =
            load(&repository().join("dockerfiles"), &Vocabulary::default()).unwrap_or_else(|e| panic!("{e}"));
        assert!(cases.len() >= 106, "{} cases", cases.len());
        assert!(cases.is_sorted_by(|left, right| left.id < right.id));
        for case in &cases {
            assert!(case.about.as_ref().is_some_and(|about| about.contains('?')), "{}", case.id);
            assert!(case.context_tree().get(&At::from("Dockerfile")).is_some(), "{}", case.id);
        }
    }

    #[test]
    fn every_case_in_the_table_of_differences_is_there() {
        let page = std::fs::read_to_string(repository().join("docs/builders.md")).unwrap();
        let table =
            page.split("## Which case asks").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| difference"));
        let cells =
            rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once("| ")).map(|(_, cases)| cases);
        let names: Vec<&str> =
            cells.flat_map(|cases| cases.split(", ")).filter(|name| name.contains('/')).collect();
        assert!(names.len() > 80, "{}", names.len());
        for name in names {
            let case = repository().join("dockerfiles").join(name).join("case.toml");
            assert!(case.is_file(), "docs/builders.md names {name}, which is no case");
        }
    }

    #[test]
    fn the_example_in_the_readme_is_accepted_whole() {
        let readme = std::fs::read_to_string(repository().join("dockerfiles/README.md")).unwrap();
        let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        for (name, text) in
            [("Dockerfile", "FROM scratch\n"), ("case.toml", example), ("context/script", "exit\n")]
        {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let case = load_one(dir.path(), "copy/chown".parse().unwrap(), &Vocabulary::default())
            .unwrap_or_else(|error| panic!("{}", error.render()));
        let kinds: Vec<String> =
            case.context_tree().iter().map(|(at, _, inode)| format!("{at} {}", inode.kind.word())).collect();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        assert_eq!((case.known.len(), case.under.len(), case.volatile.len()), (1, 1, 1));
        assert_eq!(case.served.len(), 1);
    }

    #[test]
    fn anybodys_directory_with_a_dockerfile_is_a_case_and_its_own_context() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("web/app/Dockerfile", "FROM scratch\n");
        put("web/app/context/main.go", "x");
        put("web/app/nested/Dockerfile", "FROM scratch\n");
        put("Zeta/Dockerfile", "FROM scratch\n");
        put(".git/Dockerfile", "FROM scratch\n");
        put("docs/README", "nothing to build");
        let cases = load(dir.path(), &Vocabulary::default()).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(names, ["Zeta", "web/app"], "what is inside a case belongs to it");
        let tree = cases[1].context_tree();
        assert!(
            tree.get(&At::from("context/main.go")).is_some() && tree.get(&At::from("Dockerfile")).is_some()
        );
        assert_eq!(cases[1].outcome("classic@20.10"), crate::cases::Outcome::Builds);
    }

    #[test]
    fn a_dialect_named_in_full_beats_a_glob() {
        use crate::cases::Outcome;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        let toml = "about = \"which?\"\n[outcome]\n\"*\" = { fails = 1 }\n\"kaniko@1.24\" = { hangs = true }\n\
                    \"buildkit@head\" = { builds = true }\n";
        std::fs::write(dir.path().join("case.toml"), toml).unwrap();
        let case = load_one(dir.path(), "a/b".parse().unwrap(), &Vocabulary::default()).unwrap();
        assert_eq!(case.outcome("classic@20.10"), Outcome::Fails { step: 1, class: None });
        assert_eq!(case.outcome("kaniko@1.24"), Outcome::Hangs);
        assert_eq!(case.outcome("buildkit@head"), Outcome::Builds);
    }
}
