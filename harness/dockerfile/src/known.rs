//! Which builder reads Dockerfiles how: a [`Syntax`] for each one we know.
//!
//! Rows are written as changes to another row. Where a value was not seen in a build, the comment says where
//! it is taken from.

use crate::syntax::{
    Chmod, ColonPattern, Continuation, CopyReach, DuplicateStage, ExpansionEscape, FlagSupport, FromStage,
    HealthZero, IgnoreDescent, IgnoreDoubleStar, IgnoreParents, JsonTail, LexicalPrefix, LineLength,
    Modifiers, MountFields, Support, Syntax, UnusedStages, Wording,
};

impl Syntax {
    /// Docker Engine 20.10, `DOCKER_BUILDKIT=0`. Seen in builds: no heredocs, no `${v-w}`, `Unknown flag:`
    /// texts, duplicate stages refused, unused stages built, `--mount` refused when reached.
    pub const CLASSIC_20_10: Syntax = Syntax {
        check_directive: Support::Absent, // came with frontend 1.8
        syntax_any_format: Support::Absent,
        continuation: Continuation::UnlessEscaped,
        line_length: LineLength::Bounded,
        json_tail: JsonTail::Ignored,
        heredoc: Support::Absent,
        modifiers: Modifiers::ColonOnly,
        patterns: Support::Absent,
        colon_pattern: ColonPattern::Rejected,
        expansion_escape: ExpansionEscape::Directive,
        flag_link: FlagSupport::Unknown,
        flag_parents: FlagSupport::Unknown,
        flag_exclude: FlagSupport::Unknown,
        flag_chmod: FlagSupport::RefusedAtBuild, // source: the text "the --chmod option requires BuildKit"
        chmod: Chmod::Octal,
        flag_checksum: FlagSupport::Unknown,
        flag_keep_git_dir: FlagSupport::Unknown,
        flag_unpack: FlagSupport::Unknown,
        git_source: Support::Absent,
        flag_mount: FlagSupport::RefusedAtBuild,
        mount_fields: MountFields::WhenRead,
        mount_size: Support::Absent,
        mount_secret_env: Support::Absent,
        flag_network: FlagSupport::Unknown,
        flag_security: FlagSupport::Unknown,
        flag_device: FlagSupport::Unknown,
        flag_start_interval: FlagSupport::Unknown, // needs Engine 25
        health_zero: HealthZero::Rejected,
        target_index: Support::Absent,
        duplicate_stage: DuplicateStage::Refused,
        copy_reach: CopyReach::EarlierStages,
        from_stage: FromStage::AnyCase,
        unused_stages: UnusedStages::Built,
        // The client of 20.10 walks the context with the first matcher, before moby/patternmatcher.
        ignore_parents: IgnoreParents::SameDepth,
        ignore_descent: IgnoreDescent::LiteralPrefix,
        ignore_double_star: IgnoreDoubleStar::WholeComponents,
        wording: Wording::Capitalised,
        lexical_prefix: LexicalPrefix::FailedToParse,
    };

    /// The BuildKit inside Docker Engine 20.10 (moby/buildkit v0.8, frontend 1.2). It shares parser and
    /// expansion with [`Self::CLASSIC_20_10`], being vendored once. `RUN --network` came with frontend 1.3 and
    /// was behind a build tag in v0.8, as was `--security`, so both stay unknown (from its source and release
    /// notes, not from a build).
    pub const BUILDKIT_20_10: Syntax = Syntax {
        flag_chmod: FlagSupport::Known,
        flag_mount: FlagSupport::Known,
        duplicate_stage: DuplicateStage::LastWins,
        copy_reach: CopyReach::AnyStage,
        from_stage: FromStage::LowerCase,
        chmod: Chmod::OctalElseIgnored,
        unused_stages: UnusedStages::Skipped,
        lexical_prefix: LexicalPrefix::Nothing,
        ..Self::CLASSIC_20_10
    };

    /// The BuildKit inside Docker Engine 26.1 (moby/buildkit v0.13, frontend 1.7). Seen in builds: heredocs,
    /// `--link`, all substitutions, `unknown flag: exclude`. `--parents`, `--exclude`, `--device` and
    /// `--security` were in the labs channel of that time only. Zero in HEALTHCHECK: from its source.
    pub const BUILDKIT_26_1: Syntax = Syntax {
        copy_reach: CopyReach::LaterRefused,
        syntax_any_format: Support::Present,
        heredoc: Support::Present,
        modifiers: Modifiers::Posix,
        patterns: Support::Present,
        colon_pattern: ColonPattern::Ignored, // from its source; the check for it is younger
        flag_link: FlagSupport::Known,
        flag_checksum: FlagSupport::Known,
        flag_keep_git_dir: FlagSupport::Known,
        git_source: Support::Present,
        mount_fields: MountFields::WhenReached,
        mount_size: Support::Present,
        flag_network: FlagSupport::Known,
        flag_start_interval: FlagSupport::Known,
        health_zero: HealthZero::MeansDefault,
        ignore_parents: IgnoreParents::All,
        ignore_descent: IgnoreDescent::MayMatchBelow,
        ignore_double_star: IgnoreDoubleStar::AnySuffix,
        wording: Wording::Lower,
        ..Self::BUILDKIT_20_10
    };

    /// Docker Engine 26.1, the classic builder: the parser of the BuildKit beside it, of which it then refuses what only
    /// BuildKit does. `--link`, `--checksum` and `--keep-git-dir` are taken and do nothing, not even a wrong
    /// `--checksum` of a URL fails. Seen in builds.
    pub const CLASSIC_26_1: Syntax = Syntax {
        flag_chmod: FlagSupport::RefusedAtBuild,
        flag_mount: FlagSupport::RefusedAtBuild,
        flag_network: FlagSupport::RefusedAtBuild,
        git_source: Support::Absent,
        copy_reach: CopyReach::EarlierStages,
        from_stage: FromStage::AnyCase,
        // The client packs the context itself.
        ignore_descent: IgnoreDescent::LiteralPrefix,
        duplicate_stage: DuplicateStage::Refused,
        unused_stages: UnusedStages::Built,
        lexical_prefix: LexicalPrefix::FailedToParse,
        ..Self::BUILDKIT_26_1
    };

    /// kaniko 1.24: the parser of a BuildKit of its time (2025), most of whose flags it then passes over. Seen in builds:
    /// `--link` and `--mount` parse, `--exclude` does not, unused stages are built, `# escape=` is not heeded when words are
    /// expanded, a number that is no stage's is an image's name, and no value of HEALTHCHECK is refused.
    pub const KANIKO_1_24: Syntax = Syntax {
        check_directive: Support::Present,
        expansion_escape: ExpansionEscape::Backslash,
        copy_reach: CopyReach::EarlierElseImage,
        from_stage: FromStage::AnyCase,
        chmod: Chmod::Octal, // from its source
        unused_stages: UnusedStages::Built,
        wording: Wording::Dashed,
        ..Self::BUILDKIT_26_1
    };

    /// kaniko before its change 289, of August 2018: the parser of the Docker of its time. From its source, not from a build.
    pub const KANIKO_PRE_289: Syntax = Syntax {
        duplicate_stage: DuplicateStage::LastWins,
        copy_reach: CopyReach::EarlierElseImage,
        flag_chmod: FlagSupport::Unknown,
        flag_mount: FlagSupport::Unknown,
        expansion_escape: ExpansionEscape::Backslash,
        ..Self::CLASSIC_20_10
    };

    /// BuildKit at its head (frontend 1.20 and later). `--device` is in the labs channel; it is known here.
    pub const BUILDKIT_HEAD: Syntax = Syntax {
        check_directive: Support::Present,
        json_tail: JsonTail::NotJson, // from its source: the whole line has to be the array
        colon_pattern: ColonPattern::Rejected,
        flag_parents: FlagSupport::Known,
        flag_exclude: FlagSupport::Known,
        chmod: Chmod::OctalOrSymbolic,
        flag_unpack: FlagSupport::Known,
        mount_secret_env: Support::Present,
        flag_security: FlagSupport::Known,
        flag_device: FlagSupport::Known,
        target_index: Support::Present, // from its source
        wording: Wording::Dashed,
        ..Self::BUILDKIT_26_1
    };
}
