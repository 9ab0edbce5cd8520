//! `[[serve]]`: pages of a case's own server, checked. Serving them is `served`'s.

use std::collections::BTreeMap;

use toml::Spanned;

use super::archive;
use super::context::CONTEXT_EPOCH;
use super::format::{BuildToml, ServeToml};
use super::problem::Problem;
use crate::served::{ARGUMENT, Page};

/// The pages.
///
/// # Errors
/// Two of one path, two contents, a status or header no server sends, or the argument taken.
pub(super) fn pages(written: &[Spanned<ServeToml>], build: &BuildToml) -> Result<Vec<Page>, Problem> {
    let mut pages: BTreeMap<String, Page> = BTreeMap::new();
    for entry in written {
        if build.args.contains_key(ARGUMENT) {
            let found = format!("`args` sets {ARGUMENT}, which the address of the case's server goes into");
            return Err(Problem::at(
                entry.span(),
                found,
                "name the argument otherwise, or take [[serve]] away",
            ));
        }
        let page = page(entry)?;
        let path = entry.get_ref().path.clone();
        if pages.insert(page.path.clone(), page).is_some() {
            let found = format!("`{}` is served twice", path.get_ref());
            return Err(Problem::at(path.span(), found, "keep one of the two"));
        }
    }
    Ok(pages.into_values().collect())
}

fn page(entry: &Spanned<ServeToml>) -> Result<Page, Problem> {
    let said = entry.get_ref();
    let path = said.path.get_ref().as_str();
    let is_sendable = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
    if !path.starts_with('/') || !path.chars().all(is_sendable) {
        return Err(Problem::at(
            said.path.span(),
            format!("`{path}` is no path of a URL"),
            "begin with a slash; escape blanks and others as %20; a query is not looked at and not written",
        ));
    }
    let body = match (&said.text, &said.hex, &said.archive) {
        (None, None, None) => Vec::new(),
        (Some(text), None, None) => text.clone().into_bytes(),
        (None, Some(hex), None) => hex.0.clone(),
        (None, None, Some(said)) => archive::bytes(said, CONTEXT_EPOCH)?,
        _ => {
            let found = format!("`{path}` is given several contents at once");
            return Err(Problem::at(entry.span(), found, "accepted: at most one of text, hex, archive"));
        }
    };
    let status = match &said.status {
        None => 200,
        Some(status) if (200..600).contains(status.get_ref()) => *status.get_ref(),
        Some(status) => {
            let found = format!("{} is no status of an answer", status.get_ref());
            return Err(Problem::at(status.span(), found, "accepted: 200 to 599, such as 404"));
        }
    };
    let mut headers = Vec::new();
    for (name, value) in &said.headers {
        let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.get_ref().is_empty() || !name.get_ref().chars().all(is_token) {
            let found = format!("`{}` is no name of a header", name.get_ref());
            return Err(Problem::at(
                name.span(),
                found,
                "accepted: letters, digits and -, such as Last-Modified",
            ));
        }
        if !value.get_ref().chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            let found = format!("the value of `{}` cannot stand in a header", name.get_ref());
            return Err(Problem::at(value.span(), found, "accepted: one line of printable ASCII"));
        }
        headers.push((name.get_ref().clone(), value.get_ref().clone()));
    }
    Ok(Page { path: path.to_owned(), status, headers, body: body.into() })
}
