//! Which instruction of a Dockerfile a live builder speaks of.

use samebuild_dockerfile::{Dockerfile, Syntax};

use super::StepTime;
use crate::engines::{FailedStep, TimedStep};

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

/// Every instruction with what the builder says that it took. Two that read alike are taken in their order; what stands
/// nowhere in the file comes last.
pub(super) fn timed(
    dockerfile: &[u8],
    syntax: &Syntax,
    counts_all: bool,
    steps: &[TimedStep],
) -> Vec<StepTime> {
    let places = instructions(dockerfile, syntax).unwrap_or_default();
    let count = |n: usize| u32::try_from(n).ok();
    let untimed = |(index, (line, text)): (usize, &(usize, String))| StepTime {
        number: count(index + 1),
        line: count(*line),
        instruction: text.clone(),
        elapsed: None,
        cached: false,
    };
    let mut times: Vec<StepTime> = places.iter().enumerate().map(untimed).collect();
    for step in steps {
        let found = match step.number {
            Some((number, _)) if counts_all => usize::try_from(number).ok().and_then(|n| n.checked_sub(1)),
            _ => next(&places, &times, &step.instruction).or_else(|| single(&places, &step.instruction)),
        };
        match found.and_then(|found| times.get_mut(found)) {
            Some(time) => {
                time.elapsed = Some(time.elapsed.unwrap_or_default() + step.elapsed);
                time.cached = step.cached;
            }
            None => times.push(StepTime {
                number: None,
                line: None,
                instruction: step.instruction.clone(),
                elapsed: Some(step.elapsed),
                cached: step.cached,
            }),
        }
    }
    times
}

/// The first instruction without a time that reads so; a FROM may go on where the builder has ended.
fn next(places: &[(usize, String)], times: &[StepTime], text: &str) -> Option<usize> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let wanted = words(text);
    let is_from = wanted.first().is_some_and(|word| word.eq_ignore_ascii_case("FROM"));
    let reads_so = |place: &[String]| {
        let place = if is_from { place.get(..wanted.len()).unwrap_or(place) } else { place };
        let (one, other) = (place.split_first(), wanted.split_first());
        one.zip(other).is_some_and(|((a, left), (b, right))| a.eq_ignore_ascii_case(b) && left == right)
    };
    (0..places.len()).find(|index| times[*index].elapsed.is_none() && reads_so(&words(&places[*index].1)))
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
    fn instructions_that_read_alike_get_their_times_in_order_and_metadata_none() {
        let file = b"FROM base AS a\nENV A=1\nRUN true\nRUN true\n";
        let step = |instruction: &str, ms| TimedStep {
            number: Some((1, 3)),
            instruction: instruction.to_owned(),
            elapsed: std::time::Duration::from_millis(ms),
            cached: false,
        };
        let steps = [step("FROM base", 1), step("RUN true", 2), step("RUN true", 3), step("RUN other", 4)];
        let times = timed(file, &Syntax::BUILDKIT_26_1, false, &steps);
        let told: Vec<_> =
            times.iter().map(|time| (time.line, time.elapsed.map(|took| took.as_millis()))).collect();
        let lines = [1, 2, 3, 4].map(Some);
        assert_eq!(
            told[..4],
            [(lines[0], Some(1)), (lines[1], None), (lines[2], Some(2)), (lines[3], Some(3))]
        );
        assert_eq!(told[4], (None, Some(4)), "nobody wrote it");
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
