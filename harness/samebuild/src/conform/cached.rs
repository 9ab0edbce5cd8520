//! Whether the layer cache changes what is built: a case is built without it, with an empty one, with all that was kept, and
//! with every second entry forgotten, so that steps are carried out on ones that were found. Each must end as the first did: in
//! the same manifest, times being clamped, or in the same failure. What a key is made of is the builder's affair.

use std::sync::Arc;

use samebuild_builder::cache::keys::Keys;
use samebuild_builder::cache::{Backend as _, Fate, Key, LayerCache, Local, Looked};
use samebuild_builder::{BuildError, Stamp, dialect};
use samebuild_image::{Compression, Digest};

use super::twice::a_day_later;
use crate::builders::reference::{OneBase, Room, build, manifest};
use crate::builders::{Ground, Order};
use crate::cases::{Case, Underway};

/// What building the cases one by one came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Builds that were held against one without a cache, or one that filled it.
    pub held: usize,
    /// What differs, a line each: the dialect first.
    pub wrong: Vec<String>,
    /// Why it was not built, a line for each dialect.
    pub unmet: Vec<String>,
}

/// How a build ended, as far as it must be the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Image(Digest),
    Failure(String),
}

/// A build that ended, and which of its steps were looked for; nobody is told which where it failed.
struct Ended {
    end: End,
    looked: Vec<Looked>,
}

/// What an attempt needs; the same for all of one case.
struct Attempt<'a> {
    order: Order<'a>,
    underway: &'a Underway,
    room: Room<'a>,
}

/// Builds `case` in each of the dialects, all with one cache.
///
/// # Errors
/// There is no room for a cache, or nowhere to serve the case's pages.
pub fn judge(case: &Case, ids: &[&str], ground: &Ground, room: Room<'_>) -> Result<Judged, String> {
    let dir = tempfile::tempdir_in(room.work).map_err(|error| format!("make room for a cache: {error}"))?;
    let local = Arc::new(Local::new(dir.path()));
    let cache = LayerCache::at(Arc::clone(&local) as _);
    let underway = case.underway().map_err(|error| format!("serve its pages: {error}"))?;
    let mut judged = Judged::default();
    for id in ids {
        let attempt = Attempt { order: Order::new(case, id, ground), underway: &underway, room };
        if let Err(why) = one(&attempt, &local, &cache, &mut judged) {
            judged.unmet.push(format!("{id}: {why}"));
        }
    }
    Ok(judged)
}

/// One dialect; an error is why there is nothing to hold against anything.
fn one(attempt: &Attempt<'_>, local: &Local, cache: &LayerCache, judged: &mut Judged) -> Result<(), String> {
    let id = attempt.order.dialect;
    let cold = attempt.end(None)?;
    let filling = attempt.end(Some(cache))?;
    let full = attempt.end(Some(cache))?;
    // What is another image each time has nothing to be held against but what was kept of it.
    let is_chance = attempt.order.case.volatile_why().is_some();
    if !is_chance {
        judged.hold(&format!("{id}, an empty cache"), &cold, &filling);
    }
    if !is_chance || full.looked.iter().all(|looked| matches!(looked.fate, Fate::Found(_))) {
        judged.hold(&format!("{id}, a full cache"), &filling, &full);
    }
    if let Some(carried) = full.looked.iter().find(|looked| looked.fate == Fate::CarriedOut) {
        judged.wrong.push(format!("{id}, a full cache: {carried:?}, and it was kept a moment ago"));
    }
    let keys: Vec<Key> = full.looked.iter().filter_map(|looked| looked.key).collect();
    for parity in [0, 1].into_iter().filter(|parity| !is_chance && keys.len() > *parity) {
        for key in keys.iter().skip(parity).step_by(2) {
            local.forget(key, &[]).map_err(|error| error.to_string())?;
        }
        judged.hold(&format!("{id}, half a cache"), &cold, &attempt.end(Some(cache))?);
    }
    Ok(())
}

/// Builds every case in one dialect with one cache, by these keys, after all that were before it: a line for each that is
/// not what it is without. Cases of chance are left out, and so are those that are not built here.
///
/// # Errors
/// There is no room for a cache, or nowhere to serve a case's pages.
pub fn together<'a>(
    cases: impl IntoIterator<Item = (&'a Case, &'a Ground)>,
    id: &str,
    keys: &'static Keys,
    room: Room<'_>,
) -> Result<Judged, String> {
    let dir = tempfile::tempdir_in(room.work).map_err(|error| format!("make room for a cache: {error}"))?;
    let cache = LayerCache { keys, ..LayerCache::at(Arc::new(Local::new(dir.path()))) };
    let mut judged = Judged::default();
    for (case, ground) in cases.into_iter().filter(|(case, _)| case.volatile_why().is_none()) {
        let underway = case.underway().map_err(|error| format!("serve the pages of {}: {error}", case.id))?;
        let attempt = Attempt { order: Order::new(case, id, ground), underway: &underway, room };
        match attempt.end(None).and_then(|cold| Ok((cold, attempt.end(Some(&cache))?))) {
            Ok((cold, cached)) => judged.hold(case.id.as_str(), &cold, &cached),
            Err(why) => judged.unmet.push(format!("{}: {why}", case.id)),
        }
    }
    Ok(judged)
}

impl Judged {
    fn hold(&mut self, what: &str, first: &Ended, second: &Ended) {
        self.held += 1;
        if first.end != second.end {
            let line = format!("{what}: {:?}, and it was {:?}; {:?}", second.end, first.end, second.looked);
            self.wrong.push(line);
        }
    }
}

impl Attempt<'_> {
    /// Builds; an error is why nobody knows how it would end.
    fn end(&self, cache: Option<&LayerCache>) -> Result<Ended, String> {
        let dialect = dialect::find(self.order.dialect).map_err(|error| error.to_string())?;
        let (context, room) = (self.order.case.context_tree(), Room { cache, ..self.room });
        let images = OneBase::new(&self.order);
        let stamp = Stamp::Clamped(a_day_later());
        match build(&self.order, dialect, &context, &images, stamp, self.underway, room) {
            Ok(built) => {
                let digest = manifest(&built, dialect, Compression::Gzip);
                let end = End::Image(digest.map_err(|error| format!("write the image: {error}"))?);
                Ok(Ended { end, looked: built.cache.looked })
            }
            Err(BuildError::Failed(failure)) => {
                let place = (failure.step, failure.line, failure.column);
                let said = (failure.class, failure.message, failure.builder_message);
                Ok(Ended { end: End::Failure(format!("{place:?} {said:?}")), looked: Vec::new() })
            }
            Err(other) => Err(other.to_string()),
        }
    }
}
