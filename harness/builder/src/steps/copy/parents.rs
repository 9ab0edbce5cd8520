//! `--parents`: what a source means when the directories above it are kept. Putting entries in place is `place`'s.
//!
//! The part of a source before `/./` is a directory to start from, the context's root without one; the rest is a pattern
//! of what to take below it, read as a line of .dockerignore is. Facts: moby/buildkit#3001, #4728, and the copier of
//! tonistiigi/fsutil.

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_image::At;

use super::{Copy, Pattern, place, sources};
use crate::delta::Delta;
use crate::failure::StepFailure;

/// Copies what every source means, below the destination.
pub(super) fn copy(copy: &Copy<'_>, delta: &mut Delta) -> Result<(), StepFailure> {
    for pattern in copy.patterns {
        one(copy, pattern, delta)
            .map_err(|failure| StepFailure { at: failure.at.or(Some(pattern.span)), ..failure })?;
    }
    Ok(())
}

fn one(copy: &Copy<'_>, pattern: &Pattern, delta: &mut Delta) -> Result<(), StepFailure> {
    let (start, below) = pattern.text.split_once("/./").unwrap_or(("/", &pattern.text));
    let below = At::clean(below);
    let text = String::from_utf8_lossy(below.as_bytes());
    let take = IgnoreFile::of([text.as_ref()], copy.syntax)
        .map_err(|error| StepFailure::new("bad-pattern", error.to_string()))?;
    let mut starts = Vec::new();
    if sources::is_wildcard(start) {
        sources::wildcard(copy, start, &mut starts)?;
    } else {
        let found = sources::one(copy.from, &At::clean(start));
        starts.push(found.ok_or_else(|| sources::not_found(copy, start))?);
        let must_be_there = !sources::is_wildcard(&text);
        let whole = || format!("{start}/{text}");
        if must_be_there && copy.from.resolve(whole(), false).ok().and_then(|at| copy.from.get(&at)).is_none()
        {
            return Err(sources::not_found(copy, &pattern.text));
        }
    }
    for start in &starts {
        if start.is_dir {
            place::directory(copy, start, Some(&take), delta)?;
        } else {
            place::file(copy, start, delta)?;
        }
    }
    Ok(())
}
