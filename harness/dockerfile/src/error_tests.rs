//! What is said of mistakes, and by whom first, claim by claim.

use expect_test::expect;

use crate::parse_tests::{check, check_errors, check_in};
use crate::syntax::Syntax;

#[test]
fn errors_name_the_place_and_the_accepted_forms() {
    check(
        "FROM x\nCOPY \\\n  --chwon=1 a /a\n",
        expect![[r#"
        3:3 unknown-flag at "--chwon=1"
          failed to understand the flag --chwon; COPY takes --from, --chown, --chmod, --link, --parents, --exclude (did you mean --chown?)
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
fn older_rules_for_health_hold_and_an_escaped_escape_ends_the_line() {
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
            3:3 unknown-instruction at "x"
              failed to find an instruction named "x"; there are ADD, ARG, CMD, COPY, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTHCHECK, LABEL, MAINTAINER, ONBUILD, RUN, SHELL, STOPSIGNAL, USER, VOLUME, WORKDIR
              builder: dockerfile parse error line 3: unknown instruction: X
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
