//! COPY and ADD as instructions: words expanded, the source tree found, the owner looked up; then `copy` does it.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use samebuild_dockerfile::chmod::{self, Chmod};
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::syntax;
use samebuild_dockerfile::{AddInstruction, CopyInstruction, Source, Transfer, Word, remote};
use samebuild_image::{At, Content, Digest, Kind, Meta, Tree};

use super::copy::remote::Remote;
use super::copy::{
    self, ChecksumOfLocal, ChmodWord, Copy, HeredocSources, Owner, OwnerLookedUp, Pattern, UrlChecksum,
};
use crate::delta::Delta;
use crate::dialect::rules::{ChownGroup, Link, OwnerNumber, UnknownOwner};
use crate::failure::StepFailure;
use crate::history::{CopyLine, HistoryText, Line};
use crate::session::{Session, StepError};
use crate::stage::{Stage, Variables};
use crate::unpacked::{self, saved::saved};
use crate::users::Users;

/// COPY.
pub fn copy(
    stage: &mut Stage,
    session: &Session<'_>,
    instruction: &CopyInstruction,
) -> Result<(), StepError> {
    if session.only_names && instruction.from.is_some() {
        return Ok(());
    }
    let placed = |error: StepError, from: &Word| match error {
        StepError::Failed(failure) => StepError::Failed(failure.at(from.span)),
        other => other,
    };
    let from = instruction
        .from
        .as_ref()
        .map(|from| session.tree_of(stage.index, from).map_err(|error| placed(error, from)));
    let from = from.transpose()?;
    let from = match (&instruction.from, from) {
        (Some(word), Some(tree)) if session.saves_files_of(stage.index, word) => {
            // Those of other stages have their own variables; mostly they have none.
            let expanded =
                |word: &Word| stage.word(&session.expander, &word.text).unwrap_or_else(|_| word.text.clone());
            let patterns: Vec<String> =
                session.copied_from(stage.index, word).into_iter().map(expanded).collect();
            Some(saved(&tree, &patterns, session.dialect.unpacked.own_name, session.now())?)
        }
        (_, from) => from,
    };
    let how = From::Tree { tree: from, parents: instruction.parents };
    Ok(transfer(stage, session, &instruction.transfer, how)?)
}

/// What COPY and ADD do not share.
pub(crate) enum From {
    /// COPY: from the context, or from this tree.
    Tree { tree: Option<Tree>, parents: bool },
    /// ADD: from the context, or from behind a URL.
    Anywhere(Add),
}

/// What ADD alone is asked.
pub(crate) struct Add {
    /// `--unpack`; archives of the context are unpacked without it.
    pub(crate) unpack: Option<bool>,
    /// What is fetched must have this digest.
    pub(crate) checksum: Option<Digest>,
}

impl From {
    pub(crate) fn keyword(&self) -> &'static str {
        match self {
            Self::Tree { .. } => "COPY",
            Self::Anywhere(_) => "ADD",
        }
    }
}

/// ADD.
pub fn add(
    stage: &mut Stage,
    session: &Session<'_>,
    instruction: &AddInstruction,
) -> Result<(), StepFailure> {
    let how = Add { unpack: instruction.unpack, checksum: checksum(stage, session, instruction)? };
    transfer(stage, session, &instruction.transfer, From::Anywhere(how))
}

/// The checksum that what is fetched must have, if anybody looks at it.
pub(crate) fn checksum(
    stage: &Stage,
    session: &Session<'_>,
    add: &AddInstruction,
) -> Result<Option<Digest>, StepFailure> {
    let Some(word) = &add.checksum else { return Ok(None) };
    let rules = &session.dialect.copy;
    if rules.checksum_of_local == ChecksumOfLocal::Fails {
        let paths: Vec<&Word> = add.transfer.paths().collect();
        let sources = paths.iter().map(|path| stage.word(&session.expander, &path.text));
        let sources: Vec<String> = sources.collect::<Result<_, _>>()?;
        let is_remote = |source: &String| remote::kind(source, &session.dialect.syntax) != remote::Remote::No;
        if sources.len() != 1 || !sources.iter().all(is_remote) {
            let message = "add with --checksum: it is for one source behind http(s); leave it out for files of the context";
            return Err(StepFailure::new("checksum-of-local", message).at(word.span));
        }
    }
    if rules.url_checksum == UrlChecksum::Ignored {
        return Ok(None);
    }
    let text = stage.word(&session.expander, &word.text)?;
    copy::remote::checksum(&text).map(Some).map_err(|failure| failure.at(word.span))
}

fn transfer(
    stage: &mut Stage,
    session: &Session<'_>,
    transfer: &Transfer,
    how: From,
) -> Result<(), StepFailure> {
    let word =
        |word: &Word| stage.word(&session.expander, &word.text).map_err(|failure| failure.at(word.span));
    let dest = word(&transfer.destination)?;
    let sources = sources(stage, session, transfer, &dest, &how)?;
    let (from, parents) = match &how {
        From::Tree { tree, parents } => (tree.as_ref(), *parents),
        From::Anywhere(_) => (None, false),
    };
    // An empty one is none.
    let chown = transfer.chown.as_ref().map(word).transpose()?.filter(|text| !text.is_empty());
    let chmod = transfer.chmod.as_ref().map(|chmod| match session.dialect.copy.chmod_word {
        ChmodWord::Expanded => word(chmod),
        ChmodWord::AsWritten => Ok(chmod.text.clone()),
    });
    let chmod = chmod.transpose()?.filter(|text: &String| !text.is_empty());
    let placed = |flag: &Option<Word>| {
        let span = flag.as_ref().map(|word| word.span);
        move |failure: StepFailure| StepFailure { at: failure.at.or(span), ..failure }
    };
    // Names are looked up in the file system, when there is one.
    let owner = chown.as_ref().filter(|_| !session.converts).map(|chown| owner(stage, session, chown));
    let owner = owner.transpose().map_err(placed(&transfer.chown));
    let sources_first = session.dialect.copy.owner_looked_up == OwnerLookedUp::AfterSources;
    let (owner, nobody) = match owner {
        Err(failure) if sources_first => (None, Some(failure)),
        owner => (owner?, None),
    };
    let mode = chmod.as_ref().map(|text| mode(text, session)).transpose();
    let mode = mode.map_err(placed(&transfer.chmod))?.flatten();
    let exclude: Vec<&str> = transfer.exclude.iter().map(|word| word.text.as_str()).collect();
    let exclude = IgnoreFile::of(exclude, &session.dialect.syntax)
        .map_err(|error| StepFailure::new("bad-pattern", error.to_string()))?;
    let spool = || {
        session
            .scratch()
            .map_err(|error| StepFailure::new("no-scratch", format!("make a scratch directory: {error:?}")))
    };
    let copies: Vec<Copy<'_>> = sources
        .parts
        .iter()
        .map(|part| Copy {
            patterns: &part.patterns,
            several: sources.parts.len() > 1,
            from: part.tree.as_ref().or(from).unwrap_or(&session.context),
            whole: (from.is_none() && part.tree.is_none()).then_some(session.request.context),
            from_context: from.is_none(),
            nameless: part.nameless,
            dest: &dest,
            workdir: &stage.config.working_dir,
            owner,
            mode: mode.clone(),
            exclude: &exclude,
            unpack: part.unpack,
            literal: part.tree.is_some(),
            parents: parents && part.tree.is_none(),
            syntax: &session.dialect.syntax,
            spool: &spool,
            rules: &session.dialect.copy,
        })
        .collect();
    if session.converts {
        let of_context = copies.iter().filter(|copy| copy.from_context && !copy.literal);
        let texts = of_context.flat_map(|copy| copy.patterns).map(|pattern| pattern.text.clone());
        session.named.lock().unwrap_or_else(PoisonError::into_inner).extend(texts);
        return copies.iter().find_map(copy::sources::known_missing).map_or(Ok(()), Err);
    }
    if let Some(failure) = nobody {
        copies.iter().try_for_each(|copy| copy::sources_of(copy).map(drop))?;
        return Err(failure);
    }
    let own_layer = transfer.link && session.dialect.image.link == Link::OwnLayer;
    let nothing = Tree::new();
    let mut delta = Delta::new(if own_layer { &nothing } else { &stage.tree }, session.now());
    let mut content = Default::default();
    for (part, copy) in sources.parts.iter().zip(&copies) {
        copy::copy(copy, &mut delta)?;
        if session.dialect.history.text == HistoryText::NopComment {
            content = content_kind(copy, part.is_fetched, sources.parts.len() > 1)?;
        }
    }
    if unpacked::is_spoken(session) {
        stage.unpacked.wrote(delta.named().to_vec(), &session.dialect.unpacked);
        stage.tree = delta.into_tree();
        return Ok(());
    }
    let (mut tree, layer) = delta.finish(session.dialect.image.layer_form);
    if own_layer {
        tree = stage.tree.clone();
        tree.apply(&layer).map_err(|error| StepFailure::new("copy-link", error.to_string()))?;
    }
    stage.push_computed(layer, tree);
    stage.record(
        session.dialect,
        &Line::Copy(CopyLine {
            keyword: how.keyword(),
            content,
            sources: sources.shown,
            dest,
            chown,
            chmod,
            parents,
        }),
        false,
    );
    Ok(())
}

/// The sources of one instruction: paths that are looked up together, and texts, each a tree with one file.
pub(crate) struct Sources {
    pub(crate) parts: Vec<Part>,
    /// As the history shows them.
    pub(crate) shown: Vec<String>,
}

pub(crate) struct Part {
    pub(crate) patterns: Vec<Pattern>,
    /// Where the patterns are looked up, if it is not the context or the tree of `--from`; they are names then.
    pub(crate) tree: Option<Tree>,
    pub(crate) unpack: bool,
    pub(crate) is_fetched: bool,
    /// It goes to the destination itself.
    pub(crate) nameless: bool,
}

pub(crate) fn sources(
    stage: &Stage,
    session: &Session<'_>,
    transfer: &Transfer,
    dest: &str,
    how: &From,
) -> Result<Sources, StepFailure> {
    let mut parts: Vec<Part> = Vec::new();
    let mut shown = Vec::new();
    // Texts come last, wherever they stand.
    let is_path = |source: &&Source| matches!(source, Source::Path(_));
    let paths = transfer.sources.iter().filter(is_path);
    for source in paths.chain(transfer.sources.iter().filter(|source| !is_path(source))) {
        match source {
            Source::Path(path) => {
                let span = path.span;
                let path = stage.word(&session.expander, &path.text).map_err(|failure| failure.at(span))?;
                shown.push(path.clone());
                let fetched = fetched(session, &path, dest, how).map_err(|failure| failure.at(span))?;
                let nameless = fetched.as_ref().is_some_and(|remote| remote.nameless);
                let (name, tree, is_fetched) = match fetched {
                    Some(remote) => (remote.name, Some(remote.tree), true),
                    None => (path, None, false),
                };
                let pattern = Pattern { text: name, span };
                let unpack = match how {
                    From::Anywhere(add) => add.unpack.unwrap_or(!is_fetched),
                    From::Tree { .. } => false,
                };
                match parts.last_mut() {
                    Some(part) if part.tree.is_none() && tree.is_none() => part.patterns.push(pattern),
                    _ => parts.push(Part { patterns: vec![pattern], tree, unpack, is_fetched, nameless }),
                }
            }
            Source::Heredoc(..) if session.dialect.copy.heredoc_sources == HeredocSources::Ignored => {}
            Source::Heredoc(word, heredoc) => {
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
                let patterns = vec![Pattern { text: heredoc.name.clone(), span: word.span }];
                parts.push(Part {
                    patterns,
                    tree: Some(tree),
                    unpack: false,
                    is_fetched: false,
                    nameless: false,
                });
            }
        }
    }
    if parts.is_empty() {
        let message = format!("{}: there is nothing to copy; name a source", how.keyword());
        return Err(StepFailure::new("copy-no-match", message));
    }
    Ok(Sources { parts, shown })
}

/// What is behind a source that is not a path; `None` for a path.
fn fetched(
    session: &Session<'_>,
    source: &str,
    dest: &str,
    how: &From,
) -> Result<Option<Remote>, StepFailure> {
    let From::Anywhere(add) = how else {
        return remote::check_copy(source, &session.dialect.syntax).map(|()| None).map_err(|error| {
            StepFailure::new(error.class.slug(), error.to_string()).says(error.builder_message)
        });
    };
    match remote::kind(source, &session.dialect.syntax) {
        remote::Remote::No => Ok(None),
        _ if session.converts => Ok(Some(Remote::unseen(source))),
        remote::Remote::Git => Err(StepFailure::unsupported(
            "ADD of a git repository (a path of the context or an http(s) URL would do; clone it into the context)",
        )),
        remote::Remote::Http => {
            let found = copy::remote::fetch(session, source, dest)?;
            if let Some(promised) = add.checksum {
                copy::remote::verify(source, found.digest, promised)?;
            }
            Ok(Some(found))
        }
    }
}

/// The mode of `--chmod`; `None` if it is passed over.
fn mode(text: &str, session: &Session<'_>) -> Result<Option<Chmod>, StepFailure> {
    match chmod::parse(text, &session.dialect.syntax) {
        Ok(mode) => Ok(Some(mode)),
        Err(_) if session.dialect.syntax.chmod == syntax::Chmod::OctalElseIgnored => Ok(None),
        Err(error) => Err(StepFailure::new("bad-chmod", error.to_string()).says(error.builder_message)),
    }
}

/// `user[:group]` by name or number. Without a group a number stands for the group too, a name for its own group.
fn owner(stage: &Stage, session: &Session<'_>, text: &str) -> Result<Owner, StepFailure> {
    let users =
        Users::of(&stage.tree).map_err(|error| StepFailure::new("unreadable-passwd", error.to_string()))?;
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let unknown = |kind: &str, name: &str| {
        let message = format!(
            "change the owner to `{text}`: the image's /etc/passwd and /etc/group know no {kind} `{name}`; use a number"
        );
        StepFailure::new("unknown-owner", message)
    };
    let number = |text: &str| number(text, session.dialect.image.owner_number);
    let name_first = session.dialect.image.owner_number == OwnerNumber::NameFirst;
    let by_name = users.user(user).filter(|_| name_first || number(user).is_none());
    let uid: Option<u64> = by_name.map(|user| user.uid.into()).or_else(|| number(user));
    let of_group = |name: &str| {
        let by_name = users.group(name).filter(|_| name_first || number(name).is_none());
        by_name.map(|group| group.gid.into()).or_else(|| number(name))
    };
    let gid: Option<u64> = match group {
        // Nothing after the colon is nobody's group where names need not be known.
        Some("") if session.dialect.image.unknown_owner != UnknownOwner::Fails => Some(0),
        Some(group) => of_group(group),
        None => match session.dialect.image.chown_group {
            ChownGroup::OfTheUser => by_name.map(|user| user.gid.into()).or(uid),
            ChownGroup::SameNumber => uid,
            ChownGroup::OfTheSameName => of_group(user),
        },
    };
    // Without a file system there is nothing to look a name up in.
    let rule = session.dialect.image.unknown_owner;
    let rule = if stage.layers.is_empty() { UnknownOwner::Fails } else { rule };
    let lists = |file: &str| stage.tree.get(&At::clean(file)).is_some();
    let rule = match rule {
        UnknownOwner::IsRootIfListed if uid.is_none() && !lists("etc/passwd") => UnknownOwner::Fails,
        UnknownOwner::IsRootIfListed if gid.is_none() && !lists("etc/group") => UnknownOwner::Fails,
        UnknownOwner::IsRootIfListed => UnknownOwner::IsRoot,
        rule => rule,
    };
    match (uid, gid, rule) {
        (Some(uid), Some(gid), _) => Ok(Owner { uid, gid }),
        (uid, gid, UnknownOwner::IsRoot | UnknownOwner::IsRootIfListed) => {
            // A group that is named and not there leaves the user's.
            let of_the_user = || by_name.map(|user| user.gid.into()).or(uid).filter(|_| group.is_some());
            Ok(Owner { uid: uid.unwrap_or(0), gid: gid.or_else(of_the_user).unwrap_or(0) })
        }
        (None, _, UnknownOwner::Fails) => Err(unknown("user", user)),
        (_, None, UnknownOwner::Fails) => Err(unknown("group", group.unwrap_or(user))),
    }
}

/// A number as an owner.
fn number(text: &str, rule: OwnerNumber) -> Option<u64> {
    match rule {
        OwnerNumber::ThirtyTwoBits | OwnerNumber::NameFirst => text.parse::<u32>().ok().map(u64::from),
        OwnerNumber::AnyNumber => match text.parse::<i64>().ok()? {
            -1 => Some(0), // left as it was, which is root's
            number => Some(number as u64 & u64::from(u32::MAX)),
        },
    }
}

/// `file`, `dir`, `multi` or nothing at all before what was fetched, with a number for what is copied: the classic builder's history names content that way. The
/// number is ours, of names, modes and sizes: theirs is a digest that covers tar headers of their own making, and counts as an
/// id. To take one of the contents would be to read each file once more than it takes to write it.
fn content_kind(
    copy: &Copy<'_>,
    is_fetched: bool,
    is_one_of_several: bool,
) -> Result<(&'static str, String), StepFailure> {
    let sources = copy::sources::find(copy)?;
    let kind = match sources.as_slice() {
        _ if is_one_of_several => "multi",
        [_] if is_fetched => "",
        [one] if one.is_dir => "dir",
        [_] => "file",
        _ => "multi",
    };
    let mut told = BTreeMap::new();
    for source in &sources {
        for (at, _, inode) in copy.from.within(&source.at) {
            let what = match &inode.kind {
                Kind::File(content) => format!("file of {} bytes", content.size()),
                other => other.word().to_owned(),
            };
            told.insert(at.clone(), (inode.meta.mode, what));
        }
    }
    Ok((kind, Digest::of(format!("{told:?}").as_bytes()).hex()))
}
