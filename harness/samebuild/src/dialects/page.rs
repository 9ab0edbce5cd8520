//! `docs/dialects.md`: the specification of how builders differ, written from the table itself.

use std::fmt::Write as _;

use samebuild_builder::DIALECTS;

/// The whole page.
pub fn page() -> String {
    let mut text = String::from(HEAD);
    for dialect in DIALECTS {
        let _ = writeln!(text, "- **`{}`** — {}.", dialect.id, dialect.about);
    }
    text.push_str("\n## Decisions\n");
    let tables: Vec<Vec<_>> = DIALECTS.iter().map(|dialect| dialect.choices()).collect();
    let mut room = "";
    for (row, first) in tables[0].iter().enumerate() {
        if first.room != room {
            room = first.room;
            let _ = writeln!(text, "\n### {room}");
        }
        let _ = writeln!(text, "\n**`{}`** — {}\n", first.name(), first.decision.doc());
        for variant in first.decision.variants {
            let who: Vec<String> = DIALECTS
                .iter()
                .zip(&tables)
                .filter(|(_, choices)| choices[row].variant == variant.name)
                .map(|(dialect, _)| format!("`{}`", dialect.id))
                .collect();
            let who = if who.is_empty() { "no dialect so far".to_owned() } else { who.join(", ") };
            let _ = writeln!(text, "- `{}`: {} ({who})", variant.name, variant.doc());
        }
    }
    text.push_str("\n## Limitations\n\nWhat a prediction can miss. What is refused ends in a sentence; the rest is a difference that is known and not yet built.\n\n");
    for limit in LIMITS {
        let _ = writeln!(text, "- {limit}");
    }
    text
}

const HEAD: &str = "\
<!-- Written by `samebuild dialects --format markdown`. Do not edit: a test holds it against the table. -->

# Dialects: how builders differ

A dialect is one builder at one version: a variant for every decision below. `samebuild build --dialect D` builds as D
does; `--set DECISION=VARIANT` changes one decision; `samebuild dialects --diff A B` shows what tells two apart. Every
decision was learnt from a real builder's images, which are under `golden/`.

";

const LIMITS: &[&str] = &[
    "ADD of git repositories (and with it `--keep-git-dir`), `RUN --security=insecure`, `RUN --device` and ssh mounts parse and are then refused as not supported yet.",
    "`COPY --parents`, `ADD --unpack` and what `--chmod` does to the directories it makes are known of `buildkit@head` alone, from measurements and its source, and were never held against a live engine.",
    "Cases know only the bases of `ci/bases.toml`. What a registry or `--build-context` gives for another platform is taken as it is; only the build's own store and engine are asked for the platform.",
    "RUN needs root or subordinate ids, and the machine's own architecture; another platform is not emulated.",
    "Building for another platform, the classic builder fails a COPY onto an image that an instruction other than FROM or COPY made, and stamps an image from scratch that begins with another instruction with its own platform; both are built here as if for one platform.",
    "The digest in the classic builder's `COPY file:DIGEST` is our own, of names, modes and sizes and not of contents: it stays when a file changes and its size does not. Theirs covers contents, and tar headers of their making. Comparisons treat it as an id.",
    "BuildKit 20.10 makes directories of a context anew when its client sends it; this is predicted where something of the context is ignored, because only then is the client needed. Through the API the directories keep their times.",
    "Variables BuildKit adds for tracing (`TRACEPARENT`, `OTEL_*`) are not set; a RUN that writes down its environment differs.",
    "`buildkit@head` was seen once, at one commit, and no engine pinned here runs it live.",
    "Accounts are read from `/etc/passwd` and `/etc/group` of the image; no other name service is asked.",
    "Files of a context or an archive whose names begin with `.wh.` are files here; real stores take some of them for whiteouts.",
    "A FIFO named as the source of a COPY keeps the classic builder waiting for ever; here it is copied.",
    "A malformed `--mount` is refused when the Dockerfile is read; the builders say so a little later, after the steps before it.",
    "A NUL byte in a RUN is refused here as in a Dockerfile's text; the builders fail in words of the runtime.",
    "When an ONBUILD trigger fails, the line that is named is the FROM's; with containerd's store BuildKit names none.",
    "BuildKit 20.10 writes some histories over one another when stages share a base (its lists share memory); here each stage has its own.",
    "A Dockerfile of ARGs alone crashes the classic builder of 20.10; here it fails as in 26.1.",
    "What a RUN sees below `/sys/fs/cgroup`, and the comments at the top of its `/etc/resolv.conf`, are the machine's and not predicted.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_page_is_the_one_the_table_makes() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dialects.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == page(),
            "docs/dialects.md is out of date: `samebuild dialects --format markdown > docs/dialects.md`"
        );
    }

    #[test]
    fn every_decision_and_variant_says_what_it_means() {
        for choice in DIALECTS[0].choices() {
            assert!(choice.decision.doc().len() > 10, "{}", choice.name());
            for variant in choice.decision.variants {
                assert!(variant.doc().len() > 5, "{}={}", choice.name(), variant.name);
            }
        }
    }
}
