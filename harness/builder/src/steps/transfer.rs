//! COPY and ADD as instructions: words expanded, the source tree found, the owner looked up; then `copy` does it.

use std::collections::BTreeMap;

use samebuild_dockerfile::chmod::{self, Chmod};
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::syntax;
use samebuild_dockerfile::{AddInstruction, CopyInstruction, Source, Transfer, Word};
use samebuild_image::{At, Content, Digest, Kind, Meta, Tree};

use super::copy::{self, ChecksumOfLocal, Copy, HeredocSources, Owner};
use crate::delta::Delta;
use crate::dialect::rules::{ChownGroup, Link, UnknownOwner};
use crate::failure::StepFailure;
use crate::history::{CopyLine, HistoryText, Line};
use crate::session::Session;
use crate::stage::{Stage, Variables};
use crate::users::Users;

/// COPY.
pub fn copy(
    stage: &mut Stage,
    session: &Session<'_>,
    instruction: &CopyInstruction,
) -> Result<(), StepFailure> {
    refuse(&[(instruction.parents, "COPY --parents")])?;
    let from = instruction.from.as_ref().map(|from| session.tree_of(stage.index, from)).transpose()?;
    transfer(stage, session, &instruction.transfer, from.as_ref(), "COPY")
}

/// ADD.
pub fn add(
    stage: &mut Stage,
    session: &Session<'_>,
    instruction: &AddInstruction,
) -> Result<(), StepFailure> {
    refuse(&[(instruction.unpack.is_some(), "ADD --unpack")])?;
    let is_local = |source: &Source| matches!(source, Source::Path(path) if !is_remote(&path.text));
    let refuses = session.dialect.copy.checksum_of_local == ChecksumOfLocal::Fails;
    if instruction.checksum.is_some() && refuses && instruction.transfer.sources.iter().all(is_local) {
        let message =
            "add with --checksum: it is for a source behind http(s); leave it out for files of the context";
        return Err(StepFailure::new("checksum-of-local", message));
    }
    transfer(stage, session, &instruction.transfer, None, "ADD")
}

/// What parses but is not built yet says so, by name; it is never done halfway.
fn refuse(uses: &[(bool, &str)]) -> Result<(), StepFailure> {
    match uses.iter().find(|(used, _)| *used) {
        Some((_, what)) => Err(StepFailure::unsupported(what)),
        None => Ok(()),
    }
}

fn transfer(
    stage: &mut Stage,
    session: &Session<'_>,
    transfer: &Transfer,
    from: Option<&Tree>,
    keyword: &'static str,
) -> Result<(), StepFailure> {
    let sources = sources(stage, session, transfer, keyword)?;
    let word = |word: &Word| stage.word(&session.expander, &word.text);
    let dest = word(&transfer.destination)?;
    let chown = transfer.chown.as_ref().map(word).transpose()?;
    let chmod = transfer.chmod.as_ref().map(word).transpose()?;
    let owner = chown.as_ref().map(|chown| owner(stage, session, chown)).transpose()?;
    let mode = chmod.as_ref().map(|text| mode(text, session)).transpose()?.flatten();
    let exclude: Vec<&str> = transfer.exclude.iter().map(|word| word.text.as_str()).collect();
    let exclude = IgnoreFile::of(exclude, &session.dialect.syntax)
        .map_err(|error| StepFailure::new("bad-pattern", error.to_string()))?;
    let spool = || {
        session
            .scratch()
            .map_err(|error| StepFailure::new("no-scratch", format!("make a scratch directory: {error:?}")))
    };
    let own_layer = transfer.link && session.dialect.image.link == Link::OwnLayer;
    let nothing = Tree::new();
    let mut delta = Delta::new(if own_layer { &nothing } else { &stage.tree }, session.now());
    let mut content = Default::default();
    for part in &sources.parts {
        let request = Copy {
            patterns: &part.patterns,
            several: sources.shown.len() > 1,
            from: part.tree.as_ref().or(from).unwrap_or(&session.context),
            from_context: from.is_none(),
            dest: &dest,
            workdir: &stage.config.working_dir,
            owner,
            mode: mode.clone(),
            exclude: &exclude,
            unpack: keyword == "ADD" && part.tree.is_none(),
            spool: &spool,
            rules: &session.dialect.copy,
        };
        copy::copy(&request, &mut delta)?;
        if session.dialect.history.text == HistoryText::NopComment {
            content = content_kind(&request)?;
        }
    }
    let (mut tree, layer) = delta.finish(session.dialect.image.layer_form);
    if own_layer {
        tree = stage.tree.clone();
        tree.apply(&layer).map_err(|error| StepFailure::new("copy-link", error.to_string()))?;
    }
    stage.push_computed(layer, tree);
    // The history shows the flags as the Dockerfile has them.
    let written = |word: &Option<Word>| word.as_ref().map(|word| word.text.clone());
    let (chown, chmod) = (written(&transfer.chown), written(&transfer.chmod));
    stage.record(
        session.dialect,
        &Line::Copy(CopyLine { keyword, content, sources: sources.shown, dest, chown, chmod }),
        false,
    );
    Ok(())
}

/// The sources of one instruction: paths that are looked up together, and texts, each a tree with one file.
struct Sources {
    parts: Vec<Part>,
    /// As the history shows them.
    shown: Vec<String>,
}

struct Part {
    patterns: Vec<String>,
    /// Where the patterns are looked up, if it is not the context or the tree of `--from`.
    tree: Option<Tree>,
}

fn sources(
    stage: &Stage,
    session: &Session<'_>,
    transfer: &Transfer,
    keyword: &str,
) -> Result<Sources, StepFailure> {
    let mut parts: Vec<Part> = Vec::new();
    let mut shown = Vec::new();
    for source in &transfer.sources {
        match source {
            Source::Path(path) => {
                let path = stage.word(&session.expander, &path.text)?;
                if keyword == "ADD" && is_remote(&path) {
                    return Err(StepFailure::unsupported(&format!(
                        "ADD of a URL or git repository (`{path}`)"
                    )));
                }
                shown.push(path.clone());
                match parts.last_mut() {
                    Some(part) if part.tree.is_none() => part.patterns.push(path),
                    _ => parts.push(Part { patterns: vec![path], tree: None }),
                }
            }
            Source::Heredoc(..) if session.dialect.copy.heredoc_sources == HeredocSources::Ignored => {}
            Source::Heredoc(_, heredoc) => {
                shown.push(format!("<<{}", heredoc.name));
                let body = heredoc.text();
                let text = if heredoc.expand {
                    let expanded = session.expander.heredoc_body(&body, &Variables(stage));
                    expanded.map_err(|e| StepFailure::new(e.class.slug(), e.message))?.text
                } else {
                    body
                };
                let mut tree = Tree::new();
                let at = At::clean(&heredoc.name);
                tree.insert(
                    &at,
                    Kind::File(Content::inline(text.into_bytes())),
                    Meta::new(0o644, session.now()),
                );
                parts.push(Part { patterns: vec![heredoc.name.clone()], tree: Some(tree) });
            }
        }
    }
    if parts.is_empty() {
        let message = format!("{keyword}: there is nothing to copy; name a source");
        return Err(StepFailure::new("copy-no-match", message));
    }
    Ok(Sources { parts, shown })
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git@", "git://", "ssh://"].iter().any(|scheme| source.starts_with(scheme))
}

/// The mode of `--chmod`; `None` if it is passed over.
fn mode(text: &str, session: &Session<'_>) -> Result<Option<Chmod>, StepFailure> {
    match chmod::parse(text, &session.dialect.syntax) {
        Ok(mode) => Ok(Some(mode)),
        Err(_) if session.dialect.syntax.chmod == syntax::Chmod::OctalElseIgnored => Ok(None),
        Err(error) => Err(StepFailure {
            class: "bad-chmod",
            message: error.to_string(),
            builder_message: Some(error.builder_message),
        }),
    }
}

/// `user[:group]` by name or number. Without a group a number stands for the group too, a name for its own group.
fn owner(stage: &Stage, session: &Session<'_>, text: &str) -> Result<Owner, StepFailure> {
    let users =
        Users::of(&stage.tree).map_err(|error| StepFailure::new("unreadable-passwd", error.to_string()))?;
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let unknown = |kind: &str, name: &str| StepFailure {
        class: "unknown-owner",
        message: format!(
            "change the owner to `{text}`: the image's /etc/passwd and /etc/group know no {kind} `{name}`; use a number"
        ),
        builder_message: None,
    };
    let by_name = users.user(user);
    let uid: Option<u64> = by_name.map(|user| user.uid.into()).or_else(|| user.parse().ok());
    let gid: Option<u64> = match group {
        Some(group) => users.group(group).map(|group| group.gid.into()).or_else(|| group.parse().ok()),
        None => match session.dialect.image.chown_group {
            ChownGroup::OfTheUser => by_name.map(|user| user.gid.into()).or(uid),
            ChownGroup::OfTheSameName => {
                users.group(user).map(|group| group.gid.into()).or_else(|| user.parse().ok())
            }
        },
    };
    match (uid, gid, session.dialect.image.unknown_owner) {
        (Some(uid), Some(gid), _) => Ok(Owner { uid, gid }),
        (uid, gid, UnknownOwner::IsRoot) => Ok(Owner { uid: uid.unwrap_or(0), gid: gid.unwrap_or(0) }),
        (None, _, UnknownOwner::Fails) => Err(unknown("user", user)),
        (_, None, UnknownOwner::Fails) => Err(unknown("group", group.unwrap_or(user))),
    }
}

/// `file`, `dir` or `multi`, with a digest of what is copied: the classic builder's history names content that way. The
/// digest is ours: theirs covers tar headers of their own making, and counts as an id.
fn content_kind(copy: &Copy<'_>) -> Result<(&'static str, String), StepFailure> {
    let sources = copy::sources::find(copy)?;
    let kind = match sources.as_slice() {
        [one] if one.is_dir => "dir",
        [_] => "file",
        _ => "multi",
    };
    let mut told = BTreeMap::new();
    for source in &sources {
        for (at, _, inode) in copy.from.within(&source.at) {
            let digest = match &inode.kind {
                Kind::File(content) => content
                    .digest()
                    .map(|digest| digest.to_string())
                    .map_err(|error| StepFailure::new("unreadable-context", format!("read {at}: {error}")))?,
                other => other.word().to_owned(),
            };
            told.insert(at.clone(), (inode.meta.mode, digest));
        }
    }
    Ok((kind, Digest::of(format!("{told:?}").as_bytes()).hex()))
}
