//! What was found in the cache and is not what it should be: it is forgotten, and the build begins anew without it, before the
//! image is there and after. How damage is noticed is the cache's affair.

use super::build_without;
use crate::cache::Damaged;
use crate::cache::turn::Damage;
use crate::request::{BuildError, Built, Event, Request};

/// Builds, and has `write` do something with the image. Where that fails and something the build found in the cache is damaged,
/// which nobody may have read before, both are done once more without it.
///
/// # Errors
/// The build's, or those of `write`.
pub fn build_into<T, E: From<BuildError>>(
    request: &Request<'_>,
    mut write: impl FnMut(&Built) -> Result<T, E>,
) -> Result<(Built, T), E> {
    let mut damage = Damage::default();
    let built = build_without(request, &mut damage)?;
    let error = match write(&built) {
        Ok(written) => return Ok((built, written)),
        Err(error) => error,
    };
    let found = request.cache.map(|cache| cache.damaged(&built.cache)).unwrap_or_default();
    if found.is_empty() {
        return Err(error);
    }
    damage.pass_over(request, found);
    let built = build_without(request, &mut damage)?;
    let written = write(&built)?;
    Ok((built, written))
}

impl Damage {
    /// Whether a build failed for what it found in the cache: that is forgotten, once each, and the build may begin anew.
    pub(super) fn is_to_blame(&mut self, error: &BuildError, request: &Request<'_>) -> bool {
        let found = self.noticed.take().into_iter().chain(told_by(error));
        self.pass_over(request, found.collect()) > 0
    }

    /// Takes entries that cannot be read out of the cache, once each; how many are new.
    fn pass_over(&mut self, request: &Request<'_>, found: Vec<Damaged>) -> usize {
        let tell = |what: &str| (request.progress)(Event::CacheWarning(what));
        let before = self.keys.len();
        for found in found {
            if self.keys.insert(found.key) {
                tell(&format!("{found}; the build begins anew without it"));
                if let Some(Err(error)) = request.cache.map(|cache| cache.forget(&found)) {
                    tell(&error.to_string());
                }
            }
        }
        self.keys.len() - before
    }
}

/// What a build says that could not use what it found.
fn told_by(error: &BuildError) -> Option<Damaged> {
    match error {
        BuildError::Broken { source, .. } => source.downcast_ref::<Damaged>().cloned(),
        _ => None,
    }
}
