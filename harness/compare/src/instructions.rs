//! Which line of a Dockerfile an entry of a history is of. Builders word their histories each in their own way; here the
//! instruction is read out of the words, and the two lists are laid beside each other in order.

use samebuild_dockerfile::{Dockerfile, InstructionKind, Keyword, Span};
use serde_json::Value;

use crate::comparison::Shape;

/// Pairs of instructions and entries that are held against each other, at most: a hostile history has millions.
const MOST: usize = 1_000_000;

/// An instruction of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub line: usize,
    pub span: Span,
    /// As builders record it.
    pub original: String,
}

/// The instruction of the Dockerfile that each entry of the history is of, oldest first; `None` where it is of none, as
/// the base's are.
pub fn lines(file: &Dockerfile, target: Option<&str>, shape: &Shape) -> Vec<Option<Line>> {
    let written = instructions(file, target);
    let said: Vec<(&'static str, String)> = shape
        .history()
        .iter()
        .map(|entry| {
            let text = entry.get("created_by").and_then(Value::as_str).unwrap_or_default();
            (keyword(text), words(text))
        })
        .collect();
    let weight = |i: usize, j: usize| -> u32 {
        let ((line, name), (keyword, text)) = (&written[i], &said[j]);
        if name != keyword {
            return 0;
        }
        10 + alike(&words(&line.original), text)
    };
    if written.len().saturating_mul(said.len()) > MOST {
        return vec![None; said.len()];
    }
    // From the end: what is above a base in the history is the Dockerfile's.
    let (rows, columns) = (written.len(), said.len());
    let mut best = vec![vec![0u32; columns + 1]; rows + 1];
    for i in 0..rows {
        for j in 0..columns {
            let pair = weight(i, j);
            let paired = if pair > 0 { best[i][j] + pair } else { 0 };
            best[i + 1][j + 1] = paired.max(best[i][j + 1]).max(best[i + 1][j]);
        }
    }
    let mut found = vec![None; columns];
    let (mut i, mut j) = (rows, columns);
    while i > 0 && j > 0 {
        let pair = weight(i - 1, j - 1);
        if pair > 0 && best[i][j] == best[i - 1][j - 1] + pair {
            found[j - 1] = Some(written[i - 1].0.clone());
            (i, j) = (i - 1, j - 1);
        } else if best[i][j] == best[i - 1][j] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    found
}

/// The instructions of the stages that `target` (the last one, if left out) stands on, in order.
fn instructions(file: &Dockerfile, target: Option<&str>) -> Vec<(Line, &'static str)> {
    let named = |name: &str| {
        let name = name.to_ascii_lowercase();
        file.stages.iter().position(|stage| stage.name() == Some(&name))
    };
    let index = |target: &str| named(target).or_else(|| target.parse().ok());
    let last = file.stages.len().checked_sub(1);
    let mut wanted = target.map_or(last, |target| index(target).or(last));
    let mut chain = Vec::new();
    while let Some(stage) = wanted.and_then(|number| file.stages.get(number)) {
        chain.push(stage);
        // A stage stands on an earlier one only.
        wanted = named(&stage.from().image.text).filter(|number| *number < stage.index);
    }
    let line = |line: usize, span: Span, original: &str| Line { line, span, original: original.to_owned() };
    chain
        .iter()
        .rev()
        .flat_map(|stage| &stage.instructions)
        .map(|node| (line(node.line, node.span, &node.original), keyword_of(&node.kind)))
        .collect()
}

fn keyword_of(kind: &InstructionKind) -> &'static str {
    let keyword = match kind {
        InstructionKind::Add(_) => Keyword::Add,
        InstructionKind::Arg(_) => Keyword::Arg,
        InstructionKind::Cmd(_) => Keyword::Cmd,
        InstructionKind::Copy(_) => Keyword::Copy,
        InstructionKind::Entrypoint(_) => Keyword::Entrypoint,
        InstructionKind::Env(_) => Keyword::Env,
        InstructionKind::Expose(_) => Keyword::Expose,
        InstructionKind::Healthcheck(_) => Keyword::Healthcheck,
        InstructionKind::Label(_) => Keyword::Label,
        InstructionKind::Maintainer(_) => Keyword::Maintainer,
        InstructionKind::Onbuild(_) => Keyword::Onbuild,
        InstructionKind::Run(_) => Keyword::Run,
        InstructionKind::Shell(_) => Keyword::Shell,
        InstructionKind::StopSignal(_) => Keyword::StopSignal,
        InstructionKind::User(_) => Keyword::User,
        InstructionKind::Volume(_) => Keyword::Volume,
        InstructionKind::Workdir(_) => Keyword::Workdir,
    };
    keyword.name()
}

/// The instruction that words of a history are of: `COPY` of `/bin/sh -c #(nop) COPY file:… in /srv/a`. Empty where they
/// are of none.
pub fn keyword(created_by: &str) -> &'static str {
    let text = created_by.trim_start();
    let plain = match text.split_once("#(nop)") {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    };
    let first = plain.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let upper = first.to_ascii_uppercase();
    // Words in upper case only: a command may be called `env` or `copy`.
    if let Some(known) =
        Keyword::ALL.iter().map(|keyword| keyword.name()).find(|name| *name == upper && first == upper)
    {
        return known;
    }
    // A shell's words, or arguments before them (`|1 A=b /bin/sh -c …`), are a RUN's, if there are any.
    if text.is_empty() { "" } else { "RUN" }
}

/// What is left of words without what builders put around them.
fn words(text: &str) -> String {
    let text = text.rsplit_once("#(nop)").map_or(text, |(_, rest)| rest);
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim();
    let keyword = keyword(text);
    let text = text.strip_prefix(keyword).unwrap_or(text).trim();
    let text = text.split_once("/bin/sh -c ").map_or(text, |(_, rest)| rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How much two texts have in common, up to 100.
fn alike(left: &str, right: &str) -> u32 {
    if left == right {
        return 100;
    }
    let both = |pairs: &mut dyn Iterator<Item = bool>| pairs.take_while(|same| *same).count();
    let head = both(&mut left.bytes().zip(right.bytes()).map(|(l, r)| l == r));
    let shorter = left.len().min(right.len());
    let tail = both(&mut left.bytes().rev().zip(right.bytes().rev()).map(|(l, r)| l == r))
        .min(shorter - head.min(shorter));
    let longer = left.len().max(right.len()).max(1);
    u32::try_from((head + tail) * 80 / longer).unwrap_or(0).min(80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_dockerfile::Syntax;
    use serde_json::json;

    fn lines_of(dockerfile: &str, history: &[&str]) -> Vec<Option<usize>> {
        let file = Dockerfile::parse(dockerfile.as_bytes(), &Syntax::BUILDKIT_HEAD).unwrap();
        let history: Vec<_> = history.iter().map(|text| json!({ "created_by": text })).collect();
        let mut shape = Shape::default();
        shape.config.insert("history".to_owned(), history.into());
        lines(&file, None, &shape).into_iter().map(|line| line.map(|line| line.line)).collect()
    }

    const DOCKERFILE: &str =
        "FROM base AS b\nRUN one\nFROM b\nARG V=1\nCOPY a /a\nRUN two && \\\n  three\nENV A=b\nCMD x\n";

    #[test]
    fn every_builders_history_is_laid_beside_the_dockerfile() {
        let buildkit = [
            "BASE",
            "RUN /bin/sh -c one # buildkit",
            "ARG V=1",
            "COPY a /a # buildkit",
            "RUN |1 V=1 /bin/sh -c two &&   three # buildkit",
            "ENV A=b",
            "CMD [\"/bin/sh\" \"-c\" \"x\"]",
        ];
        let all = [None, Some(2), Some(4), Some(5), Some(6), Some(8), Some(9)];
        assert_eq!(lines_of(DOCKERFILE, &buildkit)[1..], all[1..]);
        let classic = [
            "/bin/sh -c one",
            "/bin/sh -c #(nop)  ARG V=1",
            "/bin/sh -c #(nop) COPY file:abc in /a ",
            "|1 V=1 /bin/sh -c two &&   three",
            "/bin/sh -c #(nop)  ENV A=b",
            "/bin/sh -c #(nop)  CMD [\"/bin/sh\" \"-c\" \"x\"]",
        ];
        assert_eq!(lines_of(DOCKERFILE, &classic), all[1..]);
        let kaniko = ["RUN one", "COPY a /a", "RUN two &&   three"];
        assert_eq!(lines_of(DOCKERFILE, &kaniko), [Some(2), Some(5), Some(6)]);
    }

    #[test]
    fn what_a_base_did_is_of_no_line_even_where_it_did_the_like() {
        let history = [
            "/bin/sh -c apt-get update",
            "/bin/sh -c two",
            "COPY x /x",
            "COPY a /a # buildkit",
            "RUN /bin/sh -c two && three # buildkit",
        ];
        let found = lines_of("FROM x\nCOPY a /a\nRUN two && three\n", &history);
        assert_eq!(found, [None, None, None, Some(2), Some(3)]);
    }

    #[test]
    fn keywords_are_read_out_of_any_wording() {
        for (text, name) in [
            ("/bin/sh -c #(nop) ADD file:x in / ", "ADD"),
            ("copy files around", "RUN"),
            ("WORKDIR /srv", "WORKDIR"),
            ("|1 A=b /bin/sh -c x", "RUN"),
            ("", ""),
        ] {
            assert_eq!(keyword(text), name, "{text}");
        }
    }
}
