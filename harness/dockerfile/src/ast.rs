//! What a Dockerfile is made of once it has been read.
//!
//! Words are as written: expansion, and everything that needs variables, comes later and elsewhere.

use crate::error::{Class, Fault, SyntaxError};
use crate::heredoc::{self, Heredoc};
use crate::mount::MountFlag;
use crate::span::Span;
use crate::syntax::Syntax;
use crate::words::Word;

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// The text that was read; every span but those in an ONBUILD's trigger is one of it.
    pub source: String,
    /// Parser directives at the top.
    pub directives: Vec<Directive>,
    /// The escape token: a backslash or a backtick.
    pub escape: char,
    /// ARGs before the first FROM.
    pub meta_args: Vec<Node<ArgInstruction>>,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
    /// Things builders warn of.
    pub warnings: Vec<Warning>,
}

/// `# name=value` at the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// In lower case: `syntax`, `escape` or `check`.
    pub name: String,
    /// Its value.
    pub value: Word,
    /// The line, from 1.
    pub line: usize,
}

/// Something that builds, but not as its author may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub span: Span,
    /// Line, from 1.
    pub line: usize,
    /// Our words.
    pub message: String,
}

/// FROM and what follows up to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// From 0.
    pub index: usize,
    /// The FROM.
    pub header: Node<FromInstruction>,
    /// What follows it.
    pub instructions: Vec<Instruction>,
}

impl Stage {
    /// Its name in lower case, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.header.kind.name.as_ref().map(|name| name.text.as_str())
    }

    /// What it starts from, unexpanded.
    pub fn from(&self) -> &FromInstruction {
        &self.header.kind
    }
}

/// An instruction with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<K> {
    /// Everything from the keyword to the last heredoc's end.
    pub span: Span,
    /// The keyword as written.
    pub keyword: Word,
    /// Line of the keyword, from 1.
    pub line: usize,
    /// Last line, from 1; that of the last heredoc's delimiter if there are heredocs.
    pub end_line: usize,
    /// The source as builders record it: continuations joined, comments and heredoc bodies left out.
    pub original: String,
    /// Which instruction it is.
    pub kind: K,
    /// The error with which the builder stops when it gets here, though it parsed.
    pub refused: Option<Box<SyntaxError>>,
}

/// Any instruction of a stage but FROM.
pub type Instruction = Node<InstructionKind>;

/// The instructions that can stand in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the instruction of its name")]
pub enum InstructionKind {
    Add(AddInstruction),
    Arg(ArgInstruction),
    Cmd(CommandLine),
    Copy(CopyInstruction),
    Entrypoint(CommandLine),
    Env(PairsInstruction),
    Expose(ExposeInstruction),
    Healthcheck(Healthcheck),
    Label(PairsInstruction),
    Maintainer(Word),
    Onbuild(OnbuildInstruction),
    Run(RunInstruction),
    Shell(Vec<Word>),
    StopSignal(Word),
    User(Word),
    Volume(VolumeInstruction),
    Workdir(Word),
}

/// `FROM [--platform=P] IMAGE [AS NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromInstruction {
    /// `--platform`, unexpanded.
    pub platform: Option<Word>,
    /// An image, an earlier stage's name, or `scratch`; unexpanded.
    pub image: Word,
    /// The stage's name in lower case.
    pub name: Option<Word>,
}

/// `ARG NAME[=DEFAULT]…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgInstruction {
    /// In order.
    pub args: Vec<ArgDefinition>,
}

/// One name of an ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDefinition {
    /// Unexpanded, quotes kept.
    pub name: Word,
    /// The default, unexpanded, quotes kept; `None` without `=`.
    pub value: Option<Word>,
}

/// ENV or LABEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairsInstruction {
    /// In order. Names and values are unexpanded, quotes kept.
    pub pairs: Vec<(Word, Word)>,
    /// Written as `NAME rest of the line`: one pair.
    pub legacy: bool,
}

/// A command: text for the shell, or an argument list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// For the shell to read. JSON that is not quite JSON ends up here.
    Shell(Word),
    /// Executed as it is; JSON decoded. May be empty.
    Exec(Vec<Word>),
}

/// `RUN [flags] COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInstruction {
    /// `--mount`s in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`: `default`, `none` or `host`.
    pub network: Option<Word>,
    /// `--security`: `sandbox` or `insecure`.
    pub security: Option<Word>,
    /// `--device`s in order.
    pub devices: Vec<Word>,
    /// What is run.
    pub command: CommandLine,
    /// Heredocs that the command line begins, in order.
    pub heredocs: Vec<Heredoc>,
}

/// How the heredocs of a RUN reach the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// Text for the shell's `-c`.
    Command(String),
    /// The command is a heredoc that begins with `#!`: a read-only file to be executed, mode 0755.
    File {
        /// Its name under `/dev/pipes/`.
        name: String,
        /// Its content.
        content: String,
    },
}

impl RunInstruction {
    /// What is handed to the shell, or executed, when the command is in shell form; `None` for the exec form.
    /// Facts: moby/buildkit's dispatch of RUN with heredocs.
    pub fn script(&self, syntax: &Syntax) -> Option<Script> {
        let CommandLine::Shell(command) = &self.command else { return None };
        let Some(first) = self.heredocs.first() else { return Some(Script::Command(command.text.clone())) };
        if heredoc::begun_by(&command.text, syntax).is_none() {
            let mut text = command.text.clone();
            for heredoc in &self.heredocs {
                text.push('\n');
                text.push_str(&heredoc.body);
                text.push_str(&heredoc.name);
            }
            return Some(Script::Command(text));
        }
        let content = first.text();
        Some(if first.body.starts_with("#!") {
            Script::File { name: first.name.clone(), content }
        } else {
            Script::Command(content)
        })
    }
}

/// A source of ADD or COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path, pattern, URL or git reference; unexpanded.
    Path(Word),
    /// A file whose content stands in the Dockerfile; the word that begins it.
    Heredoc(Word, Heredoc),
}

/// What ADD and COPY have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// At least one, in order.
    pub sources: Vec<Source>,
    /// Unexpanded.
    pub destination: Word,
    /// Written as a JSON array.
    pub json: bool,
    /// `--chown`, unexpanded.
    pub chown: Option<Word>,
    /// `--chmod`, unexpanded; see [`crate::chmod`].
    pub chmod: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--exclude`s, never expanded.
    pub exclude: Vec<Word>,
}

impl Transfer {
    /// The sources that are not heredocs.
    pub fn paths(&self) -> impl Iterator<Item = &Word> {
        self.sources.iter().filter_map(|source| match source {
            Source::Path(word) => Some(word),
            Source::Heredoc(..) => None,
        })
    }
}

/// COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyInstruction {
    /// What it shares with ADD.
    pub transfer: Transfer,
    /// `--from`: a stage, an index, an image; never expanded.
    pub from: Option<Word>,
    /// `--parents`.
    pub parents: bool,
}

/// ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddInstruction {
    /// What it shares with COPY.
    pub transfer: Transfer,
    /// `--checksum`, unexpanded.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`.
    pub unpack: Option<bool>,
}

/// EXPOSE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposeInstruction {
    /// In source order, unexpanded; each may expand to several ports. See [`crate::ports`].
    pub ports: Vec<Word>,
}

impl ExposeInstruction {
    /// The words as docker's builders take them: sorted by bytes before they are expanded.
    pub fn sorted(&self) -> Vec<&Word> {
        let mut ports: Vec<&Word> = self.ports.iter().collect();
        ports.sort_by(|left, right| left.text.cmp(&right.text));
        ports
    }
}

/// VOLUME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInstruction {
    /// Trimmed, unexpanded, not empty.
    pub paths: Vec<Word>,
    /// Written as a JSON array.
    pub json: bool,
}

/// HEALTHCHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`.
    None,
    /// `HEALTHCHECK [options] CMD …`.
    Command {
        /// What is run.
        command: CommandLine,
        /// The options.
        options: HealthOptions,
    },
}

/// Options of HEALTHCHECK; 0 where not given. Durations in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the option of its name")]
pub struct HealthOptions {
    pub interval_ns: i64,
    pub timeout_ns: i64,
    pub start_period_ns: i64,
    pub start_interval_ns: i64,
    pub retries: u32,
}

/// ONBUILD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnbuildInstruction {
    /// What the image records: the trigger's text with the heredocs it begins.
    pub expression: String,
    /// The trigger's keyword in upper case.
    pub keyword: String,
    /// The trigger as it would be read, or why it will fail; places are those in `expression`. Builders look
    /// only when it is triggered.
    pub trigger: Result<Box<Instruction>, Box<SyntaxError>>,
}

impl Dockerfile {
    /// The first error with which the builder stops though the file parsed, in file order.
    pub fn first_refused(&self) -> Option<&SyntaxError> {
        self.stages
            .iter()
            .flat_map(|stage| {
                std::iter::once(&stage.header.refused).chain(stage.instructions.iter().map(|i| &i.refused))
            })
            .find_map(|refused| refused.as_deref())
    }

    /// An error about the text at `span`, found after the file was read.
    pub fn error(
        &self,
        class: Class,
        span: Span,
        message: impl Into<String>,
        builder_message: Option<String>,
    ) -> SyntaxError {
        let stages = self.stages.iter().map(|stage| (stage.header.span, stage.header.line));
        let others = self.stages.iter().flat_map(|stage| stage.instructions.iter().map(|i| (i.span, i.line)));
        let holds = |outer: Span| outer.start <= span.start && span.end <= outer.end;
        let line = stages.chain(others).find(|(outer, _)| holds(*outer)).map(|(_, line)| line);
        let fault = Fault { class, span, message: message.into(), builder: builder_message };
        let mut error = fault.at(&self.source, 0, "");
        error.instruction_line = line.unwrap_or(error.line);
        error
    }

    /// The frontend named by `# syntax=`, without its arguments.
    pub fn frontend(&self) -> Option<&str> {
        let directive = self.directives.iter().find(|directive| directive.name == "syntax")?;
        directive.value.text.split(' ').next()
    }
}

impl SyntaxError {
    /// Whether the builder finds it only on reaching the instruction.
    pub fn is_found_at_build(&self) -> bool {
        matches!(self.class, Class::UnsupportedFlag | Class::DuplicateStage)
    }
}
