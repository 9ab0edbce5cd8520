//! Keys as kaniko has taken them at five moments of its history, to show what each of them takes for the same that is not.
//! Nobody should build with them. What was hashed, and in which order, is theirs; the digest is ours, because it is what is
//! left out that makes wrong hits. Facts: GoogleContainerTools/kaniko #353, #375, #387, #525, #639, #1085, #1693, #1915, #2559, #2968.

use samebuild_dockerfile::{Instruction, InstructionKind};
use samebuild_image::digest::Hasher;
use samebuild_image::{At, Digest, Kind, Tree};

use super::super::base::Ground;
use super::super::flaws::Flaw;
use super::super::key::Key;
use super::{Facts, Keys};
use crate::steps::copy::Copy;
use crate::steps::copy::sources;

/// What one moment's key is made of, besides every command before.
struct Rule {
    /// The base by its layers and configuration; else by its manifest's digest, of which a rebuilt one has another.
    base_by_content: bool,
    /// Build arguments before every command.
    args: bool,
    /// Environment and build arguments before every RUN.
    env_of_run: bool,
    /// And before every other command.
    env_of_others: bool,
    /// What `COPY --from` copies.
    from_stages: bool,
}

/// The base's digest and every command before, as written.
const COMMANDS: Rule =
    Rule { base_by_content: false, args: false, env_of_run: false, env_of_others: false, from_stages: false };

/// September 2018: base digest, file system, configuration, command (#353).
pub const Y2018_09: Keys = Keys {
    name: "kaniko-2018-09",
    about: "base digest, file system, configuration and command as written; no build arguments",
    keeps: run_or_copy,
    writes,
    key: |facts| {
        let stage = facts.stage;
        let ground = stage.ground.as_ref().map_or("", Ground::text);
        let config = format!("{:?}", stage.config);
        Key::of(Digest::of([ground, &config, &facts.node.original].join("-").as_bytes()))
    },
    flaws: &[],
};

/// January 2019: the base by content, previous commands, build arguments (#375, #525).
pub const Y2019_01: Keys = Keys {
    name: "kaniko-2019-01",
    about: "the base's layers and configuration, every command before as written, build arguments, files without names",
    keeps: run_or_copy,
    writes,
    key: |facts| composite(facts, &Rule { base_by_content: true, args: true, ..COMMANDS }),
    flaws: &[],
};

/// May 2019: that taken back, and the build arguments with it (#639).
pub const Y2019_05: Keys = Keys {
    name: "kaniko-2019-05",
    about: "base digest, every command before as written, files without names; no build arguments",
    keeps: run_or_copy,
    writes,
    key: |facts| composite(facts, &COMMANDS),
    flaws: &[],
};

/// December 2021: environment before every command (#1693), and the arguments that #1915 restored a month later.
pub const Y2021_12: Keys = Keys {
    name: "kaniko-2021-12",
    about: "base digest, environment before every command; what ARG says further down is known from the beginning",
    keeps: run_or_copy,
    writes,
    key: |facts| {
        composite(facts, &Rule { env_of_run: true, env_of_others: true, from_stages: true, ..COMMANDS })
    },
    flaws: &[Flaw::ArgumentsFromAhead],
};

/// As it was left in 2025: environment before RUN only, raw text since #2968.
pub const HEAD: Keys = Keys {
    name: "kaniko-head",
    about: "base digest, every command before as written, environment before RUN, files without names",
    keeps: run_or_copy,
    writes,
    key: |facts| composite(facts, &Rule { env_of_run: true, from_stages: true, ..COMMANDS }),
    flaws: &[Flaw::WhiteoutsStay, Flaw::WorkdirOnNothing],
};

/// The same with `--single-snapshot`.
pub const HEAD_SINGLE_SNAPSHOT: Keys = Keys {
    name: "kaniko-head-single-snapshot",
    about: "as kaniko-head; what was found is in the image only where it is a stage's last step",
    flaws: &[Flaw::WhiteoutsStay, Flaw::WorkdirOnNothing, Flaw::LastLayerAlone],
    ..HEAD
};

fn run_or_copy(node: &Instruction) -> bool {
    matches!(node.kind, InstructionKind::Run(_) | InstructionKind::Copy(_))
}

/// What a command leaves for the keys of those after it; which of it counts is each rule's affair.
fn writes(facts: &Facts<'_>) -> Vec<String> {
    let Facts { stage, session, node, .. } = facts;
    let mut out = Vec::new();
    let is_run = matches!(node.kind, InstructionKind::Run(_));
    let args = stage.args.for_run(&stage.config);
    let mut pairs: Vec<String> = args.iter().map(|(name, value)| format!("{name}={value}")).collect();
    out.push(format!("args {}", pairs.join(" ")));
    pairs.extend(stage.config.env.iter().map(|(name, value)| format!("{name}={value}")));
    pairs.sort();
    let of = if is_run { "env" } else { "env-of-others" };
    out.push(format!("{of} |{} {}", pairs.len(), pairs.join(" ")));
    // The text without what a heredoc holds.
    out.push(format!("text {}", node.original.lines().next().unwrap_or_default()));
    if let InstructionKind::Copy(copy) = &node.kind {
        match &copy.from {
            None => out.extend(files(facts, copy).into_iter().map(|digest| format!("file {digest}"))),
            Some(from) => {
                let origin = session.dockerfile.copy_origin(stage.index, from, &session.dialect.syntax);
                let ground = match origin {
                    Ok(samebuild_dockerfile::plan::Origin::Stage(index)) => {
                        session.done.get(&index).and_then(|stage| stage.ground.clone())
                    }
                    _ => None,
                };
                out.push(format!("from {}", ground.as_ref().map_or("", Ground::text)));
            }
        }
    }
    out
}

/// The parts joined by a hyphen, whatever is in them.
fn composite(facts: &Facts<'_>, rule: &Rule) -> Key {
    let stage = facts.stage;
    let of_base = stage.base_config.as_ref().map(|config| {
        if rule.base_by_content {
            serde_json::Value::Object(super::super::base::without_times(config)).to_string()
        } else {
            serde_json::Value::Object(config.clone()).to_string()
        }
    });
    let own = writes(facts);
    let counts = |part: &&String| match part.split_once(' ') {
        Some(("args", _)) => rule.args,
        Some(("env", _)) => rule.env_of_run,
        Some(("env-of-others", _)) => rule.env_of_others,
        Some(("from", _)) => rule.from_stages,
        _ => true,
    };
    let value = |part: &String| part.split_once(' ').map_or_else(String::new, |(_, rest)| rest.to_owned());
    let list: Vec<String> =
        of_base.into_iter().chain(stage.written.iter().chain(&own).filter(counts).map(value)).collect();
    Key::of(Digest::of(list.join("-").as_bytes()))
}

/// Each source's digest: a directory is its files one after the other, and no file has a name.
fn files(facts: &Facts<'_>, copy: &samebuild_dockerfile::CopyInstruction) -> Vec<String> {
    let Facts { stage, session, .. } = facts;
    let words = copy.transfer.paths().map(|word| stage.word(&session.expander, &word.text));
    let Ok(words) = words.collect::<Result<Vec<_>, _>>() else { return Vec::new() };
    let patterns: Vec<_> = words
        .into_iter()
        .map(|text| crate::steps::copy::Pattern { text, span: Default::default() })
        .collect();
    let Ok(exclude) =
        samebuild_dockerfile::ignore::IgnoreFile::of(Vec::<&str>::new(), &session.dialect.syntax)
    else {
        return Vec::new();
    };
    let spool = || Err(crate::failure::StepFailure::new("no-scratch", "a key needs none"));
    let copy = Copy {
        patterns: &patterns,
        several: false,
        from: &session.context,
        whole: Some(session.request.context),
        from_context: true,
        nameless: false,
        dest: "/",
        workdir: "/",
        owner: None,
        mode: None,
        exclude: &exclude,
        unpack: false,
        literal: false,
        parents: false,
        syntax: &session.dialect.syntax,
        spool: &spool,
        rules: &session.dialect.copy,
    };
    let found = sources::find(&copy).unwrap_or_default();
    found.iter().map(|source| nameless(&session.context, &source.at)).collect()
}

fn nameless(tree: &Tree, at: &At) -> String {
    let mut hasher = Hasher::default();
    for (_, _, inode) in tree.within(at) {
        hasher.update(
            format!("{} {:o} {},{}", inode.kind.word(), inode.meta.mode, inode.meta.uid, inode.meta.gid)
                .as_bytes(),
        );
        match &inode.kind {
            Kind::File(content) => {
                let digest =
                    content.digest().map_or_else(|error| error.to_string(), |digest| digest.to_string());
                hasher.update(digest.as_bytes());
            }
            Kind::Symlink(link) => hasher.update(link),
            _ => {}
        }
    }
    hasher.finish().0.to_string()
}
