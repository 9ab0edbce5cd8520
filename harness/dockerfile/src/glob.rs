//! Patterns of COPY, ADD and of context paths: Go's `filepath.Match`, on `/`-separated paths.
//!
//! The patterns of .dockerignore are another language: [`crate::ignore`].

/// The pattern is malformed. Go's text is "syntax error in pattern".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "read the pattern {pattern:?}; it takes *, ?, [a-z], [^a-z], and a backslash before a literal one of these"
)]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
}

/// Whether `name` as a whole matches `pattern`: `*` is any run without `/`, `?` any character but `/`,
/// `[a-c]`, `[^a-c]` a class (which may match `/`), `\x` is x.
///
/// As in Go, a mistake is only noticed where matching gets to it, except that a pattern which does not match
/// is then read to its end.
pub fn go_match(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let bad = || BadPattern { pattern: pattern.to_owned() };
    let mut rest = pattern;
    let mut name = name;
    'pattern: while !rest.is_empty() {
        let (star, chunk, after) = chunk(rest);
        rest = after;
        if star && chunk.is_empty() {
            return Ok(!name.contains('/'));
        }
        if let Some(left) = match_chunk(chunk, name).ok_or_else(bad)? {
            // The last chunk must take everything.
            if left.is_empty() || !rest.is_empty() {
                name = left;
                continue;
            }
        }
        if star {
            for (at, c) in name.char_indices() {
                if c == '/' {
                    break;
                }
                let from = &name[at + c.len_utf8()..];
                if let Some(left) = match_chunk(chunk, from).ok_or_else(bad)? {
                    if rest.is_empty() && !left.is_empty() {
                        continue;
                    }
                    name = left;
                    continue 'pattern;
                }
            }
        }
        // No match; what is left must still be a pattern.
        while !rest.is_empty() {
            let (_, chunk, after) = self::chunk(rest);
            rest = after;
            match_chunk(chunk, "").ok_or_else(bad)?;
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Whether `text` holds anything that [`go_match`] treats specially.
pub fn has_meta(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Leading stars, what follows up to the next star, and the rest.
fn chunk(pattern: &str) -> (bool, &str, &str) {
    let body = pattern.trim_start_matches('*');
    let (mut in_class, mut escaped) = (false, false);
    let end = body.char_indices().find(|&(_, c)| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match c {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '*' if !in_class => return true,
            _ => {}
        }
        false
    });
    let (chunk, rest) = body.split_at(end.map_or(body.len(), |(at, _)| at));
    (body.len() < pattern.len(), chunk, rest)
}

/// Matches a chunk without stars at the start of `name`: what is left of it, `Some(None)` if it does not
/// match, `None` if the chunk is malformed. Reads the chunk to its end either way.
fn match_chunk<'a>(chunk: &str, name: &'a str) -> Option<Option<&'a str>> {
    let mut pattern = chunk.chars();
    let mut left = name.chars();
    let mut failed = false;
    while let Some(c) = pattern.next() {
        failed |= left.as_str().is_empty();
        match c {
            '[' => {
                let taken = if failed { None } else { left.next() };
                let matched = class(&mut pattern, taken)?;
                failed |= !matched;
            }
            '?' => {
                if !failed {
                    failed = left.next() == Some('/');
                }
            }
            c => {
                let literal = if c == '\\' { pattern.next()? } else { c };
                if !failed {
                    failed = left.next() != Some(literal);
                }
            }
        }
    }
    Some((!failed).then_some(left.as_str()))
}

/// After `[`: whether `taken` is in the class; `None` if it is malformed.
fn class(pattern: &mut std::str::Chars<'_>, taken: Option<char>) -> Option<bool> {
    let negated = pattern.as_str().starts_with('^');
    if negated {
        pattern.next();
    }
    let (mut matched, mut ranges) = (false, 0);
    loop {
        if pattern.as_str().starts_with(']') && ranges > 0 {
            pattern.next();
            return Some(matched != negated);
        }
        let low = class_char(pattern)?;
        let mut high = low;
        if pattern.as_str().starts_with('-') {
            pattern.next();
            high = class_char(pattern)?;
        }
        matched |= taken.is_some_and(|c| low <= c && c <= high);
        ranges += 1;
    }
}

/// A possibly escaped character of a class; a class cannot end right after it.
fn class_char(pattern: &mut std::str::Chars<'_>) -> Option<char> {
    let c = match pattern.next()? {
        '-' | ']' => return None,
        '\\' => pattern.next()?,
        c => c,
    };
    (!pattern.as_str().is_empty()).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_documents_it() {
        // The table of Go's own path/filepath tests, from its documentation's rules.
        for (pattern, name, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*/b", "a/c/b", Some(false)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("a?b", "a/b", Some(false)),
            ("a*b", "a/b", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-x]", "x", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "a", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^", "a", None),
            ("[^bc", "a", None),
            ("a[", "a", None),
            ("a[", "ab", None),
            ("a[", "x", None),
            ("a/b[", "x", None),
            ("*x", "xxx", Some(true)),
            ("[^a]", "/", Some(true)),
        ] {
            assert_eq!(go_match(pattern, name).ok(), expected, "{pattern} on {name}");
        }
    }
}
