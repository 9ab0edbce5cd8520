//! Files that ADD fetches: what the builder asks of whoever can reach a network, and what it makes of the answer's
//! headers. Reaching it, with limits of time and size, is left to the caller.

use std::path::Path;

use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Fetches what stands behind a URL.
pub trait Fetch: Sync {
    /// Writes what a GET of `url` answers, redirections followed and content encodings undone, to the new file `to`. An
    /// answer of status 400 and above is one too; of it nothing is written.
    ///
    /// # Errors
    /// See [`FetchError`].
    fn fetch(&self, url: &str, to: &Path) -> Result<Fetched, FetchError>;
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Of the last of the redirections.
    pub status: u16,
    /// Bytes written.
    pub size: u64,
    /// The header `Last-Modified`.
    pub last_modified: Option<String>,
    /// The header `Content-Disposition`.
    pub disposition: Option<String>,
}

/// There is no answer. Both sentences go on after "fetch URL: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing may be fetched here: that says nothing about the Dockerfile.
    #[error("{0}")]
    NotHere(String),
    /// It was tried: no such host, no connection, too slow, too large.
    #[error("{0}")]
    Failed(String),
}

/// Fetches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Offline;

impl Fetch for Offline {
    fn fetch(&self, _: &str, _: &Path) -> Result<Fetched, FetchError> {
        Err(FetchError::NotHere("nothing is fetched in this build; put the file into the context".to_owned()))
    }
}

impl Fetched {
    /// `Last-Modified` in seconds since 1970, in any of HTTP's three forms; `None` where it is missing or no date.
    pub fn modified_secs(&self) -> Option<i64> {
        const FORMS: [&[BorrowedFormatItem<'_>]; 2] = [
            format_description!(
                "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
            ),
            format_description!(
                "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
            ),
        ];
        let text = self.last_modified.as_deref()?.trim();
        let parsed = FORMS.iter().find_map(|form| PrimitiveDateTime::parse(text, form).ok());
        parsed.or_else(|| two_digit_year(text)).map(|date| date.assume_utc().unix_timestamp())
    }

    /// The file's name in `Content-Disposition`, without directories; `None` where there is none.
    pub fn disposition_name(&self) -> Option<String> {
        let header = self.disposition.as_deref()?;
        let name = parameter(header, "filename")?;
        if name.ends_with('/') {
            return None;
        }
        name.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
    }
}

/// `Monday, 02-Jan-06 15:04:05 GMT`: years from 69 on are of the last century.
fn two_digit_year(text: &str) -> Option<PrimitiveDateTime> {
    let (_, rest) = text.split_once(", ")?;
    let (date, time) = rest.split_once(' ')?;
    let (day, year) = date.rsplit_once('-')?;
    let year: i32 = year.parse().ok().filter(|year| (0..100).contains(year))?;
    let century = if year >= 69 { 1900 } else { 2000 };
    let whole = format!("{day}-{} {time}", century + year);
    let form = format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(&whole, form).ok()
}

/// The parameter `name` of a media type's header: a token, a quoted text, or `name*=UTF-8''percent-encoded`.
fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        let (value, after) = value(after.trim_start())?;
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        if key.strip_suffix('*').is_some_and(|key| key.eq_ignore_ascii_case(name)) {
            let encoded = value.splitn(3, '\'').nth(2)?;
            return samebuild_dockerfile::remote::percent_decoded(encoded);
        }
        rest = after.split_once(';')?.1;
    }
}

/// A token or quoted text at the start of `text`, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &quoted[at + 1..])),
            '\\' => out.push(chars.next()?.1),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_all_forms_of_http() {
        for (text, secs) in [
            ("Sat, 03 Feb 2001 04:05:06 GMT", Some(981_173_106)),
            ("Saturday, 03-Feb-01 04:05:06 GMT", Some(981_173_106)),
            ("Sat Feb  3 04:05:06 2001", Some(981_173_106)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("yesterday", None),
            ("", None),
        ] {
            let fetched = Fetched { last_modified: Some(text.to_owned()), ..Fetched::default() };
            assert_eq!(fetched.modified_secs(), secs, "{text}");
        }
        assert_eq!(Fetched::default().modified_secs(), None);
    }

    #[test]
    fn a_disposition_names_a_file_and_never_a_directory() {
        for (header, name) in [
            ("attachment; filename=a.txt", Some("a.txt")),
            ("attachment; size=5; filename=\"a \\\"b\\\".txt\"; x=y", Some("a \"b\".txt")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename*=UTF-8''s%20p", Some("s p")),
            ("attachment; FileName=b", Some("b")),
            ("attachment; filename=\"dir/\"", None),
            ("attachment; filename=\"open", None),
            ("attachment", None),
        ] {
            let fetched = Fetched { disposition: Some(header.to_owned()), ..Fetched::default() };
            assert_eq!(fetched.disposition_name().as_deref(), name, "{header}");
        }
    }
}
