//! Which instruction of a Dockerfile a live builder speaks of.

use samebuild_dockerfile::{Dockerfile, Syntax};

use crate::engines::FailedStep;

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

/// The one instruction that reads so, or the only one with that keyword whose words a builder prints changed: variables
/// expanded, heredocs by their text. What a parent image left for its children stands nowhere.
fn single(places: &[(usize, String)], text: &str) -> Option<usize> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let keyword = |words: &[String]| words.first().map(|word| word.to_ascii_uppercase());
    let wanted = words(text);
    let only = |is_it: &dyn Fn(&[String]) -> bool| -> Option<usize> {
        let mut all = (0..places.len()).filter(|index| is_it(&words(&places[*index].1)));
        all.next().filter(|_| all.next().is_none())
    };
    let is_changed = |word: &String| word.contains('$') || word.starts_with("<<");
    only(&|words| keyword(words) == keyword(&wanted) && words[1..] == wanted[1..])
        .or_else(|| only(&|words| keyword(words) == keyword(&wanted) && words.iter().any(is_changed)))
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
        assert_eq!(found("RUN exit 1", Some((3, 3)), false), Some((7, 8)), "only one RUN has a variable");
        assert_eq!(
            found("FROM other", Some((1, 3)), false),
            None,
            "there are two FROMs and neither reads so"
        );
        assert_eq!(found("COPY two /two", Some((2, 2)), false), None, "no COPY has one, and none reads so");
        assert_eq!(found("nonsense", None, false), None);
    }
}
