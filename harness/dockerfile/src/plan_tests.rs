//! What is built for a target, claim by claim.

use crate::ast::{Dockerfile, InstructionKind};
use crate::plan::Origin;
use crate::span::Span;
use crate::syntax::Syntax;
use crate::words::Word;

const HEAD: Syntax = Syntax::BUILDKIT_HEAD;
const CLASSIC: Syntax = Syntax::CLASSIC_20_10;

fn file(text: &str) -> Dockerfile {
    Dockerfile::parse(text.as_bytes(), &HEAD).unwrap()
}

/// The order, or the builder's message.
fn plan(text: &str, target: Option<&str>, syntax: &Syntax) -> Result<Vec<usize>, String> {
    let file = file(text);
    let bases: Vec<String> = file.stages.iter().map(|stage| stage.from().image.text.clone()).collect();
    file.plan(target, &bases, syntax)
        .map(|plan| plan.order)
        .map_err(|error| error.builder_message.unwrap_or_default())
}

const FOUR: &str = "FROM x AS a\nFROM a AS b\nFROM x AS c\nRUN --mount=from=a,target=/m true\nFROM scratch\nCOPY --from=B /x /y\n";

#[test]
fn unused_stages_are_skipped_or_built() {
    assert_eq!(plan(FOUR, None, &HEAD), Ok(vec![0, 1, 3]));
    assert_eq!(plan(FOUR, None, &CLASSIC), Ok(vec![0, 1, 2, 3]));
    assert_eq!(plan(FOUR, Some("C"), &HEAD), Ok(vec![0, 2]));
    assert_eq!(plan(FOUR, Some("1"), &HEAD), Ok(vec![0, 1]));
    // The classic builder knows stages by name alone.
    let error = "failed to reach build target 1 in Dockerfile".to_owned();
    assert_eq!(plan(FOUR, Some("1"), &CLASSIC), Err(error));
}

#[test]
fn targets_that_are_not_there_are_named_in_the_builders_words() {
    assert_eq!(plan(FOUR, Some("no"), &HEAD), Err("target stage \"no\" could not be found".to_owned()));
    assert_eq!(
        plan(FOUR, Some("no"), &CLASSIC),
        Err("failed to reach build target no in Dockerfile".to_owned())
    );
}

#[test]
fn indices_are_bounded_as_recorded() {
    // Recorded case `copyfrom-missing-stage`.
    let text = "FROM x\nCOPY --from=5 /zf /zf\n";
    assert_eq!(plan(text, None, &HEAD), Err("invalid stage index 5".to_owned()));
    // Where everything is built it is an error of the step, after those before it.
    assert_eq!(plan(text, None, &CLASSIC), Ok(vec![0]));
    let InstructionKind::Copy(copy) = &file(text).stages[0].instructions[0].kind else { panic!() };
    let error = file(text).copy_origin(0, copy.from.as_ref().unwrap(), &CLASSIC).unwrap_err();
    assert_eq!((error.line, error.column, error.instruction_line), (2, 13, 2));
    assert_eq!(error.builder_message.as_deref(), Some("invalid from flag value 5: index out of bounds"));
}

#[test]
fn circles_are_found() {
    let circle = "FROM x AS a\nCOPY --from=b /x /x\nFROM a AS b\n";
    assert!(
        plan(circle, None, &Syntax::BUILDKIT_20_10)
            .unwrap_err()
            .starts_with("circular dependency detected on stage: ")
    );
    let itself = "FROM x AS a\nCOPY --from=a /x /x\n";
    assert_eq!(plan(itself, None, &HEAD), Err("circular dependency detected on stage: a".to_owned()));
}

#[test]
fn a_name_means_the_last_stage_that_has_it_but_only_earlier_ones_in_from() {
    let file = file("FROM x AS a\nFROM a AS b\nFROM y AS a\nFROM a\nCOPY --from=a / /\n");
    assert_eq!(file.base_of(1, "a", &CLASSIC), Origin::Stage(0));
    assert_eq!(file.base_of(3, "A", &CLASSIC), Origin::Stage(2));
    assert_eq!(file.base_of(3, "A", &HEAD), Origin::Image("A".to_owned()));
    assert_eq!(file.base_of(0, "a", &CLASSIC), Origin::Image("a".to_owned()));
    assert_eq!(file.base_of(0, "scratch", &CLASSIC), Origin::Scratch);
    assert_eq!(file.stage_index("a"), Some(2));
    let word = |text: &str| Word { text: text.to_owned(), span: Span::default() };
    assert_eq!(file.copy_origin(3, &word("img:1"), &HEAD), Ok(Origin::Image("img:1".to_owned())));
    assert_eq!(file.copy_origin(1, &word("a"), &CLASSIC), Ok(Origin::Stage(0)));
    let variable = file.copy_origin(3, &word("img:$T"), &HEAD).unwrap_err();
    assert_eq!(variable.class.slug(), "variable-in-from");
}
