//! Reading a file: lines, then raw nodes, then instructions, then stages.

use crate::ast::{Dockerfile, FromInstruction, Instruction, InstructionKind, Node, Stage, Warning};
use crate::directive::Directives;
use crate::error::{Class, Fault, SyntaxError};
use crate::heredoc;
use crate::lines::{self, Logical, Physical, Reader};
use crate::raw::{self, RawNode};
use crate::span::Span;
use crate::syntax::{DuplicateStage, LexicalPrefix, Syntax, Wording};
use crate::typed::{self, Typed};

impl Dockerfile {
    /// Reads a file as `syntax` has it, before any build step, as docker's builders do.
    ///
    /// Errors come in the builders' order: first those of words, JSON and heredocs in the whole file, then
    /// those of instructions. A byte that is not UTF-8 reads as U+FFFD, as in every string that Go writes as JSON.
    pub fn parse(source: &[u8], syntax: &Syntax) -> Result<Dockerfile, SyntaxError> {
        let source = &*as_text(source);
        if source.is_empty() {
            let says = match syntax.wording {
                Wording::Capitalised => "the Dockerfile (Dockerfile) cannot be empty",
                Wording::Lower | Wording::Dashed => "the Dockerfile cannot be empty",
            };
            let fault = Fault::new(
                Class::EmptyDockerfile,
                Span::default(),
                "read an empty Dockerfile; start with FROM",
            );
            return Err(fault.says(says).at(source, 1, ""));
        }
        let read = Lines::read(source, syntax)?;
        let warnings = read.warnings.clone();
        let (directives, escape) = (read.directives.found.clone(), read.escape());
        let mut file = Dockerfile {
            source: source.to_owned(),
            directives,
            escape,
            meta_args: Vec::new(),
            stages: Vec::new(),
            warnings,
        };
        for line in read.nodes {
            file.push(line, source, syntax)?;
        }
        if file.stages.is_empty() {
            let end = Span::new(source.len(), source.len());
            let fault =
                Fault::new(Class::NoStage, end, "find a FROM; a Dockerfile builds at least one stage");
            let says = (syntax.wording != Wording::Capitalised)
                .then(|| "dockerfile contains no stages to build".to_owned());
            return Err(Fault { builder: says, ..fault }.at(source, 1, ""));
        }
        Ok(file)
    }

    fn push(&mut self, line: Placed, source: &str, syntax: &Syntax) -> Result<(), SyntaxError> {
        let at = line.line;
        let fault = |fault: Fault| fault.at(source, at, &line_prefix(at, syntax));
        let (typed, frame) = line.into_typed(source, syntax)?;
        match (typed, self.stages.last_mut()) {
            (Typed::From(kind), _) => {
                let mut header: Node<FromInstruction> = frame.with(kind);
                if syntax.duplicate_stage == DuplicateStage::Refused {
                    header.refused =
                        self.duplicate(&header).map(|duplicate| Box::new(duplicate.at(source, at, "")));
                }
                self.stages.push(Stage { index: self.stages.len(), header, instructions: Vec::new() });
            }
            (Typed::Arg(kind), None) => self.meta_args.push(frame.with(kind)),
            (Typed::Arg(kind), Some(stage)) => {
                stage.instructions.push(frame.with(InstructionKind::Arg(kind)))
            }
            (Typed::Other(kind), Some(stage)) => stage.instructions.push(frame.with(kind)),
            (Typed::Other(_), None) => {
                let message = "run an instruction before the first FROM; only ARG may stand there";
                let error = Fault::new(Class::NoStage, frame.keyword.span, message);
                return Err(SyntaxError {
                    builder_message: Some("no build stage in current context".to_owned()),
                    ..fault(error)
                });
            }
        }
        Ok(())
    }

    fn duplicate(&self, header: &Node<FromInstruction>) -> Option<Fault> {
        let name = header.kind.name.as_ref()?;
        let first = self.stages.iter().find(|stage| stage.name() == Some(name.text.as_str()))?;
        let message = format!(
            "name a second stage {:?}; the one of line {} has that name",
            name.text, first.header.line
        );
        let says = format!("{} stage name already used", name.text);
        Some(Fault::new(Class::DuplicateStage, name.span, message).says(says))
    }
}

/// Reads the text of an ONBUILD trigger, as recorded in an image: one instruction, and not FROM. Its escape
/// token is a backslash unless the text says otherwise.
pub fn trigger(text: &str, syntax: &Syntax) -> Result<Instruction, SyntaxError> {
    let read = Lines::read(text, syntax)?;
    let single = <[Placed; 1]>::try_from(read.nodes).map_err(|_| {
        let fault =
            Fault::new(Class::BadOnbuild, Span::new(0, text.len()), "fire a trigger of several instructions");
        fault.says("onbuild trigger should be a single expression").at(text, 1, "")
    })?;
    let [line] = single;
    let at = line.line;
    let (typed, frame) = line.into_typed(text, syntax)?;
    match typed {
        Typed::Other(kind) => Ok(frame.with(kind)),
        Typed::Arg(kind) => Ok(frame.with(InstructionKind::Arg(kind))),
        Typed::From(_) => {
            let fault = Fault::new(
                Class::BadOnbuild,
                frame.keyword.span,
                "trigger FROM; anything but FROM may be a trigger",
            );
            Err(fault.at(text, at, ""))
        }
    }
}

/// A raw node with its place.
struct Placed {
    node: RawNode,
    span: Span,
    line: usize,
    end_line: usize,
}

impl Placed {
    /// The second pass over this line.
    fn into_typed(self, source: &str, syntax: &Syntax) -> Result<(Typed, Node<()>), SyntaxError> {
        let Placed { node, span, line, end_line } = self;
        let (keyword, original) = (node.keyword.clone(), node.original.clone());
        let instructed = typed::instruction(node, syntax)
            .map_err(|fault| fault.at(source, line, &line_prefix(line, syntax)))?;
        let refused = instructed.refused.map(|fault| Box::new(fault.at(source, line, "")));
        Ok((instructed.typed, Node { span, keyword, line, end_line, original, kind: (), refused }))
    }
}

impl Node<()> {
    fn with<K>(self, kind: K) -> Node<K> {
        let Node { span, keyword, line, end_line, original, refused, kind: () } = self;
        Node { span, keyword, line, end_line, original, kind, refused }
    }
}

/// The first pass over a file.
struct Lines<'a> {
    source: &'a str,
    syntax: &'a Syntax,
    reader: Reader<'a>,
    directives: Directives,
    warnings: Vec<Warning>,
    nodes: Vec<Placed>,
}

impl<'a> Lines<'a> {
    fn read(source: &'a str, syntax: &'a Syntax) -> Result<Self, SyntaxError> {
        let (directives, warnings, nodes) = Default::default();
        let mut lines =
            Self { source, syntax, reader: Reader::new(source, syntax), directives, warnings, nodes };
        while let Some(first) = lines.reader.next() {
            lines.line(first)?;
        }
        let prefix = lexical_prefix(syntax);
        if lines.nodes.is_empty() {
            let fault =
                Fault::new(Class::NoInstructions, Span::default(), "find an instruction; start with FROM");
            return Err(fault.says("file with no instructions").at(source, 1, prefix));
        }
        if let Some(span) = lines.reader.too_long {
            let message = format!("read a line of {} bytes; lines have at most 65535", span.len());
            let fault = Fault::new(Class::LineTooLong, span, message);
            let says = "dockerfile line greater than max allowed size of 65535";
            return Err(fault.says(says).at(source, lines.reader.number() + 1, prefix));
        }
        Ok(lines)
    }

    fn escape(&self) -> char {
        self.directives.escape.unwrap_or('\\')
    }

    fn line(&mut self, first: Physical<'a>) -> Result<(), SyntaxError> {
        let fail =
            |lines: &Self, fault: Fault| fault.at(lines.source, first.number, lexical_prefix(lines.syntax));
        self.directives.look(&first, self.syntax).map_err(|fault| fail(self, fault))?;
        let text = first.text().trim_start();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (logical, end) = self.join(first, text);
        let mut node = raw::node(&logical, self.escape(), self.syntax).map_err(|fault| fail(self, fault))?;
        let mut heredocs = std::mem::take(&mut node.heredocs);
        let opened = logical.whole().trim().span();
        for heredoc in &mut heredocs {
            heredoc::read(heredoc, &mut self.reader, opened).map_err(|fault| fail(self, fault))?;
        }
        let end = heredocs.last().map_or(end, |last| self.after_delimiter(last.span.end));
        node.heredocs = heredocs;
        let span = node.keyword.span.to(Span::new(end, end));
        self.nodes.push(Placed { node, span, line: first.number, end_line: self.reader.number() });
        Ok(())
    }

    /// Joins continuations; also says where the last line ends.
    fn join(&mut self, first: Physical<'a>, text: &str) -> (Logical, usize) {
        let (escape, rule) = (self.escape(), self.syntax.continuation);
        let mut logical = Logical::default();
        let mut end = first.span().end;
        let start = end - text.len();
        let mut more = match lines::continued(text, escape, rule) {
            Some(before) => {
                logical.push(before, start);
                true
            }
            None => {
                logical.push(text, start);
                false
            }
        };
        while more {
            let Some(next) = self.reader.next() else { break };
            let text = next.text();
            if lines::is_comment(text) {
                continue;
            }
            if text.trim().is_empty() {
                let message =
                    "skip an empty line inside a continued instruction; newer builders may end it there";
                self.warnings.push(Warning {
                    span: next.span(),
                    line: next.number,
                    message: message.to_owned(),
                });
                continue;
            }
            let continued = lines::continued(text, escape, rule);
            logical.push(continued.unwrap_or(text), next.start);
            more = continued.is_some();
            end = next.span().end;
        }
        (logical, end)
    }

    /// The end of the line that begins at `start`.
    fn after_delimiter(&self, start: usize) -> usize {
        let rest = &self.source[start..];
        start + rest.find('\n').map_or(rest, |newline| &rest[..newline]).trim_end_matches('\r').len()
    }
}

fn line_prefix(line: usize, syntax: &Syntax) -> String {
    match syntax.wording {
        Wording::Capitalised => format!("dockerfile parse error line {line}: "),
        Wording::Lower | Wording::Dashed => format!("dockerfile parse error on line {line}: "),
    }
}

fn lexical_prefix(syntax: &Syntax) -> &'static str {
    match syntax.lexical_prefix {
        LexicalPrefix::Nothing => "",
        LexicalPrefix::FailedToParse => "failed to parse Dockerfile: ",
    }
}

/// The text, with every byte that is not UTF-8 replaced.
fn as_text(source: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(source) {
        return text.into();
    }
    let chunks = source.utf8_chunks();
    chunks
        .map(|chunk| format!("{}{}", chunk.valid(), "\u{fffd}".repeat(chunk.invalid().len())))
        .collect::<String>()
        .into()
}
