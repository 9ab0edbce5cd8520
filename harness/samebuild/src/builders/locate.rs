//! Which instruction of a Dockerfile a live builder speaks of, and what of a context is sent to one. Both need the
//! Dockerfile's language, none of a builder's own.

use std::collections::BTreeMap;

use samebuild_builder::dialect;
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::{Dockerfile, Syntax};
use samebuild_image::{At, Kind, Meta, Tree};

use crate::cases::Case;
use crate::engines::{self, FailedStep};

/// Number (from 1 over all stages, as cases count) and line of the instruction that `step` speaks of. The builder's own
/// count is taken where it counts as we do (`counts_all`); else its text must single out one instruction.
pub(super) fn locate(
    dockerfile: &[u8],
    syntax: &Syntax,
    counts_all: bool,
    step: &FailedStep,
) -> Option<(u32, u32)> {
    let places = instructions(dockerfile, syntax)?;
    let found = match step.number {
        Some((number, _)) if counts_all => usize::try_from(number).ok()?.checked_sub(1)?,
        _ => single(&places, &step.instruction)?,
    };
    let (line, _) = places.get(found)?;
    Some((u32::try_from(found + 1).ok()?, u32::try_from(*line).ok()?))
}

/// The one instruction that reads so, or the only one with that keyword: a builder prints variables expanded.
fn single(places: &[(usize, String)], text: &str) -> Option<usize> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let keyword = |words: &[String]| words.first().map(|word| word.to_ascii_uppercase());
    let wanted = words(text);
    let only = |is_it: &dyn Fn(&[String]) -> bool| -> Option<usize> {
        let mut all = (0..places.len()).filter(|index| is_it(&words(&places[*index].1)));
        all.next().filter(|_| all.next().is_none())
    };
    only(&|words| keyword(words) == keyword(&wanted) && words[1..] == wanted[1..])
        .or_else(|| only(&|words| keyword(words) == keyword(&wanted)))
}

/// Line and text of every instruction.
fn instructions(dockerfile: &[u8], syntax: &Syntax) -> Option<Vec<(usize, String)>> {
    let file = Dockerfile::parse(dockerfile, syntax).ok()?;
    let mut places: Vec<(usize, String)> =
        file.meta_args.iter().map(|node| (node.line, node.original.clone())).collect();
    for stage in &file.stages {
        places.push((stage.header.line, stage.header.original.clone()));
        places.extend(stage.instructions.iter().map(|node| (node.line, node.original.clone())));
    }
    Some(places)
}

/// The context as Docker's client sends it: everything root's, without what `.dockerignore` names, but with the Dockerfile
/// and `.dockerignore` themselves.
///
/// Classic's client leaves out an ignored directory even where something in it is not ignored, and the daemon makes it
/// anew; it also drops an ignored Dockerfile once it has read it. BuildKit's keeps such a directory, and reads its
/// Dockerfile from elsewhere.
///
/// # Errors
/// In a sentence: the ignore file cannot be read, or BuildKit's Dockerfile is itself ignored, which only a real client can
/// say.
pub(super) fn sent_context(case: &Case, dialect: &str, builder: engines::Builder) -> Result<Tree, String> {
    let tree = case.context_tree();
    let ignore_at = At::from(".dockerignore");
    let text = match tree.get(&ignore_at).map(|inode| &inode.kind) {
        Some(Kind::File(content)) => content.read_up_to(1 << 20),
        _ => return Ok(sent(&tree, |_| true)),
    };
    let text = text.map_err(|error| format!("read .dockerignore: {error}"))?;
    let text = text.ok_or("read .dockerignore: it has more than a megabyte")?;
    let dialect = dialect::find(dialect).map_err(|error| error.to_string())?;
    let ignore = IgnoreFile::parse(&text, &dialect.syntax).map_err(|error| error.to_string())?;
    let read_apart = [At::from("Dockerfile"), ignore_at];
    let is_kept = |at: &At| read_apart.contains(at) || !excluded(&ignore, at);
    if builder == engines::Builder::Classic {
        return Ok(sent(&tree, is_kept));
    }
    if read_apart.iter().any(|at| excluded(&ignore, at)) {
        return Err(
            "it ignores its own Dockerfile or .dockerignore, which only a real client can send".to_owned()
        );
    }
    let holds = |at: &At| tree.within(at).any(|(below, _, _)| is_kept(below));
    Ok(sent(&tree, |at| is_kept(at) || holds(at)))
}

/// What is kept, as root's.
fn sent(tree: &Tree, is_kept: impl Fn(&At) -> bool) -> Tree {
    let mut sent = Tree::new();
    let mut first_names = BTreeMap::new();
    for (at, ino, inode) in tree.iter().filter(|(at, _, _)| at.is_root() || is_kept(at)) {
        match first_names.get(&ino) {
            Some(first) => {
                sent.link(at, first);
            }
            None => {
                let meta = Meta { uid: 0, gid: 0, ..inode.meta.clone() };
                sent.insert(at, inode.kind.clone(), meta);
                first_names.insert(ino, at.clone());
            }
        }
    }
    sent
}

fn excluded(ignore: &IgnoreFile, at: &At) -> bool {
    ignore.excludes(&String::from_utf8_lossy(at.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] =
        b"ARG V=1\nFROM base AS a\nCOPY one /one\nRUN x  y\nFROM base\nCOPY --from=a \\\n  /one /two\nRUN exit $V\n";

    fn found(instruction: &str, number: Option<(u32, u32)>, counts_all: bool) -> Option<(u32, u32)> {
        let step = FailedStep { number, instruction: instruction.to_owned(), line: None };
        locate(FILE, &Syntax::BUILDKIT_20_10, counts_all, &step)
    }

    #[test]
    fn classics_count_is_ours_and_buildkits_text_must_be_unique() {
        assert_eq!(found("RUN exit $V", Some((7, 7)), true), Some((7, 8)));
        assert_eq!(found("COPY --from=a /one /two", Some((2, 3)), false), Some((6, 6)));
        assert_eq!(found("COPY one /one", Some((2, 2)), false), Some((3, 3)));
        assert_eq!(found("RUN exit 1", Some((3, 3)), false), None, "there are two RUNs and neither reads so");
        assert_eq!(found("nonsense", None, false), None);
    }
}
