//! `cargo xtask new-case GROUP/NAME`: a case to fill in. What a case may say is `dockerfiles/README.md`'s page.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::shell::Checkout;

const DOCKERFILE: &str = "FROM samebuild.test/base:1\nCOPY file.txt /file.txt\n";
const CASE_TOML: &str = r#"about = "what does this case ask? one sentence, a question"

[[context]]
path = "file.txt"
text = "hello\n"
"#;

pub(crate) fn run(checkout: &Checkout, args: &[String]) -> Result<ExitCode> {
    let [id] = args else {
        bail!("say which: `cargo xtask new-case GROUP/NAME`, such as copy/owner-of-parents")
    };
    lay_out(checkout.root(), id)?;
    println!("dockerfiles/{id}/ is there: edit its Dockerfile and case.toml, then");
    println!("  cargo xtask observe --engine docker-20.10 {id}   # what real builders make of it, or");
    println!("  cargo xtask bless {id}                           # what the reference builder makes of it");
    Ok(ExitCode::SUCCESS)
}

fn lay_out(root: &Path, id: &str) -> Result<()> {
    check_id(id)?;
    let dir = root.join("dockerfiles").join(id);
    if dir.exists() {
        bail!("dockerfiles/{id} exists already");
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("create dockerfiles/{id}"))?;
    for (name, text) in [("Dockerfile", DOCKERFILE), ("case.toml", CASE_TOML)] {
        std::fs::write(dir.join(name), text).with_context(|| format!("write dockerfiles/{id}/{name}"))?;
    }
    Ok(())
}

fn check_id(id: &str) -> Result<()> {
    let part_ok = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c))
    };
    match id.split('/').collect::<Vec<_>>()[..] {
        [group, name] if part_ok(group) && part_ok(name) => Ok(()),
        _ => bail!("`{id}` is not GROUP/NAME; both are lowercase letters, digits, `-`, `.` and `_`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_case_has_a_dockerfile_and_a_question_and_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        lay_out(root.path(), "copy/new-one").unwrap();
        let case = root.path().join("dockerfiles/copy/new-one");
        assert!(std::fs::read_to_string(case.join("case.toml")).unwrap().starts_with("about = "));
        assert!(case.join("Dockerfile").is_file());
        assert!(lay_out(root.path(), "copy/new-one").unwrap_err().to_string().contains("exists already"));
    }

    #[test]
    fn a_name_that_climbs_or_lacks_its_group_is_refused() {
        for id in ["x", "a/b/c", "../b", "a/..", "a/", "/b", "A/b", "a/-b"] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }
}
