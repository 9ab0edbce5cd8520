//! Whether the reference builder makes the same image every time: two builds with SOURCE_DATE_EPOCH and clamped times,
//! two with all times set, the second of those of a context whose files have been touched. What real builders do when
//! they build twice is not looked at here.

use samebuild_builder::{BuildError, Built, Stamp, dialect};
use samebuild_compare::{Options, compare, render};
use samebuild_image::{Compression, Mtime, Tree};

use crate::builders::reference::{OneBase, Room, build, manifest};
use crate::builders::{Ground, Order};
use crate::cases::{CONTEXT_EPOCH, Case};

/// What two builds came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Twice {
    /// One manifest digest, each time.
    Same,
    /// In what they differ, in words.
    Differs(String),
    /// There is no image, and why.
    NotExercised(String),
}

/// The dialects that are enough to ask: between them they take every way to find, date and write a layer.
pub const DIALECTS: [&str; 3] = ["classic@26.1", "buildkit@26.1", "buildkit@head"];

/// What is wrong with `case`, if anything: it makes two images and does not say so, or says so and does not, as far as
/// four builds in each dialect can tell. `None` with a reason counts as not exercised.
///
/// # Errors
/// The finding, with what to do about it.
pub fn judge(case: &Case, ground: &Ground, room: Room<'_>) -> Result<Option<String>, String> {
    let (mut same, mut reason) = (0, None);
    for id in DIALECTS {
        match (twice(case, id, ground, room), &case.never_twice) {
            (Twice::Same, _) => same += 1,
            (Twice::Differs(_), Some(_)) => return Ok(None),
            // The content of these files is declared to be the run's.
            (Twice::Differs(_), None) if !case.volatile.is_empty() => return Ok(None),
            (Twice::Differs(how), None) => {
                return Err(format!(
                    "{}: two builds in {id} make two images, {how}; if the case must, say why: volatile = \"…\" in case.toml",
                    case.id
                ));
            }
            (Twice::NotExercised(why), _) => reason = Some(why),
        }
    }
    match &case.never_twice {
        Some(_) if same == DIALECTS.len() => Err(format!(
            "{}: `volatile` is stale: its image is the same every time in {}; take the key away",
            case.id,
            DIALECTS.join(", ")
        )),
        _ => Ok(reason),
    }
}

/// Builds `case` four times.
pub fn twice(case: &Case, id: &str, ground: &Ground, room: Room<'_>) -> Twice {
    match try_twice(case, id, ground, room) {
        Ok(None) => Twice::Same,
        Ok(Some(difference)) => Twice::Differs(difference),
        Err(why) => Twice::NotExercised(why),
    }
}

fn try_twice(case: &Case, id: &str, ground: &Ground, room: Room<'_>) -> Result<Option<String>, String> {
    let dialect = dialect::find(id).map_err(|error| error.to_string())?;
    let context = case.context_tree();
    let epoch = a_day_later();
    let order = Order::new(case, id, ground);
    let underway = case.underway().map_err(|error| format!("serve its pages: {error}"))?;
    let made = |context: &Tree, stamp| {
        let built = build(&order, dialect, context, &OneBase::new(&order), stamp, &underway, room)
            .map_err(|error| said(&error))?;
        let digest = manifest(&built, dialect, Compression::None)
            .map_err(|error| format!("write the image: {error}"))?;
        Ok::<_, String>((built, digest))
    };
    for (stamp, second, way) in [
        (Stamp::Clamped(epoch), context.clone(), "with clamped times"),
        (Stamp::Set(epoch), touched(&context), "with all times set, after the context was touched"),
    ] {
        let (left, right) = (made(&context, stamp)?, made(&second, stamp)?);
        if left.1 != right.1 {
            return Ok(Some(format!("{way}: {}", difference(&left.0, &right.0))));
        }
    }
    Ok(None)
}

/// A day after the context, so that clamping has something to do with what is made now, and with nothing else.
pub(super) fn a_day_later() -> i64 {
    CONTEXT_EPOCH.timestamp().map_or(0, |(secs, _)| secs) + 24 * 60 * 60
}

fn said(error: &BuildError) -> String {
    match error {
        BuildError::Failed(failure) => format!("it fails: {}", failure.class),
        other => other.to_string(),
    }
}

/// The same files, as a later checkout would date them.
fn touched(context: &Tree) -> Tree {
    let mut touched = context.clone();
    let mut secs = 1_700_000_000..;
    touched.change_meta(|_, _, meta| meta.mtime = Mtime::At { secs: secs.next().unwrap_or(0), nanos: 7 });
    touched
}

fn difference(left: &Built, right: &Built) -> String {
    match compare(&left.image, &right.image, &Options::strict()) {
        Ok(differences) if differences.is_empty() => "in no way that a rule knows".to_owned(),
        Ok(differences) => render(&differences).trim_end().replace('\n', "; "),
        Err(error) => error.to_string(),
    }
}
