//! WORKDIR: the path it means and the directories it makes.

use samebuild_image::{At, Meta, Mtime};

use super::copy::Owner;
use crate::delta::Delta;
use crate::dialect::rules::{EmptyStep, WorkdirEmpty, WorkdirOwner, WorkdirText};
use crate::failure::StepFailure;
use crate::history::Line;
use crate::session::Session;
use crate::stage::Stage;
use crate::stamp::SourceDateEpoch;
use crate::unpacked;
use crate::users::Users;

/// Makes `path` (expanded) the working directory.
pub fn workdir(stage: &mut Stage, session: &Session<'_>, path: &str) -> Result<(), StepFailure> {
    if path.is_empty() && session.dialect.image.workdir_empty == WorkdirEmpty::Fails {
        let message = "change the working directory to nothing: the path is empty after expansion; name one";
        return Err(StepFailure::new("workdir-empty", message));
    }
    let path = match session.dialect.image.workdir_text {
        WorkdirText::AsWritten => absolute(&stage.config.working_dir, path),
        WorkdirText::Cleaned => At::clean(absolute(&stage.config.working_dir, path)).to_string(),
        WorkdirText::CleanedToTheEnd => {
            let clean = At::clean(absolute(&stage.config.working_dir, path)).to_string();
            let is_dir = |at: &At| stage.tree.get(at).is_some_and(|inode| inode.kind.is_dir());
            let is_there = stage.tree.resolve(path, true).is_ok_and(|at| is_dir(&at));
            let slash = path.starts_with('/') && path.ends_with('/') && clean != "/" && !is_there;
            if slash { format!("{clean}/") } else { clean }
        }
    };
    stage.config.working_dir.clone_from(&path);
    if session.converts {
        return Ok(());
    }
    let line = Line::Workdir(path.clone());
    if unpacked::is_spoken(session) {
        return in_root(stage, session, &path);
    }
    // What only means the root, `//` or a link, is a step like any other.
    if path == "/" {
        stage.record(session.dialect, &line, true);
        return Ok(());
    }
    let mut delta = Delta::new(&stage.tree, made_at(session));
    let at =
        delta.resolve(&path, true).map_err(|error| StepFailure::new("symlink-loop", error.to_string()))?;
    let made = make(&mut delta, &at, stage, session.dialect.image.workdir_owner)
        .map_err(|in_the_way| not_a_directory(&path, &in_the_way))?;
    if made.is_empty() && session.dialect.image.empty_step == EmptyStep::NoLayer {
        stage.record(session.dialect, &line, true);
        return Ok(());
    }
    let (tree, layer) = delta.finish(session.dialect.image.layer_form);
    stage.push_computed(layer, tree);
    stage.record(session.dialect, &line, false);
    Ok(())
}

/// Makes the directories that are missing, each for its owner; which were made, or what is in the way.
fn make(delta: &mut Delta, at: &At, stage: &Stage, rule: WorkdirOwner) -> Result<Vec<At>, At> {
    let last = match rule {
        WorkdirOwner::Root => Owner::default(),
        WorkdirOwner::CurrentUser | WorkdirOwner::LastToUser => current_user(stage),
    };
    let above = if rule == WorkdirOwner::LastToUser { Owner::default() } else { last };
    let meta = Meta { uid: above.uid, gid: above.gid, ..Meta::new(0o755, delta.now()) };
    let made = delta.make_dirs(at, &meta)?;
    if rule == WorkdirOwner::LastToUser && !made.is_empty() {
        delta.change(at, |meta| (meta.uid, meta.gid) = (last.uid, last.uid));
    }
    Ok(made)
}

/// The time of directories that are made.
fn made_at(session: &Session<'_>) -> Mtime {
    match (session.stamp.epoch(), session.dialect.image.source_date_epoch) {
        (Some(epoch), SourceDateEpoch::DatesImageAndWorkdir) => Mtime::secs(epoch),
        _ => session.now(),
    }
}

/// The same where snapshots find the layer. Whatever is there, or in the way, or cannot be looked up, is left alone.
fn in_root(stage: &mut Stage, session: &Session<'_>, path: &str) -> Result<(), StepFailure> {
    let mut delta = Delta::new(&stage.tree, session.now());
    let in_the_way = |at: &At| delta.tree().get(at).is_some_and(|inode| !inode.kind.is_dir());
    let at = match delta.resolve(path, true) {
        Ok(at) if !in_the_way(&at) && !at.parents().any(|dir| in_the_way(&dir)) => at,
        _ => {
            stage.unpacked.workdir(&[], &At::clean(path), &session.dialect.unpacked);
            return Ok(());
        }
    };
    let rule = session.dialect.image.workdir_owner;
    let made = make(&mut delta, &at, stage, rule).map_err(|in_the_way| not_a_directory(&at, &in_the_way))?;
    if !made.is_empty() && rule == WorkdirOwner::LastToUser && unknown_user(stage) {
        let message = format!(
            "make the working directory {at}: the image does not know the user `{}`; use a number",
            stage.config.user
        );
        return Err(StepFailure::new("unknown-user", message));
    }
    stage.unpacked.workdir(&made, &At::clean(path), &session.dialect.unpacked);
    stage.tree = delta.into_tree();
    Ok(())
}

fn not_a_directory(path: impl std::fmt::Display, in_the_way: &At) -> StepFailure {
    StepFailure::new(
        "not-a-directory",
        format!("make the working directory {path}: {in_the_way} is not a directory"),
    )
}

/// Whether USER is a name that the image does not know.
fn unknown_user(stage: &Stage) -> bool {
    let name = stage.config.user.split(':').next().unwrap_or_default();
    let known = || Users::of(&stage.tree).is_ok_and(|users| users.user(name).is_some());
    !name.is_empty() && name.parse::<u64>().is_err() && !known()
}

/// A relative path joins the previous directory and is cleaned; an absolute one stays as written.
fn absolute(previous: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let joined = At::clean(format!("{previous}/{path}"));
    joined.to_string()
}

/// Who USER names now; a name the image does not know is root.
fn current_user(stage: &Stage) -> Owner {
    let Ok(users) = Users::of(&stage.tree) else { return Owner::default() };
    let (name, group) =
        stage.config.user.split_once(':').map_or((stage.config.user.as_str(), None), |(n, g)| (n, Some(g)));
    let (uid, own_gid) = match users.user(name) {
        Some(user) => (u64::from(user.uid), u64::from(user.gid)),
        // A number without an entry stands for the group as well.
        None => name.parse().map_or((0, 0), |uid: u64| (uid, uid)),
    };
    let gid = group
        .and_then(|group| users.group(group).map(|group| group.gid.into()).or_else(|| group.parse().ok()));
    Owner { uid, gid: gid.unwrap_or(own_gid) }
}
