//! What reading gives, claim by claim.

use expect_test::{Expect, expect};

use crate::ast::{Dockerfile, InstructionKind, Script};
use crate::error::SyntaxError;
use crate::syntax::Syntax;

fn read(text: &str, syntax: &Syntax) -> Result<Dockerfile, SyntaxError> {
    Dockerfile::parse(text.as_bytes(), syntax)
}

/// The outline under the newest syntax, or the error with its place.
fn check(text: &str, expected: Expect) {
    check_in(&Syntax::BUILDKIT_HEAD, text, expected);
}

fn check_in(syntax: &Syntax, text: &str, expected: Expect) {
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
fn check_errors(syntax: &Syntax, texts: &[&str], expected: Expect) {
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
fn errors_name_the_place_and_the_accepted_forms() {
    check(
        "FROM x\nCOPY \\\n  --chwon=1 a /a\n",
        expect![[r#"
        3:3 unknown-flag at "--chwon=1"
          failed to find a flag --chwon here; COPY takes --from, --chown, --chmod, --link, --parents, --exclude (did you mean --chown?)
          builder: dockerfile parse error on line 2: unknown flag: --chwon (did you mean chown?)
    "#]],
    );
    check(
        "FROM x\nRUM true\n",
        expect![[r#"
        2:1 unknown-instruction at "RUM"
          failed to find an instruction named "RUM"; there are ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, MAINTAINER, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR; did you mean RUN?
          builder: dockerfile parse error on line 2: unknown instruction: RUM (did you mean RUN?)
    "#]],
    );
    check(
        "FROM x\nENV a=${X:?two words}\n",
        expect![[r#"
        2:16 missing-equals at "words}"
          failed to find = in "words}"; ENV takes name=value words, quote values with spaces
          builder: Syntax error - can't find = in "words}". Must be of the form: name=value
    "#]],
    );
}

#[test]
fn the_recorded_messages_of_three_builders_are_reproduced() {
    let texts = [
        "FROM b\nCOPY --exclude=sub d /dst/",
        "FROM b\nCOPY --link a /lnk/a",
        "FROM b\nCOPY --nope a /a",
        "FROM b AS one\nFROM b AS one",
        "# only comment",
        "FROM b\nENV a=${X:?need X}",
        "FROM b\nRUN ['echo']\nENTRYPOINT [ \"x\", 1 ]",
        "FROM b\nONBUILD ONBUILD RUN x",
        "FROM b\nRUN --mount=type=cache,target=/c true",
        "FROM b\nRUN --network=none true",
        "FROM b\nFOO bar",
    ];
    check_errors(
        &Syntax::CLASSIC_20_10,
        &texts,
        expect![[r##"
        "FROM b\nCOPY --exclude=sub d /dst/" 2:6 unknown-flag: dockerfile parse error line 2: Unknown flag: exclude
        "FROM b\nCOPY --link a /lnk/a" 2:6 unknown-flag: dockerfile parse error line 2: Unknown flag: link
        "FROM b\nCOPY --nope a /a" 2:6 unknown-flag: dockerfile parse error line 2: Unknown flag: nope
        "FROM b AS one\nFROM b AS one" refused: one stage name already used
        "# only comment" 1:1 no-instructions: failed to parse Dockerfile: file with no instructions
        "FROM b\nENV a=${X:?need X}" 2:17 missing-equals: failed to parse Dockerfile: Syntax error - can't find = in "X}". Must be of the form: name=value
        "FROM b\nRUN ['echo']\nENTRYPOINT [ \"x\", 1 ]" 3:19 bad-json: failed to parse Dockerfile: when using JSON array syntax, arrays must be comprised of strings only
        "FROM b\nONBUILD ONBUILD RUN x" 2:9 bad-onbuild: dockerfile parse error line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
        "FROM b\nRUN --mount=type=cache,target=/c true" refused: the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled
        "FROM b\nRUN --network=none true" 2:5 unknown-flag: dockerfile parse error line 2: Unknown flag: network
        "FROM b\nFOO bar" 2:1 unknown-instruction: dockerfile parse error line 2: unknown instruction: FOO
    "##]],
    );
    check_errors(
        &Syntax::BUILDKIT_26_1,
        &texts,
        expect![[r##"
        "FROM b\nCOPY --exclude=sub d /dst/" 2:6 unknown-flag: dockerfile parse error on line 2: unknown flag: exclude
        "FROM b\nCOPY --link a /lnk/a" reads
        "FROM b\nCOPY --nope a /a" 2:6 unknown-flag: dockerfile parse error on line 2: unknown flag: nope
        "FROM b AS one\nFROM b AS one" reads
        "# only comment" 1:1 no-instructions: file with no instructions
        "FROM b\nENV a=${X:?need X}" 2:17 missing-equals: Syntax error - can't find = in "X}". Must be of the form: name=value
        "FROM b\nRUN ['echo']\nENTRYPOINT [ \"x\", 1 ]" 3:19 bad-json: when using JSON array syntax, arrays must be comprised of strings only
        "FROM b\nONBUILD ONBUILD RUN x" 2:9 bad-onbuild: dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
        "FROM b\nRUN --mount=type=cache,target=/c true" reads
        "FROM b\nRUN --network=none true" reads
        "FROM b\nFOO bar" 2:1 unknown-instruction: dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)
    "##]],
    );
    check_errors(
        &Syntax::BUILDKIT_HEAD,
        &texts[..3],
        expect![[r#"
        "FROM b\nCOPY --exclude=sub d /dst/" reads
        "FROM b\nCOPY --link a /lnk/a" reads
        "FROM b\nCOPY --nope a /a" 2:6 unknown-flag: dockerfile parse error on line 2: unknown flag: --nope
    "#]],
    );
}

#[test]
fn arguments_are_counted_before_flags_where_builders_do() {
    check_errors(
        &Syntax::BUILDKIT_HEAD,
        &[
            "",
            "RUN x",
            "ARG X",
            "FROM",
            "FROM a b",
            "FROM a AS 1x",
            "FROM a AS $x",
            "FROM a\nCOPY --nope a",
            "FROM a\nENV",
            "FROM a\nENV --nope a=1",
            "FROM a\nENV x",
            "FROM a\nENV =x",
            "FROM a\nARG",
            "FROM a\nARG =x",
            "FROM a\nARG --x",
            "FROM a\nEXPOSE --x",
            "FROM a\nVOLUME",
            "FROM a\nVOLUME [\"\"]",
            "FROM a\nUSER",
            "FROM a\nWORKDIR --x /y",
            "FROM a\nSHELL x",
            "FROM a\nSHELL []",
            "FROM a\nSTOPSIGNAL --x 9",
            "FROM a\nHEALTHCHECK",
            "FROM a\nHEALTHCHECK --x NONE",
            "FROM a\nHEALTHCHECK NONE x",
            "FROM a\nHEALTHCHECK CMD",
            "FROM a\nHEALTHCHECK FOO x",
            "FROM a\nHEALTHCHECK --interval=1us CMD x",
            "FROM a\nHEALTHCHECK --interval=5 CMD x",
            "FROM a\nHEALTHCHECK --interval=0s CMD x",
            "FROM a\nHEALTHCHECK --retries=-1 CMD x",
            "FROM a\nHEALTHCHECK --retries=x CMD x",
            "FROM a\nONBUILD",
            "FROM a\nONBUILD FROM x",
            "FROM a\nCOPY --link=x a b",
            "FROM a\nCOPY --from a b",
            "FROM a\nCOPY --from=x --from=y a b",
            "FROM a\nCOPY a <<EOF\nEOF",
            "FROM a\nRUN <<EOF\nx",
            "FROM a\nRUN --network=host1 x",
            "FROM a\nRUN --security=x y",
            "FROM a\nRUN --mount=from=$x y",
            "FROM a\nRUN",
            "\\\n",
        ],
        expect![[r#"
            "" 1:1 empty-dockerfile: the Dockerfile cannot be empty
            "RUN x" 1:1 no-stage: no build stage in current context
            "ARG X" 1:6 no-stage: dockerfile contains no stages to build
            "FROM" 1:1 bad-arguments: dockerfile parse error on line 1: FROM requires either one or three arguments
            "FROM a b" 1:1 bad-arguments: dockerfile parse error on line 1: FROM requires either one or three arguments
            "FROM a AS 1x" 1:11 bad-stage-name: dockerfile parse error on line 1: invalid name for build stage: "1x", name can't start with a number or contain symbols
            "FROM a AS $x" 1:11 bad-stage-name: dockerfile parse error on line 1: invalid name for build stage: "$x", name can't start with a number or contain symbols
            "FROM a\nCOPY --nope a" 2:1 missing-argument: dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined
            "FROM a\nENV" 2:1 missing-argument: dockerfile parse error on line 2: ENV requires at least one argument
            "FROM a\nENV --nope a=1" 2:5 unknown-flag: dockerfile parse error on line 2: unknown flag: --nope
            "FROM a\nENV x" 2:5 missing-argument: ENV must have two arguments
            "FROM a\nENV =x" 2:5 blank-name: dockerfile parse error on line 2: ENV names can not be blank
            "FROM a\nARG" 2:1 missing-argument: dockerfile parse error on line 2: ARG requires at least one argument
            "FROM a\nARG =x" 2:5 blank-name: dockerfile parse error on line 2: ARG names can not be blank
            "FROM a\nARG --x" 2:1 missing-argument: dockerfile parse error on line 2: ARG requires at least one argument
            "FROM a\nEXPOSE --x" 2:1 missing-argument: dockerfile parse error on line 2: EXPOSE requires at least one argument
            "FROM a\nVOLUME" 2:1 missing-argument: dockerfile parse error on line 2: VOLUME requires at least one argument
            "FROM a\nVOLUME [\"\"]" 2:9 bad-volume: dockerfile parse error on line 2: VOLUME specified can not be an empty string
            "FROM a\nUSER" 2:1 missing-argument: dockerfile parse error on line 2: USER requires exactly one argument
            "FROM a\nWORKDIR --x /y" 2:9 unknown-flag: dockerfile parse error on line 2: unknown flag: --x
            "FROM a\nSHELL x" 2:7 bad-json: dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form
            "FROM a\nSHELL []" 2:1 missing-argument: dockerfile parse error on line 2: SHELL requires at least one argument
            "FROM a\nSTOPSIGNAL --x 9" reads
            "FROM a\nHEALTHCHECK" 2:1 missing-argument: dockerfile parse error on line 2: HEALTHCHECK requires at least one argument
            "FROM a\nHEALTHCHECK --x NONE" reads
            "FROM a\nHEALTHCHECK NONE x" 2:1 bad-healthcheck: dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments
            "FROM a\nHEALTHCHECK CMD" 2:1 bad-healthcheck: dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD
            "FROM a\nHEALTHCHECK FOO x" 2:13 bad-healthcheck: dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)
            "FROM a\nHEALTHCHECK --interval=1us CMD x" 2:24 bad-duration: dockerfile parse error on line 2: Interval "interval" cannot be less than 1ms
            "FROM a\nHEALTHCHECK --interval=5 CMD x" 2:24 bad-duration: dockerfile parse error on line 2: time: missing unit in duration "5"
            "FROM a\nHEALTHCHECK --interval=0s CMD x" reads
            "FROM a\nHEALTHCHECK --retries=-1 CMD x" 2:23 bad-flag-value: dockerfile parse error on line 2: --retries cannot be negative (-1)
            "FROM a\nHEALTHCHECK --retries=x CMD x" 2:23 bad-flag-value: dockerfile parse error on line 2: strconv.ParseInt: parsing "x": invalid syntax
            "FROM a\nONBUILD" 2:1 missing-argument: dockerfile parse error on line 2: ONBUILD requires at least one argument
            "FROM a\nONBUILD FROM x" 2:9 bad-onbuild: dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger
            "FROM a\nCOPY --link=x a b" 2:6 bad-flag-value: dockerfile parse error on line 2: expecting boolean value for flag --link, not: x
            "FROM a\nCOPY --from a b" 2:6 missing-flag-value: dockerfile parse error on line 2: missing a value on flag: --from
            "FROM a\nCOPY --from=x --from=y a b" 2:15 duplicate-flag: dockerfile parse error on line 2: duplicate flag specified: --from
            "FROM a\nCOPY a <<EOF\nEOF" 2:8 bad-heredoc: dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination
            "FROM a\nRUN <<EOF\nx" 2:1 unterminated-heredoc: unterminated heredoc
            "FROM a\nRUN --network=host1 x" 2:15 bad-flag-value: dockerfile parse error on line 2: unsupported network mode "host1" (did you mean host?)
            "FROM a\nRUN --security=x y" 2:16 bad-flag-value: dockerfile parse error on line 2: security "x" is not valid
            "FROM a\nRUN --mount=from=$x y" 2:13 bad-mount: dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead
            "FROM a\nRUN" reads
            "\\\n" 1:1 unknown-instruction: dockerfile parse error on line 1: unknown instruction: 
        "#]],
    );
}

#[test]
fn older_rules_for_health_and_escapes_hold() {
    check_errors(
        &Syntax::CLASSIC_20_10,
        &[
            "FROM a\nHEALTHCHECK --interval=0s CMD x",
            "FROM a\nHEALTHCHECK --retries=0 CMD x",
            "FROM a\nHEALTHCHECK --start-interval=1s CMD x",
            "FROM a\nRUN echo \\\\\nRUN x",
            "FROM a\nCOPY --chmod=1 a b",
            "FROM a\nCOPY x",
            "",
        ],
        expect![[r#"
            "FROM a\nHEALTHCHECK --interval=0s CMD x" 2:24 bad-duration: dockerfile parse error line 2: Interval "interval" cannot be less than 1ms
            "FROM a\nHEALTHCHECK --retries=0 CMD x" 2:23 bad-flag-value: dockerfile parse error line 2: --retries must be at least 1 (not 0)
            "FROM a\nHEALTHCHECK --start-interval=1s CMD x" 2:13 unknown-flag: dockerfile parse error line 2: Unknown flag: start-interval
            "FROM a\nRUN echo \\\\\nRUN x" reads
            "FROM a\nCOPY --chmod=1 a b" refused: the --chmod option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled
            "FROM a\nCOPY x" 2:1 missing-argument: dockerfile parse error line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined.
            "" 1:1 empty-dockerfile: the Dockerfile (Dockerfile) cannot be empty
        "#]],
    );
    check_in(
        &Syntax::CLASSIC_20_10,
        "FROM a\nRUN echo \\\\\n  x",
        expect![[r#"
        FROM "a"
        RUN shell "echo \\  x"
    "#]],
    );
    check_in(
        &Syntax::BUILDKIT_26_1,
        "FROM a\nRUN echo \\\\\nRUN x",
        expect![[r#"
        FROM "a"
        RUN shell "echo \\\\"
        RUN shell "x"
    "#]],
    );
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_with_a_place() {
    let error = Dockerfile::parse(b"FROM x\nRUN \xff", &Syntax::BUILDKIT_HEAD).unwrap_err();
    assert_eq!((error.line, error.column, error.class.slug()), (2, 5, "bad-utf8"));
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
