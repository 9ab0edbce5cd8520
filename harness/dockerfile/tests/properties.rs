//! Properties over generated input: nothing panics, places are places, printing keeps meaning, and the
//! matchers agree with slow ones written another way. A failing run prints its seed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};
use samebuild_dockerfile::expand::Expander;
use samebuild_dockerfile::glob::go_match;
use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::{Dockerfile, Span, Syntax};

const SYNTAXES: &[Syntax] =
    &[Syntax::CLASSIC_20_10, Syntax::BUILDKIT_20_10, Syntax::BUILDKIT_26_1, Syntax::BUILDKIT_HEAD];

/// Pieces from which files fall together that are nearly, or really, Dockerfiles.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "FROM x\n",
        "FROM x AS a\n",
        "from a\n",
        "ARG A=1 B\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "LABEL ",
        "ONBUILD ",
        "CMD ",
        "SHELL ",
        "VOLUME ",
        "EXPOSE ",
        "USER ",
        "WORKDIR ",
        "HEALTHCHECK ",
        "CMD ",
        "NONE",
        "STOPSIGNAL 9\n",
        "MAINTAINER me\n",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\\\n",
        "`\n",
        "\\",
        "\\\\",
        "# c\n",
        "# escape=`\n",
        "# escape=\\\n",
        "# syntax=s\n",
        "<<EOF",
        "<<-E",
        "<<\"E\"",
        "EOF\n",
        "\tE\n",
        "E\n",
        "--",
        "--from=a ",
        "--chown=\"1 \\\"2\" ",
        "--mount=type=cache,target=/c ",
        "--link ",
        "--interval=5s ",
        "[",
        "]",
        ",",
        "\"a b\"",
        "[\"a\", \"b\"]",
        "['a']",
        "[1]",
        "'",
        "\"",
        "$A",
        "${A:-b}",
        "=",
        "a=b ",
        "a",
        "b c",
        "/d",
        "é",
        "\u{a0}",
        "\u{feff}",
    ];
    (select(vec!["", "FROM x\n", "# escape=`\nFROM x\n"]), vec(select(pieces), 0..40))
        .prop_map(|(top, pieces)| format!("{top}{}\nUSER z\n", pieces.concat()))
}

/// A word between white space, as plain or as quoted as it gets.
fn word() -> impl Strategy<Value = String> {
    select(vec![
        "a", "/b/c", "x.y", "$V", "${V:-w}", "\"p q\"", "'r s'", "t\\ u", "é", "a#b", "80/tcp", "v1_2",
    ])
    .prop_map(str::to_owned)
}

/// One valid instruction, over one or several lines.
fn instruction() -> impl Strategy<Value = String> {
    let words = || vec(word(), 1..4).prop_map(|words| words.join(" "));
    let joint = select(vec![" ", " \\\n  ", "  ", "\t", " \\\n# c\n "]);
    let pair = || (word(), word()).prop_map(|(name, value)| format!("n{name}={value}"));
    prop_oneof![
        (joint.clone(), words()).prop_map(|(joint, text)| format!("RUN{joint}{text}\n")),
        (joint.clone(), words(), word())
            .prop_map(|(joint, from, to)| format!("COPY{joint}{from}{joint}{to}\n")),
        (words(), word()).prop_map(|(from, to)| format!("ADD --chown=1:2 {from} {to}\n")),
        vec(pair(), 1..4).prop_map(|pairs| format!("ENV {}\n", pairs.join(" "))),
        vec(pair(), 1..4).prop_map(|pairs| format!("label {}\n", pairs.join(" \\\n  "))),
        words().prop_map(|text| format!("CMD {text}\n")),
        vec("[a-z\"\\\\ ]{0,4}", 1..3).prop_map(|list| format!("ENTRYPOINT {}\n", json(&list))),
        words().prop_map(|ports| format!("EXPOSE {ports}\n")),
        words().prop_map(|text| format!("ONBUILD RUN {text}\n")),
        words().prop_map(|text| format!("HEALTHCHECK --interval=5s --retries=2 CMD {text}\n")),
        Just("ARG N=1 M\n".to_owned()),
        Just("WORKDIR /a b\n".to_owned()),
        Just("USER app\n".to_owned()),
        Just("VOLUME /v\n".to_owned()),
        Just("SHELL [\"sh\", \"-c\"]\n".to_owned()),
        Just("STOPSIGNAL SIGTERM\n".to_owned()),
        Just("RUN <<EOF\necho $V\nEOF\n".to_owned()),
        Just("COPY <<-\"A\" <<B /d/\n\tx\n\tA\ny $V\nB\n".to_owned()),
        Just("# comment\n\n".to_owned()),
    ]
}

fn json(list: &[String]) -> String {
    let quoted = list.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

fn spans(file: &Dockerfile) -> Vec<Span> {
    let stages = file.stages.iter().map(|stage| stage.header.span);
    stages.chain(file.stages.iter().flat_map(|stage| stage.instructions.iter().map(|i| i.span))).collect()
}

/// The seed of a failing input is printed, and kept beside this file for the next run.
fn seeds() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::WithSource("seeds")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: seeds(), ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        for syntax in SYNTAXES {
            let _ = Dockerfile::parse(&bytes, syntax);
        }
    }

    #[test]
    fn nearly_dockerfiles_are_read_or_refused_at_a_place_and_print_the_same(text in soup()) {
        for syntax in SYNTAXES {
            match Dockerfile::parse(text.as_bytes(), syntax) {
                Ok(file) => {
                    for span in spans(&file) {
                        prop_assert!(text.get(span.start..span.end).is_some_and(|slice| !slice.is_empty()), "{span:?}");
                    }
                    let printed = file.print();
                    let again = Dockerfile::parse(printed.as_bytes(), syntax);
                    prop_assert_eq!(again.map(|file| file.outline()), Ok(file.outline()), "printed as {:?}", printed);
                }
                Err(error) => {
                    prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{error:?}");
                    prop_assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty(), "{error:?}");
                    prop_assert!(text.is_char_boundary(error.span.start), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn dockerfiles_are_read_and_print_the_same(body in vec(instruction(), 0..12)) {
        let text = format!("ARG V=1\nFROM x:$V AS base\n{}", body.concat());
        let syntax = &Syntax::BUILDKIT_HEAD;
        let file = Dockerfile::parse(text.as_bytes(), syntax).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        let printed = file.print();
        let again = Dockerfile::parse(printed.as_bytes(), syntax).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        prop_assert_eq!(again.outline(), file.outline());
        prop_assert_eq!(again.print(), printed);
    }

    #[test]
    fn expansion_ends_and_leaves_plain_words_alone(
        soup in vec(select(vec!["$", "{", "}", ":", "-", "+", "?", "#", "%", "/", "*", "\\", "`", "'", "\"", "V", "é", " ", "\n"]), 0..24),
        plain in "[a-zA-Z0-9/._=:-]{0,20}",
    ) {
        let env = vec![("V".to_owned(), "a.b $c".to_owned())];
        for syntax in SYNTAXES {
            for escape in ['\\', '`'] {
                let expander = Expander::new(syntax, escape);
                if let Ok(expansion) = expander.expand(&soup.concat(), &env) {
                    prop_assert!(expansion.words.iter().all(|word| !word.is_empty()));
                }
                let _ = expander.heredoc_body(&soup.concat(), &env);
                prop_assert_eq!(expander.word(&plain, &env), Ok(plain.clone()));
            }
        }
    }

    #[test]
    fn ignoring_agrees_with_a_slow_matcher(
        lines in vec((any::<bool>(), vec(select(vec!["a", "b", "*", "?", "**/", "/", "[ab]", "/**", "."]), 1..6)), 0..5),
        path in path(),
    ) {
        let patterns: Vec<(bool, String)> = lines.iter()
            .map(|(negated, parts)| (*negated, samebuild_dockerfile::ignore::clean(&parts.concat())))
            .map(|(negated, text)| (negated, text.trim_start_matches('/').to_owned()))
            .filter(|(_, text)| !text.is_empty() && !text.contains("***") && !text.starts_with("**a") && !text.starts_with("**b"))
            .collect();
        let text: String = patterns.iter().map(|(negated, text)| format!("{}{text}\n", if *negated { "!" } else { "" })).collect();
        let syntax = Syntax { ignore_double_star: samebuild_dockerfile::syntax::IgnoreDoubleStar::WholeComponents, ..Syntax::BUILDKIT_HEAD };
        let file = IgnoreFile::parse(text.as_bytes(), &syntax).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let mut expected = false;
        for (negated, pattern) in &patterns {
            let pattern: Vec<char> = pattern.chars().collect();
            let hit = prefixes(&path).any(|prefix| slow_ignore(&pattern, &prefix.chars().collect::<Vec<_>>()));
            expected = if hit { !negated } else { expected };
        }
        prop_assert_eq!(file.excludes(&path), expected, "{:?} on {}", text, path);
        // A directory that is skipped has nothing below it that would be taken in again.
        for above in prefixes(&path).filter(|above| *above != path && file.skips(above)) {
            prop_assert!(file.excludes(&path), "{text:?} skips {above} but not {path}");
        }
    }

    #[test]
    fn globs_agree_with_a_slow_matcher(
        pattern in vec(select(vec!["a", "b", "*", "?", "/", "[ab]", "[^a/]", "\\*"]), 0..8),
        name in "[ab*/]{0,8}",
    ) {
        let pattern = pattern.concat();
        let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
        prop_assert_eq!(go_match(&pattern, &name).ok(), Some(slow_glob(&p, &n)), "{} on {}", pattern, name);
    }
}

fn path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "ab", "ba"]), 1..5).prop_map(|parts| parts.join("/"))
}

/// The path and every directory above it.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain(std::iter::once(path))
}

/// `.dockerignore` patterns by plain recursion.
fn slow_ignore(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*'] | ['*', '*', '/'] => true,
        ['*', '*', rest @ ..] => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            slow_ignore(rest, path)
                || path.iter().enumerate().any(|(at, &c)| c == '/' && slow_ignore(rest, &path[at + 1..]))
        }
        ['*', rest @ ..] => slow_star(path, |left| slow_ignore(rest, left)),
        ['?', rest @ ..] => path.first().is_some_and(|&c| c != '/') && slow_ignore(rest, &path[1..]),
        ['[', 'a', 'b', ']', rest @ ..] => {
            path.first().is_some_and(|c| matches!(c, 'a' | 'b')) && slow_ignore(rest, &path[1..])
        }
        [c, rest @ ..] => path.first() == Some(c) && slow_ignore(rest, &path[1..]),
    }
}

/// `filepath.Match` patterns by plain recursion.
fn slow_glob(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => slow_star(name, |left| slow_glob(rest, left)),
        ['?', rest @ ..] => name.first().is_some_and(|&c| c != '/') && slow_glob(rest, &name[1..]),
        // Without `/` in it a negated class would match one, and Go does not go back over that.
        ['[', '^', 'a', '/', ']', rest @ ..] => {
            name.first().is_some_and(|c| !matches!(c, 'a' | '/')) && slow_glob(rest, &name[1..])
        }
        ['[', 'a', 'b', ']', rest @ ..] => {
            name.first().is_some_and(|c| matches!(c, 'a' | 'b')) && slow_glob(rest, &name[1..])
        }
        ['\\', c, rest @ ..] | [c, rest @ ..] => name.first() == Some(c) && slow_glob(rest, &name[1..]),
    }
}

/// `*`: some of what is before the next slash, then `then`.
fn slow_star(text: &[char], then: impl Fn(&[char]) -> bool) -> bool {
    let run = text.iter().position(|&c| c == '/').unwrap_or(text.len());
    (0..=run).any(|taken| then(&text[taken..]))
}
