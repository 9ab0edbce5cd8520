//! What reading gives, claim by claim. Mistakes are in `error_tests`.

use expect_test::{Expect, expect};

use crate::ast::{Dockerfile, InstructionKind, Script};
use crate::error::SyntaxError;
use crate::syntax::Syntax;

pub(crate) fn read(text: &str, syntax: &Syntax) -> Result<Dockerfile, SyntaxError> {
    Dockerfile::parse(text.as_bytes(), syntax)
}

/// The outline under the newest syntax, or the error with its place.
pub(crate) fn check(text: &str, expected: Expect) {
    check_in(&Syntax::BUILDKIT_HEAD, text, expected);
}

pub(crate) fn check_in(syntax: &Syntax, text: &str, expected: Expect) {
    expected.assert_eq(&match read(text, syntax) {
        Ok(file) => file.outline(),
        Err(error) => show(text, &error),
    });
}

fn show(text: &str, error: &SyntaxError) -> String {
    let SyntaxError { class, span, line, column, message, builder_message, .. } = error;
    let says = builder_message.as_deref().unwrap_or("(unknown)");
    format!("{line}:{column} {class} at {:?}\n  failed to {message}\n  builder: {says}\n", span.slice(text))
}

/// One line an input: class, place, and the builder's message.
pub(crate) fn check_errors(syntax: &Syntax, texts: &[&str], expected: Expect) {
    let mut out = String::new();
    for text in texts {
        out.push_str(&match read(text, syntax) {
            Ok(file) => match file.first_refused() {
                None => format!("{text:?} reads\n"),
                Some(error) => {
                    format!("{text:?} refused: {}\n", error.builder_message.clone().unwrap_or_default())
                }
            },
            Err(SyntaxError { class, line, column, builder_message, .. }) => {
                format!("{text:?} {line}:{column} {class}: {}\n", builder_message.unwrap_or_default())
            }
        });
    }
    expected.assert_eq(&out);
}

#[test]
fn every_instruction_is_read() {
    check(
        r#"# syntax=docker/dockerfile:1
# check=skip=all
ARG V=1 W
FROM --platform=$P alpine:$V AS Base
ARG A B="x y"
ENV K=v L="a b" M=c\ d
ENV legacy one  two
LABEL l=v
WORKDIR /a b
USER app:app
RUN --mount=type=cache,target=/c --network=none --security=insecure --device=x echo hi # not a comment
RUN ["a", "b c"]
COPY --from=base --chown=1:2 --chmod=u+x --link --parents --exclude=*.md --exclude=b a b /d/
COPY ["a b", "/x y/"]
ADD --checksum=sha256:1 --keep-git-dir=false --unpack http://x/y /z
CMD echo hi
ENTRYPOINT []
EXPOSE 80 $P/udp
VOLUME /v /w
VOLUME ["/v2"]
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=2s --retries=3 CMD ["a", "b"]
HEALTHCHECK none
STOPSIGNAL SIGTERM
ONBUILD RUN true
MAINTAINER joe <j@x>
"#,
        expect![[r#"
            # syntax "docker/dockerfile:1"
            # check "skip=all"
            ARG "V"="1" "W"
            FROM platform="$P" "alpine:$V" as base
            ARG "A" "B"="\"x y\""
            ENV "K"="v" "L"="\"a b\"" "M"="c\\ d"
            ENV legacy "legacy"="one  two"
            LABEL "l"="v"
            WORKDIR "/a b"
            USER "app:app"
            RUN mount="type=cache,target=/c" network="none" security="insecure" device="x" shell "echo hi # not a comment"
            RUN exec "a" "b c"
            COPY from="base" parents chown="1:2" chmod="u+x" link exclude="*.md" exclude="b" "a" "b" to "/d/"
            COPY json "a b" to "/x y/"
            ADD checksum="sha256:1" keep-git-dir=false unpack=true "http://x/y" to "/z"
            CMD shell "echo hi"
            ENTRYPOINT exec
            EXPOSE "80" "$P/udp"
            VOLUME "/v" "/w"
            VOLUME json "/v2"
            SHELL "/bin/sh" "-ec"
            HEALTHCHECK interval=300000000000 timeout=3000000000 start-period=1000000000 start-interval=2000000000 retries=3 exec "a" "b"
            HEALTHCHECK none
            STOPSIGNAL "SIGTERM"
            ONBUILD "RUN true" => RUN shell "true"
            MAINTAINER "joe <j@x>"
        "#]],
    );
}

#[test]
fn continuations_join_and_drop_comments_and_blank_lines() {
    // Recorded case `cont-comment`: docker's history keeps the indentation.
    let text = "FROM x\nRUN echo a && \\\n# comment\n\n  echo b > /o\n";
    let file = read(text, &Syntax::CLASSIC_20_10).unwrap();
    let run = &file.stages[0].instructions[0];
    assert_eq!(run.original, "RUN echo a &&   echo b > /o");
    assert_eq!((run.line, run.end_line), (2, 5));
    assert_eq!(run.span.slice(text), "RUN echo a && \\\n# comment\n\n  echo b > /o");
    assert_eq!(file.warnings.iter().map(|warning| warning.line).collect::<Vec<_>>(), [4]);
}

#[test]
fn tabs_case_and_leading_blanks_do_not_matter() {
    // Recorded case `x-copy-tab`.
    check(
        "\u{feff}\n  from x\nCOPY\ta\t/x1\r\n  copy b /x2\n\n# c\nrun echo 1 > /x3 # notcomment",
        expect![[r#"
            FROM "x"
            COPY "a" to "/x1"
            COPY "b" to "/x2"
            RUN shell "echo 1 > /x3 # notcomment"
        "#]],
    );
}

#[test]
fn the_escape_directive_changes_words_and_continuations() {
    // Recorded case `escape-directive`.
    check(
        "# escape=`\nFROM x\nRUN echo a `\n  b > /o\nENV P=c:\\x Q=a` b\n",
        expect![[r#"
            # escape "`"
            FROM "x"
            RUN shell "echo a   b > /o"
            ENV "P"="c:\\x" "Q"="a` b"
        "#]],
    );
}

#[test]
fn directives_end_at_the_first_other_line() {
    check(
        "# comment\n# escape=`\nFROM x\nRUN a `\n",
        expect![[r#"
        FROM "x"
        RUN shell "a `"
    "#]],
    );
    check_in(
        &Syntax::CLASSIC_20_10,
        "# check=skip=all\n# escape=`\nFROM x\nRUN a `\n",
        expect![[r#"
        FROM "x"
        RUN shell "a `"
    "#]],
    );
    check_errors(
        &Syntax::BUILDKIT_HEAD,
        &["# escape=`\n# ESCAPE=`\nFROM x", "# escape=x\nFROM x"],
        expect![[r##"
            "# escape=`\n# ESCAPE=`\nFROM x" 2:3 duplicate-directive: only one escape parser directive can be used
            "# escape=x\nFROM x" 1:10 bad-escape: invalid escape token 'x' does not match ` or \
        "##]],
    );
}

#[test]
fn almost_json_is_shell_form_without_a_word() {
    check(
        "FROM x\nRUN ['echo', 'hi'] || true\nCMD [\"a\",]\nCOPY [\"a\" \"/b\"]\nVOLUME [/v]\n",
        expect![[r#"
            FROM "x"
            RUN shell "['echo', 'hi'] || true"
            CMD shell "[\"a\",]"
            COPY "[\"a\"" to "\"/b\"]"
            VOLUME "[/v]"
        "#]],
    );
}

#[test]
fn json_of_other_things_is_an_error_that_comes_first() {
    // Recorded case `json-fallback`, with a mistake of the second pass before it.
    check(
        "FROM x\nFOO\nENTRYPOINT [ \"x\", \\\n 1 ]\n",
        expect![[r#"
            4:2 bad-json at "1"
              failed to use 1 in a JSON array here; quote it, only strings may stand in it
              builder: when using JSON array syntax, arrays must be comprised of strings only
        "#]],
    );
}

#[test]
fn heredocs_are_read_with_their_bodies() {
    // After the recorded case `copy-heredoc`.
    let text = "FROM x\nCOPY --chmod=755 <<-A <<\"B\" /hd/\n\ttabbed\n\tA\nbb $V\nB\nRUN <<EOF\necho one\nEOF\nRUN <<EOF sh -e\necho two\nEOF\nRUN <<-EOF\n\t#!/bin/sh\n\techo $0\n\tEOF\nRUN <<EOF\n#!/bin/sh\nEOF\n";
    check(
        text,
        expect![[r##"
            FROM "x"
            COPY chmod="755" <<"A" expand=true tabs=true fd=0 "\ttabbed\n" <<"B" expand=false tabs=false fd=0 "bb $V\n" to "/hd/"
            RUN shell "<<EOF" <<"EOF" expand=true tabs=false fd=0 "echo one\n"
            RUN shell "<<EOF sh -e" <<"EOF" expand=true tabs=false fd=0 "echo two\n"
            RUN shell "<<-EOF" <<"EOF" expand=true tabs=true fd=0 "\t#!/bin/sh\n\techo $0\n"
            RUN shell "<<EOF" <<"EOF" expand=true tabs=false fd=0 "#!/bin/sh\n"
        "##]],
    );
    let syntax = Syntax::BUILDKIT_HEAD;
    let file = read(text, &syntax).unwrap();
    let scripts: Vec<Option<Script>> = file.stages[0]
        .instructions
        .iter()
        .map(|instruction| match &instruction.kind {
            InstructionKind::Run(run) => run.script(&syntax),
            _ => None,
        })
        .collect();
    assert_eq!(
        scripts,
        [
            None,
            Some(Script::Command("echo one\n".to_owned())),
            Some(Script::Command("<<EOF sh -e\necho two\nEOF".to_owned())),
            // The tab before `#!` keeps it from being a script of its own.
            Some(Script::Command("#!/bin/sh\necho $0\n".to_owned())),
            Some(Script::File { name: "EOF".to_owned(), content: "#!/bin/sh\n".to_owned() }),
        ]
    );
    let copy = &file.stages[0].instructions[0];
    assert_eq!((copy.line, copy.end_line), (2, 6));
    assert!(copy.span.slice(text).ends_with("bb $V\nB"), "{:?}", copy.span.slice(text));
}

#[test]
fn without_heredocs_their_bodies_are_instructions() {
    // Recorded case `copy-heredoc` in the classic builder.
    let text = "FROM x\nENV V=val\nCOPY <<EOF /h1\nx $V\nEOF\n";
    check_errors(
        &Syntax::CLASSIC_20_10,
        &[text],
        expect![[r#"
        "FROM x\nENV V=val\nCOPY <<EOF /h1\nx $V\nEOF\n" 4:1 unknown-instruction: dockerfile parse error line 4: unknown instruction: X
    "#]],
    );
}

#[test]
fn json_forms_and_other_instructions_have_no_heredocs() {
    check(
        "FROM x\nRUN [\"cat\", \"<<EOF\"]\nENV A=<<EOF\nCMD <<EOF\n",
        expect![[r#"
        FROM "x"
        RUN exec "cat" "<<EOF"
        ENV "A"="<<EOF"
        CMD shell "<<EOF"
    "#]],
    );
}

#[test]
fn onbuild_keeps_heredocs_in_its_text() {
    check(
        "FROM x\nONBUILD COPY <<A \\\n /b\nhi\nA\nonbuild FOO bar\n",
        expect![[r#"
        FROM "x"
        ONBUILD "COPY <<A  /b\nhi\nA" => COPY <<"A" expand=true tabs=false fd=0 "hi\n" to "/b"
        ONBUILD "FOO bar" => unknown-instruction
    "#]],
    );
}

#[test]
fn words_keep_their_places_across_continuations() {
    let text = "FROM x\nCOPY --chown=1:2 \\\n  a \\\n  # c\n  b /d\nENV A=\"1 \\\n2\" B=3\n";
    let file = read(text, &Syntax::BUILDKIT_HEAD).unwrap();
    let InstructionKind::Copy(copy) = &file.stages[0].instructions[0].kind else { panic!() };
    assert_eq!(copy.transfer.chown.as_ref().unwrap().span.slice(text), "1:2");
    assert_eq!(copy.transfer.destination.span.slice(text), "/d");
    let InstructionKind::Env(env) = &file.stages[0].instructions[1].kind else { panic!() };
    assert_eq!(env.pairs[1].1.span.slice(text), "3");
    assert_eq!(env.pairs[0].1.text, "\"1 2\"");
}

#[test]
fn every_byte_that_is_not_utf8_reads_as_one_replacement() {
    let file = Dockerfile::parse(b"FROM x\nENV a=\xc3\xff b\xe2\x82\n", &Syntax::BUILDKIT_HEAD);
    assert!(file.is_err(), "`b` has no `=`");
    let file = Dockerfile::parse(b"FROM x\nLABEL a=\xe2\x82\xff\n", &Syntax::BUILDKIT_HEAD).unwrap();
    assert_eq!(file.stages[0].instructions[0].original, "LABEL a=\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn a_line_that_is_too_long_ends_the_file() {
    let text = format!("FROM x\nRUN {}\n", "a".repeat(70_000));
    check_errors(
        &Syntax::BUILDKIT_HEAD,
        &[&text.replace('a', "")],
        expect![[r#"
        "FROM x\nRUN \n" reads
    "#]],
    );
    let error = read(&text, &Syntax::BUILDKIT_HEAD).unwrap_err();
    assert_eq!(
        error.builder_message.as_deref(),
        Some("dockerfile line greater than max allowed size of 65535")
    );
    assert_eq!(error.line, 2);
}

#[test]
fn triggers_are_read_on_their_own() {
    let syntax = Syntax::BUILDKIT_HEAD;
    assert_eq!(
        crate::parse_trigger("COPY a /ob/", &syntax).unwrap().kind.outline(),
        "COPY \"a\" to \"/ob/\""
    );
    assert_eq!(crate::parse_trigger("RUN a\nRUN b", &syntax).unwrap_err().class.slug(), "bad-onbuild");
    assert_eq!(crate::parse_trigger("FROM a", &syntax).unwrap_err().class.slug(), "bad-onbuild");
}
