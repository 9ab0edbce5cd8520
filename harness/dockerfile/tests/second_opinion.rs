//! Another parser's view of generated, valid Dockerfiles: the same instructions at the same lines.

use parse_dockerfile::Instruction as Theirs;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};
use samebuild_dockerfile::{Dockerfile, Syntax, position};

/// (keyword in upper case, line) of every instruction, in order.
type Seen = Vec<(String, usize)>;

fn ours(text: &str) -> Result<Seen, String> {
    let file =
        Dockerfile::parse(text.as_bytes(), &Syntax::BUILDKIT_HEAD).map_err(|error| format!("{error:?}"))?;
    let mut seen: Vec<(usize, String, usize)> = Vec::new();
    for arg in &file.meta_args {
        seen.push((arg.span.start, arg.keyword.text.to_uppercase(), arg.line));
    }
    for stage in &file.stages {
        seen.push((stage.header.span.start, "FROM".to_owned(), stage.header.line));
        seen.extend(stage.instructions.iter().map(|i| (i.span.start, i.keyword.text.to_uppercase(), i.line)));
    }
    assert!(seen.is_sorted(), "instructions come in file order");
    Ok(seen.into_iter().map(|(_, keyword, line)| (keyword, line)).collect())
}

fn theirs(text: &str) -> Result<Seen, String> {
    let file = parse_dockerfile::parse(text).map_err(|error| error.to_string())?;
    Ok(file.instructions.iter().map(|instruction| keyword(instruction, text)).collect())
}

fn keyword(instruction: &Theirs<'_>, text: &str) -> (String, usize) {
    let span = match instruction {
        Theirs::Add(i) => i.add.span.clone(),
        Theirs::Arg(i) => i.arg.span.clone(),
        Theirs::Cmd(i) => i.cmd.span.clone(),
        Theirs::Copy(i) => i.copy.span.clone(),
        Theirs::Entrypoint(i) => i.entrypoint.span.clone(),
        Theirs::Env(i) => i.env.span.clone(),
        Theirs::Expose(i) => i.expose.span.clone(),
        Theirs::From(i) => i.from.span.clone(),
        Theirs::Healthcheck(i) => i.healthcheck.span.clone(),
        Theirs::Label(i) => i.label.span.clone(),
        Theirs::Maintainer(i) => i.maintainer.span.clone(),
        Theirs::Onbuild(i) => i.onbuild.span.clone(),
        Theirs::Run(i) => i.run.span.clone(),
        Theirs::Shell(i) => i.shell.span.clone(),
        Theirs::Stopsignal(i) => i.stopsignal.span.clone(),
        Theirs::User(i) => i.user.span.clone(),
        Theirs::Volume(i) => i.volume.span.clone(),
        Theirs::Workdir(i) => i.workdir.span.clone(),
        other => panic!("an instruction we do not know: {other:?}"),
    };
    (text[span.clone()].to_uppercase(), position(text, span.start).line)
}

fn line() -> impl Strategy<Value = &'static str> {
    select(vec![
        "RUN echo a && \\\n  # inside\n  echo b\n",
        "run true\n",
        "RUN [\"a\", \"b c\"]\n",
        "RUN --mount=type=cache,target=/c make\n",
        "RUN <<EOF\necho one\nRUN no\nEOF\n",
        // Its authors look for a heredoc as the first word of RUN only, so there is one here at most.
        "RUN <<-\"A\"\n\ta\nFROM no\n\tA\n",
        "COPY a b /c/\n",
        "COPY --from=base \\\n  /a \\\n  /b\n",
        "COPY <<EOF /file\nCOPY no no\nEOF\n",
        "ADD [\"a b\", \"/c d\"]\n",
        "ENV A=1 B=\"2 3\" \\\n    C=4\n",
        "ENV legacy some value\n",
        "LABEL a=b\n",
        "ARG X=1\n",
        "WORKDIR /w\n",
        "USER app:app\n",
        "EXPOSE 80 443/tcp\n",
        "VOLUME [\"/v\"]\n",
        "CMD [\"x\"]\n",
        "  ENTRYPOINT x y\n",
        "SHELL [\"/bin/sh\", \"-c\"]\n",
        "STOPSIGNAL 9\n",
        "HEALTHCHECK --interval=5s CMD true\n",
        "HEALTHCHECK NONE\n",
        "ONBUILD RUN true\n",
        "MAINTAINER someone\n",
        "FROM base\n",
        "# a comment\n",
        "\n",
        "\t\n",
    ])
}

/// The seed of a failing input is printed, and kept beside this file for the next run.
fn seeds() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("seeds")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: seeds(), ..ProptestConfig::with_cases(300) })]

    #[test]
    fn both_see_the_same_instructions_at_the_same_lines(
        top in select(vec!["", "# syntax=docker/dockerfile:1\n", "ARG V=1\n", "# a comment\n\n"]),
        lines in vec(line(), 0..20),
    ) {
        let text = format!("{top}FROM scratch AS base\n{}", lines.concat());
        prop_assert_eq!(ours(&text), theirs(&text));
    }
}
