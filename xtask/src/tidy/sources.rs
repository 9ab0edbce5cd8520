//! Every Rust file says first what it answers; nothing committed names a path of the machine it was written on.

use anyhow::Result;

use super::Ground;

/// More lines than this and a file probably holds a second idea.
const LONG: usize = 400;

/// Files that do not open with `//!`.
pub(super) fn look_at_headers(ground: &Ground<'_>) -> Result<Vec<String>> {
    Ok(rust(ground)
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| {
            format!("{file} does not open with `//!`: say what it answers and what it leaves to whom")
        })
        .collect())
}

/// Files that name the directory of this checkout or of its build products.
pub(super) fn look_at_paths(ground: &Ground<'_>) -> Result<Vec<String>> {
    let root = ground.checkout.root().display().to_string();
    let target = std::env::var("CARGO_TARGET_DIR").ok().filter(|dir| dir.starts_with('/'));
    let needles: Vec<String> = std::iter::once(root).chain(target).collect();
    let mut findings = Vec::new();
    for file in &ground.files {
        let Some(text) = ground.text(file) else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(needle) = needles.iter().find(|needle| line.contains(needle.as_str())) {
                findings.push(format!("{file}:{} names a path of this machine: {needle}", index + 1));
            }
        }
    }
    Ok(findings)
}

/// Long files, as advice.
pub(super) fn advice(ground: &Ground<'_>) -> Result<Vec<String>> {
    Ok(rust(ground)
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > LONG)
        .map(|(file, lines)| format!("{file} has {lines} lines; does it hold a second idea?"))
        .collect())
}

fn rust<'a>(ground: &'a Ground<'_>) -> impl Iterator<Item = (&'a str, String)> {
    ground
        .files
        .iter()
        .filter(|file| file.ends_with(".rs"))
        .filter_map(|file| Some((file.as_str(), ground.text(file)?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        let files = [("a.rs", "//! Says.\n"), ("b.rs", "fn b() {}\n"), ("c.md", "text")];
        let found = findings(&files, look_at_headers);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("b.rs "), "{found:?}");
    }

    #[test]
    fn a_file_that_names_its_checkout_is_found_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.md"), format!("one\nsee {}/x\n", root.path().display())).unwrap();
        let checkout = crate::shell::Checkout::at(root.path());
        let ground = Ground { checkout: &checkout, files: vec!["a.md".into()] };
        let found = look_at_paths(&ground).unwrap();
        assert!(found.len() == 1 && found[0].starts_with("a.md:2 names a path"), "{found:?}");
    }
}
