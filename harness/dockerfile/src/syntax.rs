//! The points at which builders read the same Dockerfile differently, as a table of named decisions.
//!
//! Variants name behaviour, never a builder. Which builder has which value is said once, in
//! [`crate::known`]. What a builder then *does* with an instruction is decided elsewhere.

use crate::{decisions, variants};

variants! {
    /// What becomes of a flag.
    FlagSupport {
        /// The flag is an error when the file is parsed.
        Unknown = "unknown",
        /// The flag parses; the build fails when it reaches the instruction.
        RefusedAtBuild = "refused-at-build",
        /// The flag works.
        Known = "known",
    }
    /// Whether something is part of the language.
    Support {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
    /// What an escape token at the end of a line means.
    Continuation {
        /// It always continues the line.
        AnyTrailingEscape = "any-trailing-escape",
        /// It continues the line unless another escape token stands before it.
        UnlessEscaped = "unless-escaped",
    }
    /// What follows a JSON array on its line.
    JsonTail {
        /// It is passed over.
        Ignored = "ignored",
        /// It makes all of it plain text.
        NotJson = "not-json",
    }
    /// How long a line may be.
    LineLength {
        /// 65535 bytes.
        Bounded = "bounded",
        /// Any length.
        Unbounded = "unbounded",
    }
    /// Which forms of `${name…}` there are.
    Modifiers {
        /// `${v:-w}`, `${v:+w}`, `${v:?m}`; anything else needs a colon.
        ColonOnly = "colon-only",
        /// Those and `${v-w}`, `${v+w}`, `${v?m}`, which look at unset only.
        Posix = "posix",
    }
    /// What a colon before a pattern does, as in `${v:#p}`.
    ColonPattern {
        /// An error.
        Rejected = "rejected",
        /// Nothing: it is `${v#p}`.
        Ignored = "ignored",
    }
    /// Which character escapes inside words when they are expanded.
    ExpansionEscape {
        /// The one chosen by `# escape=`.
        Directive = "directive",
        /// Always a backslash.
        Backslash = "backslash",
    }
    /// Whether FROM finds a stage whose name it writes in capitals.
    FromStage {
        /// It does.
        AnyCase = "any-case",
        /// It does not: names of stages are in lower case, and what is not one is an image.
        LowerCase = "lower-case",
    }
    /// Which modes `--chmod` takes.
    Chmod {
        /// Octal, up to 07777; anything else is passed over.
        OctalElseIgnored = "octal-else-ignored",
        /// Octal, up to 07777.
        Octal = "octal",
        /// Octal, or symbolic as in `u=rwX,go-w`.
        OctalOrSymbolic = "octal-or-symbolic",
    }
    /// What a zero means in HEALTHCHECK options.
    HealthZero {
        /// An error: durations start at 1ms and retries at 1.
        Rejected = "rejected",
        /// The default.
        MeansDefault = "means-default",
    }
    /// When the fields of `--mount` are looked at.
    MountFields {
        /// When the file is parsed: a wrong one is an error then, and a variable in one stands for itself.
        WhenRead = "when-read",
        /// When the build gets there, and after variables are expanded.
        WhenReached = "when-reached",
    }
    /// What a second stage of the same name is.
    DuplicateStage {
        /// An error when the build reaches it.
        Refused = "refused",
        /// The stage that the name means from then on.
        LastWins = "last-wins",
    }
    /// Which stages `COPY --from` can name, and when it is found that there is none.
    CopyReach {
        /// Those before its own; found when the build gets there.
        EarlierStages = "earlier-stages",
        /// All of the file; found before anything is built.
        AnyStage = "any-stage",
        /// Those before its own, and a later one is an error before anything is built.
        LaterRefused = "later-refused",
        /// Those before its own; any other number or name is an image's.
        EarlierElseImage = "earlier-else-image",
    }
    /// What becomes of stages that the target does not need.
    UnusedStages {
        /// Everything up to the target is built.
        Built = "built",
        /// They are skipped.
        Skipped = "skipped",
    }
    /// Which directories above a path a pattern of .dockerignore is tried on.
    IgnoreParents {
        /// Only the one with as many components as the pattern.
        SameDepth = "same-depth",
        /// All of them.
        All = "all",
    }
    /// When an excluded directory is still entered, because of `!` patterns.
    IgnoreDescent {
        /// Only if the text of a `!` pattern begins with the directory.
        LiteralPrefix = "literal-prefix",
        /// If a `!` pattern could match something inside.
        MayMatchBelow = "may-match-below",
    }
    /// What a pattern `**name` without a slash matches.
    IgnoreDoubleStar {
        /// Whole components: `a/name`.
        WholeComponents = "whole-components",
        /// Any path that ends so: `a/othername` too.
        AnySuffix = "any-suffix",
    }
    /// The words of the builder's own messages.
    Wording {
        /// `Unknown flag: x`, `dockerfile parse error line 2: …`.
        Capitalised = "capitalised",
        /// `unknown flag: x`, `dockerfile parse error on line 2: …`, with a suggestion.
        Lower = "lower",
        /// `unknown flag: --x`, otherwise the same.
        Dashed = "dashed",
    }
    /// What goes before messages about words and JSON, found before instructions are looked at.
    LexicalPrefix {
        /// Nothing.
        Nothing = "nothing",
        /// `failed to parse Dockerfile: `.
        FailedToParse = "failed-to-parse",
    }
}

decisions! {
    /// How a Dockerfile is read: a value for every decision.
    Syntax {
    /// Whether `# check=` is a parser directive; if not, it ends them.
    check_directive: Support,
    /// Whether `//syntax=`, a JSON object and a `#!` line count when the frontend is looked for.
    syntax_any_format: Support,
    /// What an escape token at the end of a line means.
    continuation: Continuation,
    /// How long a line may be.
    line_length: LineLength,
    /// What follows a JSON array on its line.
    json_tail: JsonTail,
    /// Whether ADD, COPY and RUN take heredocs.
    heredoc: Support,
    /// Which forms of `${name…}` there are.
    modifiers: Modifiers,
    /// Whether `${v#p}`, `${v%p}` and `${v/p/r}` exist.
    patterns: Support,
    /// What a colon before a pattern does, as in `${v:#p}`.
    colon_pattern: ColonPattern,
    /// Which character escapes inside words when they are expanded.
    expansion_escape: ExpansionEscape,
    /// `COPY --link` and `ADD --link`.
    flag_link: FlagSupport,
    /// `COPY --parents`.
    flag_parents: FlagSupport,
    /// `COPY --exclude` and `ADD --exclude`.
    flag_exclude: FlagSupport,
    /// `COPY --chmod` and `ADD --chmod`.
    flag_chmod: FlagSupport,
    /// Which modes `--chmod` takes.
    chmod: Chmod,
    /// `ADD --checksum`.
    flag_checksum: FlagSupport,
    /// `ADD --keep-git-dir`.
    flag_keep_git_dir: FlagSupport,
    /// `ADD --unpack`.
    flag_unpack: FlagSupport,
    /// Whether ADD takes git repositories.
    git_source: Support,
    /// `RUN --mount`.
    flag_mount: FlagSupport,
    /// When the fields of `--mount` are looked at.
    mount_fields: MountFields,
    /// Whether `RUN --mount=type=tmpfs` takes `size=`.
    mount_size: Support,
    /// Whether `RUN --mount=type=secret` takes `env=`.
    mount_secret_env: Support,
    /// `RUN --network`.
    flag_network: FlagSupport,
    /// `RUN --security`.
    flag_security: FlagSupport,
    /// `RUN --device`.
    flag_device: FlagSupport,
    /// `HEALTHCHECK --start-interval`.
    flag_start_interval: FlagSupport,
    /// What a zero means in HEALTHCHECK options.
    health_zero: HealthZero,
    /// Whether a target can be a stage's number.
    target_index: Support,
    /// What a second stage of the same name is.
    duplicate_stage: DuplicateStage,
    /// Which stages `COPY --from` can name, and when it is found that there is none.
    copy_reach: CopyReach,
    /// Whether FROM finds a stage whose name it writes in capitals.
    from_stage: FromStage,
    /// What becomes of stages that the target does not need.
    unused_stages: UnusedStages,
    /// Which directories above a path a pattern of .dockerignore is tried on.
    ignore_parents: IgnoreParents,
    /// When an excluded directory is still entered, because of `!` patterns.
    ignore_descent: IgnoreDescent,
    /// What a .dockerignore pattern `**name` matches.
    ignore_double_star: IgnoreDoubleStar,
    /// The words of the builder's own messages; decides nothing else.
    wording: Wording,
    /// What goes before messages about words and JSON; decides nothing else.
    lexical_prefix: LexicalPrefix,
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_of_every_decision_can_be_set_and_read_back() {
        let mut syntax = Syntax::CLASSIC_20_10;
        for decision in Syntax::DECISIONS {
            assert!(!decision.doc().is_empty() && !decision.doc().starts_with(' '), "{}", decision.name);
            for variant in decision.variants {
                assert_eq!(syntax.set(decision.name, variant.name), Ok(()));
                assert_eq!(syntax.get(decision.name), Some(variant.name));
            }
        }
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        let mut syntax = Syntax::BUILDKIT_HEAD;
        let wrong_variant = syntax.set("heredoc", "maybe").unwrap_err();
        assert_eq!(wrong_variant.to_string(), "set heredoc to \"maybe\"; it takes absent, present");
        let wrong_name = syntax.set("hereducks", "present").unwrap_err();
        assert!(wrong_name.to_string().contains("heredoc, modifiers"), "{wrong_name}");
        assert_eq!(syntax, Syntax::BUILDKIT_HEAD);
    }
}
