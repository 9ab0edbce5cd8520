//! Which entries a COPY's patterns mean: Go's wildcards, symbolic links followed inside the root they lie in.

use samebuild_dockerfile::glob;
use samebuild_image::{At, Kind, Tree};

use super::{
    BadPattern, Copy, GlobSlash, GlobWithoutMatch, IgnoredSource, LinkSource, LinksBelowMatch,
    OutsideContext, Pattern,
};
use crate::failure::StepFailure;

/// The class of a source that is not there.
pub const NOT_FOUND: &str = "copy-not-found";

/// One thing to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it really is, every symbolic link followed.
    pub at: At,
    /// The name it takes inside a destination directory: that of the path as written, not of a link's target.
    pub name: Vec<u8>,
    pub is_dir: bool,
}

/// Everything the patterns mean, in the order of the patterns, matches of a wildcard in walking order.
pub fn find(copy: &Copy<'_>) -> Result<Vec<Source>, StepFailure> {
    let mut found = Vec::new();
    for pattern in copy.patterns {
        find_one(copy, &pattern.text, &mut found).map_err(|failure| failure.at(pattern.span))?;
    }
    let only_patterns = || copy.patterns.iter().find(|pattern| !copy.literal && is_wildcard(&pattern.text));
    if found.is_empty()
        && copy.rules.glob_without_match == GlobWithoutMatch::Fails
        && let Some(pattern) = only_patterns()
    {
        let message = format!("copy {}: no source files match it", pattern.text);
        return Err(StepFailure::new("copy-no-match", message).at(pattern.span));
    }
    Ok(found)
}

/// The last path that is seen not to be in the context before anything is built; wildcards are looked at when they are
/// copied.
pub fn known_missing(copy: &Copy<'_>) -> Option<StepFailure> {
    if !copy.from_context || copy.literal {
        return None;
    }
    let missing = |pattern: &Pattern| {
        let failure = find_one(copy, &pattern.text, &mut Vec::new()).err()?.at(pattern.span);
        (failure.class == NOT_FOUND).then_some(failure)
    };
    let paths = copy.patterns.iter().filter(|pattern| !is_wildcard(&pattern.text));
    paths.rev().find_map(missing)
}

fn find_one(copy: &Copy<'_>, pattern: &str, found: &mut Vec<Source>) -> Result<(), StepFailure> {
    let climbs = !copy.literal && climbs_out(pattern);
    if climbs && copy.rules.outside_context == OutsideContext::Fails && copy.from_context {
        let message = format!(
            "copy {pattern}: it lies outside the build context; move it in, or build from the directory above"
        );
        return Err(StepFailure::new("copy-outside-context", message));
    }
    if climbs && copy.rules.outside_context == OutsideContext::LooksOutside && copy.from_context {
        return Err(not_found(copy, pattern));
    }
    if !copy.literal && is_wildcard(pattern) {
        return wildcard(copy, pattern, found);
    }
    let at = At::clean(pattern);
    match one(copy, &at, pattern) {
        Err(_) if is_ignored(copy, &at, pattern) => {}
        source => found.push(source?),
    }
    Ok(())
}

pub(super) fn wildcard(copy: &Copy<'_>, pattern: &str, found: &mut Vec<Source>) -> Result<(), StepFailure> {
    let clean = At::clean(pattern);
    let depth = clean.components().count();
    let is_plain = |part: &&[u8]| !is_wildcard(&String::from_utf8_lossy(part));
    let above: Vec<&[u8]> = clean.components().take_while(is_plain).collect();
    let above = At::clean(above.join(&b'/'));
    // Where the directory has to be there, it may be there by a link.
    let (above, real) = match copy.rules.glob_without_match {
        GlobWithoutMatch::NeedsDirectory if !above.is_root() => {
            let real = one(copy, &above, pattern)?.at;
            (above, real)
        }
        _ => (At::root(), At::root()),
    };
    let depth = depth - above.components().count() + real.components().count();
    let slash = pattern.ends_with('/') && copy.rules.glob_slash == GlobSlash::MatchesNothing;
    let Ok(pattern_text) = std::str::from_utf8(clean.as_bytes()) else { return Ok(()) };
    for (at, _, _) in copy.from.within(&real).filter(|(at, _, _)| at.components().count() == depth) {
        let below = at.below(&real).unwrap_or_default();
        let named = if above.is_root() { at.clone() } else { above.join(below) };
        let Ok(name) = std::str::from_utf8(named.as_bytes()) else { continue };
        let matches = match glob::go_match(pattern_text, name) {
            Ok(matches) => matches && !slash,
            Err(_) if copy.rules.bad_pattern == BadPattern::MatchesNothing => false,
            Err(_) => {
                let message = format!("match `{pattern}`: syntax error in pattern; brackets must be closed");
                return Err(StepFailure::new("bad-pattern", message));
            }
        };
        if matches {
            found.push(one(copy, at, pattern)?);
            links_below(copy, at, pattern)?;
        }
    }
    Ok(())
}

/// Fails at the first one that leads nowhere, where that is a mistake.
fn links_below(copy: &Copy<'_>, dir: &At, pattern: &str) -> Result<(), StepFailure> {
    if copy.rules.links_below_match == LinksBelowMatch::LeftAlone {
        return Ok(());
    }
    let links =
        copy.from.within(dir).filter(|(at, _, inode)| *at != dir && matches!(inode.kind, Kind::Symlink(_)));
    links.map(|(at, _, _)| at).try_for_each(|at| one(copy, at, pattern).map(drop))
}

/// Whether it is there but left out, and that is no mistake.
fn is_ignored(copy: &Copy<'_>, at: &At, pattern: &str) -> bool {
    copy.rules.ignored_source == IgnoredSource::NotCopied
        && copy.whole.is_some_and(|whole| one_of(copy, whole, at, pattern).is_ok())
}

pub(super) fn one(copy: &Copy<'_>, at: &At, pattern: &str) -> Result<Source, StepFailure> {
    one_of(copy, copy.from, at, pattern)
}

fn one_of(copy: &Copy<'_>, tree: &Tree, at: &At, pattern: &str) -> Result<Source, StepFailure> {
    let followed = copy.rules.link_source == LinkSource::Followed;
    let real = tree.resolve(at.as_bytes(), followed).map_err(|error| {
        let class = match copy.rules.outside_context {
            OutsideContext::Fails if copy.from_context => "copy-outside-context",
            _ => "symlink-loop",
        };
        StepFailure::new(class, format!("copy {pattern}: {error}"))
    })?;
    let inode = tree.get(&real).ok_or_else(|| not_found(copy, pattern))?;
    Ok(Source { name: at.name().to_vec(), is_dir: matches!(inode.kind, Kind::Dir), at: real })
}

pub(super) fn not_found(copy: &Copy<'_>, pattern: &str) -> StepFailure {
    let place = if copy.from_context {
        "the build context (or .dockerignore leaves it out)"
    } else {
        "the stage or image it is copied from"
    };
    StepFailure::new(NOT_FOUND, format!("copy {pattern}: it is not in {place}"))
}

/// Whether Go's `filepath.Match` would do anything but compare.
pub fn is_wildcard(pattern: &str) -> bool {
    let mut escaped = false;
    pattern.chars().any(|c| {
        let special = !escaped && matches!(c, '*' | '?' | '[');
        escaped = !escaped && c == '\\';
        special
    })
}

/// Whether `..` leads above where the pattern starts.
pub(super) fn climbs_out(pattern: &str) -> bool {
    let mut depth = 0i32;
    pattern.split('/').any(|part| {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        depth < 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn climbing_is_seen_wherever_it_stands() {
        for (pattern, climbs) in
            [("../a", true), ("a/../../b", true), ("a/../b", false), ("./a", false), ("/..", true)]
        {
            assert_eq!(climbs_out(pattern), climbs, "{pattern}");
        }
    }

    #[test]
    fn an_escaped_star_is_a_name() {
        assert!(is_wildcard("a*"));
        assert!(!is_wildcard(r"a\*"));
        assert!(is_wildcard(r"a\\*"));
    }
}
