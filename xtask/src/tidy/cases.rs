//! Every case is a directory with a Dockerfile and a case.toml that says what it asks. What else a case.toml may say is
//! the loader's business.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Ground;

pub(super) fn look(ground: &Ground<'_>) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for case in case_dirs(ground) {
        // Whether it is text is the loader's business too.
        if !ground.names_in(case).contains(&"Dockerfile") {
            findings.push(format!("{case} has no Dockerfile"));
        }
        match ground.text(&format!("{case}/case.toml")) {
            None => findings.push(format!("{case} has no case.toml; it needs one line: about = \"…\"")),
            Some(toml) if !asks(&toml) => {
                findings.push(format!("{case}/case.toml does not say what the case asks: about = \"…\""));
            }
            Some(_) => {}
        }
    }
    Ok(findings)
}

/// `dockerfiles/GROUP/NAME` of every file at least that deep.
fn case_dirs<'a>(ground: &'a Ground<'_>) -> BTreeSet<&'a str> {
    ground
        .files
        .iter()
        .filter(|file| file.starts_with("dockerfiles/"))
        .filter_map(|file| file.match_indices('/').nth(2).map(|(end, _)| &file[..end]))
        .collect()
}

fn asks(toml: &str) -> bool {
    toml.lines().take_while(|line| !line.starts_with('[')).any(|line| {
        line.split_once('=').is_some_and(|(key, value)| {
            key.trim() == "about" && value.trim().trim_matches(['"', '\'']).len() > 10
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn a_case_without_a_question_or_a_dockerfile_is_found() {
        let files = [
            ("dockerfiles/README.md", ""),
            ("dockerfiles/copy/good/Dockerfile", ""),
            ("dockerfiles/copy/good/case.toml", "# c\nabout = \"who owns the parents?\"\n"),
            ("dockerfiles/copy/mute/Dockerfile", ""),
            ("dockerfiles/copy/mute/case.toml", "[build]\nabout = \"who owns the parents?\"\n"),
            ("dockerfiles/copy/none/context/x", ""),
        ];
        assert_eq!(
            findings(&files, look),
            [
                "dockerfiles/copy/mute/case.toml does not say what the case asks: about = \"…\"",
                "dockerfiles/copy/none has no Dockerfile",
                "dockerfiles/copy/none has no case.toml; it needs one line: about = \"…\"",
            ]
        );
    }
}
