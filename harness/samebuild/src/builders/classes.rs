//! What a failing builder's words mean: a table of patterns for each builder and one for what both say, in the order in
//! which they are tried. Text that no row knows is unclassified, and then only equal words are equal failures.

use samebuild_image::golden::UNCLASSIFIED;

/// A class and the texts that all stand in a message of it.
struct Row {
    class: &'static str,
    all: &'static [&'static str],
}

/// The classic builder's own words.
const CLASSIC: &[Row] = &[
    // First: such a message holds the whole command.
    Row { class: "run-exit", all: &["returned a non-zero code:"] },
    Row { class: "variable-in-from", all: &["invalid from flag value", "$"] },
    Row { class: "duplicate-stage", all: &["stage name already used"] },
    Row { class: "unsupported-flag", all: &["option requires BuildKit"] },
    Row { class: "bad-stage-index", all: &["invalid from flag value", "refers to current build stage"] },
    Row { class: "bad-stage-index", all: &["invalid from flag value", "index out of bounds"] },
    Row { class: "fetch-status", all: &["failed to GET", "with status"] },
    Row { class: "fetch-failed", all: &["ADD failed:", "<registry not reachable>"] },
    Row { class: "fetch-without-name", all: &["cannot determine filename for source"] },
    Row { class: "unknown-owner", all: &["unable to convert uid/gid chown string"] },
    Row { class: "copy-no-match", all: &["no source files were specified"] },
    Row { class: "copy-not-found", all: &["file not found in build context"] },
    Row { class: "copy-not-found", all: &["COPY failed: stat ", "no such file or directory"] },
    Row { class: "copy-not-found", all: &["COPY failed: stat ", "file does not exist"] },
    Row { class: "not-a-directory", all: &["failed to copy directory", "not a directory"] },
    Row {
        class: "not-a-directory",
        all: &["failed to create new directory: mkdir <rootfs>", "not a directory"],
    },
    Row { class: "copy-several-to-file", all: &["destination must be a directory and end with a /"] },
    Row { class: "run-not-started", all: &["cannot mount volume over existing file"] },
    Row { class: "not-a-directory", all: &["Cannot mkdir:", "is not a directory"] },
    Row { class: "not-a-directory", all: &["Error setting up pivot dir: mkdir <rootfs>", "not a directory"] },
];

/// BuildKit's own words.
const BUILDKIT: &[Row] = &[
    // First: such a message holds the whole command.
    Row { class: "run-exit", all: &["executor failed running", "exit code:"] },
    Row { class: "run-exit", all: &["did not complete successfully: exit code:"] },
    Row { class: "duplicate-stage", all: &["duplicate name"] },
    Row { class: "bad-stage-index", all: &["invalid stage index"] },
    Row { class: "circular-stages", all: &["circular dependency detected on stage"] },
    Row { class: "later-stage", all: &["cannot copy from stage", "needs to be defined before"] },
    Row { class: "checksum-mismatch", all: &["digest mismatch"] },
    Row { class: "bad-checksum", all: &["invalid checksum digest format"] },
    Row { class: "bad-checksum", all: &["unsupported digest algorithm"] },
    Row { class: "bad-checksum", all: &["invalid checksum digest length"] },
    Row { class: "fetch-status", all: &["invalid response status"] },
    Row { class: "fetch-failed", all: &["failed to load cache key:", "<registry not reachable>"] },
    Row { class: "git-failed", all: &["git error:"] },
    Row { class: "unknown-owner", all: &["invalid user index"] },
    Row { class: "unknown-owner", all: &["open <rootfs>/etc/", ": no such file or directory"] },
    Row { class: "copy-not-found", all: &["failed to calculate checksum of ref", "not found"] },
    Row { class: "copy-not-found", all: &["failed to compute cache key", "not found"] },
    Row { class: "copy-not-found", all: &["failed to walk", "no such file or directory"] },
    Row { class: "not-a-directory", all: &["cannot copy to non-directory"] },
    Row { class: "not-a-directory", all: &["mkdir <rootfs>", "not a directory"] },
    Row { class: "copy-file-over-directory", all: &["cannot replace to directory", "with file"] },
    Row { class: "image-not-found", all: &["failed to resolve source metadata"] },
    Row { class: "secret-not-found", all: &["secret ", "not found"] },
];

/// What both say: they share the parser of Dockerfiles, the reader of archives and the runtime.
const BOTH: &[Row] = &[
    Row { class: "unknown-flag", all: &["nknown flag:"] },
    Row { class: "unknown-instruction", all: &["nknown instruction:"] },
    Row { class: "bad-onbuild", all: &["Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"] },
    Row { class: "bad-onbuild", all: &["isn't allowed as an ONBUILD trigger"] },
    Row { class: "no-instructions", all: &["file with no instructions"] },
    Row { class: "empty-dockerfile", all: &["cannot be empty"] },
    Row { class: "no-stage", all: &["no build stage in current context"] },
    Row {
        class: "bad-json",
        all: &["when using JSON array syntax, arrays must be comprised of strings only"],
    },
    Row { class: "line-too-long", all: &["line greater than max allowed size of"] },
    Row { class: "bad-mount", all: &["unexpected key '"] },
    Row { class: "missing-equals", all: &["Syntax error - can't find = in"] },
    Row { class: "missing-argument", all: &["requires at least", "argument"] },
    Row { class: "missing-argument", all: &["requires exactly one argument"] },
    Row { class: "missing-argument", all: &["must have two arguments"] },
    Row { class: "bad-arguments", all: &["requires either one or three arguments"] },
    Row { class: "bad-arguments", all: &["source can't be a"] },
    Row { class: "blank-name", all: &["names can not be blank"] },
    Row { class: "bad-json", all: &["requires the arguments to be in JSON form"] },
    Row { class: "bad-stage-name", all: &["nvalid name for build stage"] },
    Row { class: "bad-healthcheck", all: &["in HEALTHCHECK (try CMD)"] },
    Row { class: "bad-healthcheck", all: &["Missing command after HEALTHCHECK CMD"] },
    Row { class: "bad-healthcheck", all: &["HEALTHCHECK NONE takes no arguments"] },
    Row { class: "bad-duration", all: &["time: ", " duration \""] },
    Row { class: "bad-flag-value", all: &["strconv.ParseInt: parsing"] },
    Row { class: "bad-flag-value", all: &["--retries must be at least"] },
    Row { class: "bad-flag-value", all: &["--retries cannot be negative"] },
    Row { class: "bad-flag-value", all: &["xpecting boolean value for flag"] },
    Row { class: "bad-flag-value", all: &["unsupported network mode"] },
    Row { class: "bad-flag-value", all: &["invalid network mode"] },
    Row { class: "bad-flag-value", all: &["security ", " is not valid"] },
    Row { class: "missing-flag-value", all: &["issing a value on flag:"] },
    Row { class: "bad-volume", all: &["VOLUME specified can not be an empty string"] },
    Row { class: "duplicate-flag", all: &["uplicate flag specified:"] },
    Row { class: "duplicate-directive", all: &["parser directive can be used"] },
    Row { class: "bad-escape", all: &["nvalid escape token", "does not match"] },
    Row { class: "bad-escape", all: &["nvalid ESCAPE", "Must be"] },
    Row { class: "line-too-long", all: &["dockerfile line greater than max allowed size"] },
    Row { class: "unterminated-heredoc", all: &["unterminated heredoc"] },
    Row { class: "bad-heredoc", all: &["cannot accept a heredoc as a destination"] },
    Row { class: "no-stage", all: &["contains no stages to build"] },
    Row { class: "bad-mount", all: &["failed to parse csv mounts"] },
    Row { class: "bad-mount", all: &["unexpected key", "in '"] },
    Row { class: "bad-mount", all: &["invalid field '"] },
    Row { class: "bad-mount", all: &["unsupported mount type"] },
    Row { class: "bad-mount", all: &["invalid mount target"] },
    Row { class: "bad-mount", all: &["doesn't support variable expansion, define alias stage"] },
    Row { class: "bad-mount", all: &["secret mount should not"] },
    Row { class: "variable-in-from", all: &["variable expansion is not supported for --from"] },
    Row { class: "variable-in-from", all: &["failed to parse stage name", "$"] },
    Row { class: "required-variable", all: &["parameter not set"] },
    Row { class: "bad-substitution", all: &["failed to process", "in substitution"] },
    Row { class: "bad-substitution", all: &["failed to process", "in modifier"] },
    Row { class: "bad-substitution", all: &["failed to process", "syntax error: "] },
    Row { class: "bad-substitution", all: &["failed to process", "unexpected end of statement"] },
    // The words after the `?` are the author's.
    Row { class: "required-variable", all: &["failed to process \"", "?", "}\": "] },
    Row { class: "bad-port", all: &["nvalid containerPort:"] },
    Row { class: "bad-port", all: &["nvalid hostPort:"] },
    Row { class: "bad-port", all: &["nvalid proto:"] },
    Row { class: "bad-port", all: &["o port specified:"] },
    Row { class: "bad-port", all: &["nvalid ip address:"] },
    Row { class: "bad-port", all: &["nvalid ranges specified for container and host Ports"] },
    Row { class: "bad-platform", all: &["failed to parse platform"] },
    Row { class: "bad-pattern", all: &["syntax error in pattern"] },
    Row { class: "bad-pattern", all: &["illegal exclusion pattern:"] },
    Row { class: "copy-outside-context", all: &["evalSymlinksInScope:", " is not in "] },
    Row { class: "not-a-directory", all: &["lstat <rootfs>", "not a directory"] },
    Row { class: "workdir-empty", all: &["cannot normalize nothing"] },
    Row { class: "run-nothing", all: &["arguments are required"] },
    Row { class: "unknown-target", all: &["failed to reach build target"] },
    Row { class: "unknown-target", all: &["target stage", "could not be found"] },
    Row { class: "no-image", all: &["No image was generated"] },
    Row { class: "symlink-loop", all: &["too many links"] },
    Row { class: "symlink-loop", all: &["too many symlinks"] },
    Row { class: "symlink-loop", all: &["too many levels of symbolic links"] },
    Row { class: "bad-signal", all: &["nvalid signal:"] },
    Row { class: "unknown-user", all: &["unable to find group"] },
    Row { class: "blank-from", all: &["base name (", ") should not be blank"] },
    Row { class: "bad-image-name", all: &["invalid reference format"] },
    Row { class: "bad-duration", all: &["cannot be less than 1ms"] },
    Row { class: "bad-chmod", all: &["invalid chmod parameter"] },
    Row { class: "checksum-of-local", all: &["checksum can't be specified for"] },
    Row { class: "bad-arguments", all: &["source can't be a", "for COPY"] },
    Row { class: "run-not-started", all: &["OCI runtime create failed"] },
    Row { class: "unknown-user", all: &["unable to find user"] },
    Row { class: "copy-not-found", all: &["lstat <rootfs>/", "no such file or directory"] },
    Row { class: "copy-outside-context", all: &["orbidden path outside the build context"] },
    Row { class: "copy-file-over-directory", all: &["cannot overwrite directory", "with non-directory"] },
    Row { class: "image-not-found", all: &["<registry not reachable>"] },
    Row { class: "image-not-found", all: &["pull access denied"] },
    Row { class: "image-not-found", all: &["manifest unknown"] },
    Row { class: "exec-not-found", all: &["executable file not found"] },
    Row { class: "exec-not-found", all: &["starting container process caused", "no such file or directory"] },
    Row { class: "bad-archive", all: &["unhandled tar header type"] },
    Row { class: "bad-archive", all: &["unexpected EOF"] },
    Row { class: "bad-archive", all: &["Error processing tar file("] },
    Row { class: "bad-archive", all: &["link /", ": no such file or directory"] },
    Row { class: "bad-archive", all: &["open /", ": no such file or directory"] },
    Row { class: "bad-archive", all: &["mkdir /", ": file exists"] },
];

/// kaniko 1.24, where its words are its own.
const KANIKO: &[Row] = &[
    Row { class: "hangs", all: &["no result after", " s"] },
    Row { class: "copy-no-match", all: &["resolved envs is empty"] },
    Row { class: "copy-not-found", all: &["failed to get fileinfo for", "no such file or directory"] },
    Row { class: "copy-file-over-directory", all: &["creating file: open", "is a directory"] },
    Row { class: "not-a-directory", all: &["resolving dest symlink:", "not a directory"] },
    Row { class: "not-a-directory", all: &["destination cannot be a symlink"] },
    Row { class: "not-a-directory", all: &["unpacking local tar:", "not a directory"] },
    Row { class: "bad-archive", all: &["unpacking local tar:"] },
    Row { class: "bad-image-name", all: &["could not parse reference:"] },
    Row { class: "stage-not-saved", all: &["could not save file:"] },
    Row { class: "bad-port", all: &["invalid protocol:"] },
    Row { class: "unknown-owner", all: &["getting user group from chown:", "does not exist on the system"] },
    Row { class: "unknown-user", all: &["get uid/gid:", "does not exist on the system"] },
    Row { class: "run-exit", all: &["waiting for process to exit: exit status"] },
    // From its source.
    Row { class: "not-a-directory", all: &["starting command:", "not a directory"] },
    Row { class: "run-not-started", all: &["starting command:"] },
    Row { class: "run-nothing", all: &["index out of range [0] with length 0"] },
    Row { class: "unknown-target", all: &["is not a valid target build stage"] },
    Row { class: "fetch-status", all: &["downloading remote source file:", "invalid response status"] },
];

/// Buildah 1.28, as far as it was asked.
const BUILDAH: &[Row] = &[
    // First: such a message holds the whole command.
    Row { class: "run-exit", all: &["while running runtime: exit status"] },
    Row { class: "image-not-found", all: &["image not known"] },
    Row { class: "copy-not-found", all: &["checking on sources under", "no such file or directory"] },
    Row { class: "unknown-owner", all: &["looking up UID/GID for", "unknown user error"] },
    Row { class: "unknown-user", all: &["determining run uid:", "unknown user error"] },
    Row { class: "not-a-directory", all: &["already exists but is not a directory"] },
];

/// The class of what the builder of `dialect` said, or [`UNCLASSIFIED`].
pub fn class_of(dialect: &str, message: &str) -> &'static str {
    let fits = |row: &&Row| row.all.iter().all(|text| message.contains(text));
    tables(dialect).into_iter().flatten().find(fits).map_or(UNCLASSIFIED, |row| row.class)
}

/// The tables of a dialect, in the order in which they are asked.
fn tables(dialect: &str) -> [&'static [Row]; 2] {
    let own = match dialect.split('@').next() {
        Some("classic") => CLASSIC,
        Some("buildkit") => BUILDKIT,
        Some("kaniko") => KANIKO,
        Some("buildah") => BUILDAH,
        _ => &[],
    };
    [own, BOTH]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::goldens::Origin;
    use samebuild_image::golden::Outcome;

    #[test]
    fn what_real_engines_said_is_understood() {
        // As Docker Engine 20.10.24 (classic) and 26.1.5 (BuildKit) print it.
        for (builder, message, class) in [
            ("classic@20.10", "dockerfile parse error line 2: Unknown flag: exclude", "unknown-flag"),
            (
                "buildkit@26.1",
                "failed to solve: dockerfile parse error on line 2: unknown flag: nope",
                "unknown-flag",
            ),
            ("classic@20.10", "dockerfile parse error line 4: unknown instruction: X", "unknown-instruction"),
            ("classic@20.10", "COPY failed: no source files were specified", "copy-no-match"),
            (
                "classic@20.10",
                "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist",
                "copy-not-found",
            ),
            (
                "buildkit@26.1",
                "failed to solve: failed to compute cache key: failed to calculate checksum of ref a::b: \"/nope\": not found",
                "copy-not-found",
            ),
            (
                "classic@20.10",
                "failed to copy files: failed to copy directory: mkdir /x/merged/real/basefile: not a directory",
                "not-a-directory",
            ),
            (
                "buildkit@26.1",
                "failed to solve: cannot copy to non-directory: /x/real/basefile",
                "not-a-directory",
            ),
            (
                "buildkit@26.1",
                "failed to solve: cannot replace to directory /x/real with file",
                "copy-file-over-directory",
            ),
            ("classic@20.10", "invalid from flag value 5: index out of bounds", "bad-stage-index"),
            ("buildkit@26.1", "failed to solve: invalid stage index 5", "bad-stage-index"),
            (
                "buildkit@26.1",
                "failed to process \"${U-d}\": missing ':' in substitution",
                "bad-substitution",
            ),
            ("classic@20.10", "The command '/bin/sh -c exit 7' returned a non-zero code: 7", "run-exit"),
            (
                "buildkit@26.1",
                "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7",
                "run-exit",
            ),
            ("buildkit@26.1", "executor failed running [/bin/sh -c exit 7]: exit code: 7", "run-exit"),
            (
                "buildkit@26.1",
                "process \"/bin/sh -c id\" did not complete successfully: unable to find user nosuch: no matching entries in passwd file",
                "unknown-user",
            ),
            (
                "classic@20.10",
                "unable to convert uid/gid chown string to host mapping: can't find uid for user nosuch: no such user: nosuch",
                "unknown-owner",
            ),
            ("classic@20.10", "the --mount option requires BuildKit. Refer to …", "unsupported-flag"),
            (
                "classic@20.10",
                "ADD failed: failed to GET http://h/x with status 404 Not Found: gone",
                "fetch-status",
            ),
            ("buildkit@26.1", "failed to load cache key: invalid response status 404", "fetch-status"),
            ("buildkit@26.1", "digest mismatch sha256:a: sha256:b", "checksum-mismatch"),
            ("classic@20.10", "COPY failed: source can't be a URL for COPY", "bad-arguments"),
            (
                "kaniko@1.24",
                "failed to get files used from context: failed to get fileinfo for <context>/nope: lstat <context>/nope: no such file or directory",
                "copy-not-found",
            ),
            (
                "kaniko@1.24",
                "copying file: creating file: open /real: is a directory",
                "copy-file-over-directory",
            ),
            (
                "kaniko@1.24",
                "failed to execute command: credentials: get uid/gid: user nosuch is not a uid and does not exist on the system",
                "unknown-user",
            ),
            (
                "kaniko@1.24",
                "failed to execute command: waiting for process to exit: exit status 7",
                "run-exit",
            ),
            ("classic@20.10", "something nobody has seen", UNCLASSIFIED),
        ] {
            assert_eq!(class_of(builder, message), class, "{message}");
        }
    }

    #[test]
    fn the_words_of_one_builder_mean_nothing_to_the_other() {
        for (dialect, message) in [
            ("buildkit@26.1", "The command '/bin/sh -c exit 7' returned a non-zero code: 7"),
            ("classic@26.1", "process \"/bin/sh -c exit 7\" did not complete successfully: exit code: 7"),
            ("classic@20.10", "failed to solve: invalid stage index 5"),
        ] {
            assert_eq!(class_of(dialect, message), UNCLASSIFIED, "{dialect}: {message}");
        }
    }

    #[test]
    fn every_failure_that_was_observed_reads_as_its_golden_says() {
        let checkout = crate::checkout::Checkout::at(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let (cases, goldens) = (checkout.cases().unwrap(), checkout.goldens());
        let mut read = 0;
        for golden in cases.iter().flat_map(|case| goldens.of(&case.id).unwrap()) {
            let Outcome::Failed(failure) = &golden.observation.outcome else { continue };
            if golden.origin != Origin::Observed {
                continue;
            }
            for dialect in &golden.observation.seen_by {
                assert_eq!(class_of(dialect, &failure.message), failure.class, "{}", golden.file.display());
                read += 1;
            }
        }
        assert!(read > 100, "only {read} failures");
    }

    #[test]
    fn what_our_parser_says_in_a_builder_s_words_is_understood_as_the_same_mistake() {
        use samebuild_dockerfile::{Dockerfile, Syntax};
        let lines = [
            "ENV",
            "ENV x",
            "ENV =x",
            "ENV a=b c",
            "LABEL a",
            "ARG",
            "CMD [1]",
            "SHELL x",
            "SHELL []",
            "COPY a",
            "COPY --from a /b",
            "COPY --nope a /b",
            "COPY --chown=1 --chown=2 a /b",
            "WORKDIR",
            "USER",
            "MAINTAINER",
            "VOLUME",
            "VOLUME [\"\"]",
            "EXPOSE",
            "HEALTHCHECK",
            "HEALTHCHECK X y",
            "HEALTHCHECK CMD",
            "HEALTHCHECK NONE x",
            "HEALTHCHECK --interval=5 CMD x",
            "HEALTHCHECK --interval=1us CMD x",
            "HEALTHCHECK --retries=x CMD x",
            "HEALTHCHECK --retries=-1 CMD x",
            "ONBUILD",
            "ONBUILD ONBUILD RUN x",
            "ONBUILD FROM x",
            "FROM",
            "FROM a b",
            "FROM a AS 1",
            "FOO x",
            "COPY <<A /x",
            "COPY a <<A\nA",
        ];
        for (dialect, syntax) in [
            ("classic@20.10", Syntax::CLASSIC_20_10),
            ("buildkit@26.1", Syntax::BUILDKIT_26_1),
            ("buildkit@head", Syntax::BUILDKIT_HEAD),
        ] {
            let files = lines.iter().map(|line| format!("FROM b\n{line}\n"));
            let whole = ["", "# x", "RUN x", "# escape=\\\n# escape=`\nFROM b", "# escape=x\nFROM b"];
            for text in files.chain(whole.map(str::to_owned)) {
                let Err(error) = Dockerfile::parse(text.as_bytes(), &syntax) else { continue };
                let Some(message) = &error.builder_message else { continue };
                assert_eq!(class_of(dialect, message), error.class.slug(), "{text}: {message}");
            }
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one_of_another_class() {
        for dialect in ["classic@20.10", "buildkit@26.1"] {
            for row in tables(dialect).into_iter().flatten() {
                assert_eq!(class_of(dialect, &row.all.join(" … ")), row.class, "{dialect}: {:?}", row.all);
            }
        }
    }
}
