//! Why a decision can be turned in a dialect without any image changing: it is about words, or another decision leaves it
//! nothing to decide. A turn without effect and without a reason here is a hole in the cases.

/// A decision, where its turn has no effect, and why.
struct Reason {
    /// `history.chown`.
    decision: &'static str,
    /// The beginning of the dialects' ids; empty for all.
    dialects: &'static str,
    /// The variant it is turned to; empty for each.
    to: &'static str,
    why: &'static str,
}

const WORDS: &str = "it decides the words of messages, and failures are compared by class";
const TOLD_AS_COMMAND: &str = "this history tells instructions as commands";
const TOLD_AS_WRITTEN: &str = "this history tells instructions as written";
const NOT_UNPACKED: &str = "layers are not found in one root that everything is unpacked into";
const NO_LINES: &str = "only steps that make a layer have a line, and that is their own text";
const ANEW: &str = "files are written anew, which leaves it nothing to decide";
const NO_STUBS: &str = "the builder's own container has its mount points since before the build";
const NO_SUCH_FLAG: &str = "this language has no such flag, or refuses it";

const NO_DEVICES: &str = "no device gets as far as COPY: contexts have none, and what is kept of a stage for later ones misses them";
const FLAGS_PASSED_OVER: &str = "mounts are passed over, and what their fields say with them";
const LOOKED_EARLIER: &str = "it has looked when the stage began and leaves links alone, so that a walk and a look before and after find the same";

const NOTHING_UNNAMED: &str = "what nobody names is not looked at: no directory has to be there for a pattern without a match, no link below one is followed";
const NO_HEREDOCS: &str = "this language has no heredocs";
const NO_PATTERNS: &str =
    "this language has no patterns in substitutions: with a colon or without, it fails alike";

/// All reasons; the first that fits counts.
const REASONS: &[Reason] = &[
    Reason { decision: "syntax.wording", dialects: "", to: "", why: WORDS },
    Reason { decision: "syntax.lexical_prefix", dialects: "", to: "", why: WORDS },
    Reason {
        decision: "image.tar_header",
        dialects: "",
        to: "",
        why: "goldens hold entries, not tar headers; tests of layer_write hold those against real layers byte for byte",
    },
    Reason {
        decision: "syntax.syntax_any_format",
        dialects: "",
        to: "",
        why: "no frontend is fetched, so where one is named changes nothing",
    },
    Reason { decision: "history.copy_flags", dialects: "classic@", to: "", why: TOLD_AS_COMMAND },
    Reason { decision: "history.values", dialects: "classic@", to: "", why: TOLD_AS_COMMAND },
    Reason { decision: "history.run_args", dialects: "classic@", to: "", why: TOLD_AS_COMMAND },
    Reason { decision: "history.arg", dialects: "classic@", to: "", why: TOLD_AS_COMMAND },
    Reason { decision: "history.chown", dialects: "buildkit@", to: "", why: TOLD_AS_WRITTEN },
    Reason { decision: "unpacked.*", dialects: "classic@", to: "", why: NOT_UNPACKED },
    Reason { decision: "unpacked.*", dialects: "buildkit@", to: "", why: NOT_UNPACKED },
    Reason { decision: "history.*", dialects: "kaniko@", to: "", why: NO_LINES },
    Reason { decision: "image.empty_step", dialects: "kaniko@", to: "", why: NO_LINES },
    Reason { decision: "copy.directory_time", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "copy.directory_parents", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "copy.directory_over_other", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "copy.setuid", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "copy.chmod_of_made", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "copy.hard_links", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "image.ignored_parents", dialects: "kaniko@", to: "", why: ANEW },
    Reason { decision: "image.context", dialects: "classic@", to: "", why: NOTHING_UNNAMED },
    Reason { decision: "image.context", dialects: "kaniko@", to: "", why: NOTHING_UNNAMED },
    Reason {
        decision: "copy.links_below_match",
        dialects: "kaniko@",
        to: "",
        why: "no link is followed, so none has to lead somewhere (`copy.link_source`)",
    },
    Reason {
        decision: "image.link",
        dialects: "kaniko@",
        to: "",
        why: "the flag is passed over: no layer is its own",
    },
    Reason { decision: "run.mount_points", dialects: "kaniko@", to: "", why: NO_STUBS },
    Reason { decision: "run.mount_targets", dialects: "kaniko@", to: "", why: "--mount is passed over" },
    Reason { decision: "image.link", dialects: "classic@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "image.link", dialects: "buildkit@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "run.mount_targets", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "syntax.chmod", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.chmod_of_made", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.checksum_of_local", dialects: "classic@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.checksum_of_local", dialects: "buildkit@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.url_checksum", dialects: "classic@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.url_checksum", dialects: "buildkit@20.10", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "syntax.colon_pattern", dialects: "classic@20.10", to: "", why: NO_PATTERNS },
    Reason { decision: "syntax.colon_pattern", dialects: "buildkit@20.10", to: "", why: NO_PATTERNS },
    Reason { decision: "run.heredocs", dialects: "classic@20.10", to: "", why: NO_HEREDOCS },
    Reason { decision: "run.heredocs", dialects: "buildkit@20.10", to: "", why: NO_HEREDOCS },
    Reason { decision: "copy.heredoc_sources", dialects: "classic@20.10", to: "", why: NO_HEREDOCS },
    Reason { decision: "copy.heredoc_sources", dialects: "buildkit@20.10", to: "", why: NO_HEREDOCS },
    Reason {
        decision: "history.empty",
        dialects: "classic@",
        to: "",
        why: "an image always has a history: that of its base alone is no image of its own",
    },
    Reason { decision: "copy.chmod_special", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.chmod_word", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "run.mount_flags", dialects: "classic@", to: "", why: NO_SUCH_FLAG },
    Reason {
        decision: "run.volumes",
        dialects: "buildkit@",
        to: "left-out",
        why: "what a RUN changed is all that lies in its upper directory",
    },
    Reason {
        decision: "copy.owner_looked_up",
        dialects: "buildkit@",
        to: "",
        why: "what is missing is told of before anything is looked up (image.failure_order)",
    },
    Reason { decision: "copy.devices", dialects: "kaniko@", to: "", why: NO_DEVICES },
    Reason {
        decision: "copy.archive_owner",
        dialects: "kaniko@",
        to: "destination",
        why: "the destination of an archive is made before --chown is looked at",
    },
    Reason { decision: "syntax.mount_size", dialects: "kaniko@", to: "", why: FLAGS_PASSED_OVER },
    Reason { decision: "syntax.mount_secret_env", dialects: "kaniko@", to: "", why: FLAGS_PASSED_OVER },
    Reason { decision: "syntax.mount_fields", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "run.mount_flags", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "syntax.chmod", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.chmod_special", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.chmod_word", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.checksum_of_local", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "copy.url_checksum", dialects: "kaniko@pre-289", to: "", why: NO_SUCH_FLAG },
    Reason { decision: "syntax.colon_pattern", dialects: "kaniko@pre-289", to: "", why: NO_PATTERNS },
    Reason { decision: "copy.heredoc_sources", dialects: "kaniko@pre-289", to: "", why: NO_HEREDOCS },
    Reason { decision: "run.heredocs", dialects: "kaniko@pre-289", to: "", why: NO_HEREDOCS },
    Reason {
        decision: "unpacked.run_changes",
        dialects: "kaniko@pre-289",
        to: "before-and-after",
        why: LOOKED_EARLIER,
    },
    Reason {
        decision: "unpacked.empty_copy",
        dialects: "kaniko@pre-289",
        to: "whole-root",
        why: "a COPY lists its destination even when nothing is copied",
    },
    Reason {
        decision: "unpacked.link_loop",
        dialects: "kaniko@pre-289",
        to: "",
        why: "no link is followed (unpacked.link_targets)",
    },
];

/// The reason for a turn without effect.
pub(super) fn reason(decision: &str, dialect: &str, to: &str) -> Option<&'static str> {
    REASONS
        .iter()
        .find(|reason| {
            speaks_of(reason.decision, decision)
                && dialect.starts_with(reason.dialects)
                && (reason.to.is_empty() || reason.to == to)
        })
        .map(|reason| reason.why)
}

/// Whether `pattern`, which may end in `*`, means `decision`.
fn speaks_of(pattern: &str, decision: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == decision, |room| decision.starts_with(room))
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_builder::DIALECTS;

    #[test]
    fn every_reason_is_about_a_decision_and_a_dialect_there_are() {
        let names: Vec<String> = DIALECTS[0].choices().iter().map(|choice| choice.name()).collect();
        for reason in REASONS {
            assert!(names.iter().any(|name| speaks_of(reason.decision, name)), "{}", reason.decision);
            assert!(
                DIALECTS.iter().any(|dialect| dialect.id.starts_with(reason.dialects)),
                "{}",
                reason.dialects
            );
        }
    }
}
