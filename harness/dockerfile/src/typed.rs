//! The second of two passes: a line taken apart becomes an instruction, its arguments counted and its flags
//! checked, in the order in which builders do it (whichever check comes first decides the message).

use crate::ast::{
    AddInstruction, ArgDefinition, ArgInstruction, CommandLine, CopyInstruction, ExposeInstruction,
    FromInstruction, InstructionKind, PairsInstruction, RunInstruction, Source, Transfer, VolumeInstruction,
};
use crate::error::{Class, Fault};
use crate::flags::Flags;
use crate::heredoc;
use crate::keyword::Keyword;
use crate::mount::MountFlag;
use crate::quote::go_quote;
use crate::raw::{Args, RawNode};
use crate::span::Span;
use crate::suggest;
use crate::syntax::{MountFields, Support, Syntax, Wording};
use crate::words::Word;
use crate::{health, onbuild};

/// What a line turned out to be.
pub(crate) enum Typed {
    From(FromInstruction),
    Arg(ArgInstruction),
    Other(InstructionKind),
}

/// A typed line, and why the builder will refuse it when it gets there, if it will.
pub(crate) struct Instructed {
    pub(crate) typed: Typed,
    pub(crate) refused: Option<Fault>,
}

/// Types one line.
pub(crate) fn instruction(node: RawNode, syntax: &Syntax) -> Result<Instructed, Fault> {
    let Some(keyword) = node.kind else { return Err(unknown(&node, syntax)) };
    let mut form = Form { keyword, syntax, refused: None, node };
    let typed = form.read()?;
    Ok(Instructed { typed, refused: form.refused })
}

/// One line on its way to being an instruction.
pub(crate) struct Form<'a> {
    pub(crate) keyword: Keyword,
    pub(crate) syntax: &'a Syntax,
    pub(crate) node: RawNode,
    refused: Option<Fault>,
}

impl Form<'_> {
    fn read(&mut self) -> Result<Typed, Fault> {
        let kind = match self.keyword {
            Keyword::From => return self.from().map(Typed::From),
            Keyword::Arg => return self.arg().map(Typed::Arg),
            Keyword::Add => InstructionKind::Add(self.add()?),
            Keyword::Copy => InstructionKind::Copy(self.copy()?),
            Keyword::Run => InstructionKind::Run(self.run()?),
            Keyword::Cmd => InstructionKind::Cmd(self.command()?),
            Keyword::Entrypoint => InstructionKind::Entrypoint(self.command()?),
            Keyword::Env => InstructionKind::Env(self.pairs()?),
            Keyword::Label => InstructionKind::Label(self.pairs()?),
            Keyword::Expose => InstructionKind::Expose(self.expose()?),
            Keyword::Healthcheck => InstructionKind::Healthcheck(health::read(self)?),
            Keyword::Maintainer => InstructionKind::Maintainer(self.single()?),
            Keyword::Onbuild => InstructionKind::Onbuild(onbuild::read(self)?),
            Keyword::Shell => InstructionKind::Shell(self.shell()?),
            // Its flags are not even looked at.
            Keyword::StopSignal => InstructionKind::StopSignal(self.only_argument()?),
            Keyword::User => InstructionKind::User(self.single()?),
            Keyword::Volume => InstructionKind::Volume(self.volume()?),
            Keyword::Workdir => InstructionKind::Workdir(self.single()?),
        };
        Ok(Typed::Other(kind))
    }

    pub(crate) fn flags(&mut self) -> Result<Flags, Fault> {
        let flags = Flags::check(&self.node.flags, self.keyword, self.syntax)?;
        self.refused = flags.refused.map(|(flag, span)| needs_buildkit(flag, span));
        Ok(flags)
    }

    fn take_args(&mut self) -> Args {
        std::mem::replace(&mut self.node.args, Args::Ignored)
    }

    fn words(&mut self) -> (Vec<Word>, bool) {
        match self.take_args() {
            Args::List(words) => (words, false),
            Args::Json(words) => (words, true),
            _ => (Vec::new(), false),
        }
    }

    /// An error about the line as a whole.
    pub(crate) fn fault(&self, class: Class, message: impl Into<String>, says: impl Into<String>) -> Fault {
        Fault::new(class, self.node.keyword.span.to(self.node.rest.span), message).says(says)
    }

    pub(crate) fn at_least_one(&self, accepts: &str) -> Fault {
        let keyword = self.keyword;
        let message = format!("read {keyword} without an argument; write {keyword} {accepts}");
        self.fault(Class::MissingArgument, message, format!("{keyword} requires at least one argument"))
    }

    fn only_argument(&mut self) -> Result<Word, Fault> {
        match self.take_args() {
            Args::Text(Some(word)) => Ok(word),
            _ => {
                let keyword = self.keyword;
                let message = format!("read {keyword} without an argument; it takes exactly one");
                Err(self.fault(
                    Class::MissingArgument,
                    message,
                    format!("{keyword} requires exactly one argument"),
                ))
            }
        }
    }

    fn single(&mut self) -> Result<Word, Fault> {
        let word = self.only_argument()?;
        self.flags()?;
        Ok(word)
    }

    fn command(&mut self) -> Result<CommandLine, Fault> {
        self.flags()?;
        Ok(command_line(self.take_args(), self.node.rest.span))
    }

    fn from(&mut self) -> Result<FromInstruction, Fault> {
        let (words, _) = self.words();
        let (image, name) = match words.as_slice() {
            [image] => (image.clone(), None),
            [image, as_, name] if as_.text.eq_ignore_ascii_case("as") => {
                let lower = name.text.to_lowercase();
                let mut chars = lower.chars();
                let valid = chars.next().is_some_and(|c| c.is_ascii_lowercase())
                    && chars.all(|c| {
                        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
                    });
                if !valid {
                    let message = format!(
                        "name a stage {:?}; a name is a letter, then letters, digits, - _ and .",
                        name.text
                    );
                    let says = format!(
                        "invalid name for build stage: {}, name can't start with a number or contain symbols",
                        go_quote(&name.text)
                    );
                    return Err(Fault::new(Class::BadStageName, name.span, message).says(says));
                }
                (image.clone(), Some(Word { text: lower, span: name.span }))
            }
            _ => {
                let message = "read FROM; write FROM IMAGE or FROM IMAGE AS NAME";
                let says = "FROM requires either one or three arguments";
                return Err(self.fault(Class::BadArguments, message, says));
            }
        };
        let platform = self.flags()?.text("platform");
        Ok(FromInstruction { platform, image, name })
    }

    fn arg(&mut self) -> Result<ArgInstruction, Fault> {
        let (words, _) = self.words();
        if words.is_empty() {
            return Err(self.at_least_one("NAME[=DEFAULT]"));
        }
        let mut args = Vec::new();
        for word in words {
            args.push(match word.text.find('=') {
                Some(0) => return Err(blank_name(self.keyword, word.span)),
                Some(at) => {
                    let (name, value) = word.cut(at, 1);
                    ArgDefinition { name, value: Some(value) }
                }
                None => ArgDefinition { name: word, value: None },
            });
        }
        Ok(ArgInstruction { args })
    }

    fn pairs(&mut self) -> Result<PairsInstruction, Fault> {
        self.flags()?;
        let (pairs, legacy) = match self.take_args() {
            Args::Pairs { pairs, legacy } => (pairs, legacy),
            _ => (Vec::new(), false),
        };
        if pairs.is_empty() {
            return Err(self.at_least_one("NAME=VALUE"));
        }
        match pairs.iter().find(|(name, _)| name.text.is_empty()) {
            Some((name, _)) => Err(blank_name(self.keyword, name.span)),
            None => Ok(PairsInstruction { pairs, legacy }),
        }
    }

    fn transfer(&mut self) -> Result<(Transfer, Flags), Fault> {
        let (mut words, json) = self.words();
        let keyword = self.keyword;
        let destination = match words.pop() {
            Some(destination) if !words.is_empty() => destination,
            _ => {
                let message =
                    format!("find the destination of {keyword}; write {keyword} SOURCE… DESTINATION");
                let stop = if self.syntax.wording == Wording::Capitalised { "." } else { "" };
                let says = format!(
                    "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined{stop}"
                );
                return Err(self.fault(Class::MissingArgument, message, says));
            }
        };
        let mut flags = self.flags()?;
        let heredocs = self.syntax.heredoc == Support::Present;
        if heredocs && heredoc::begun_by(&destination.text, self.syntax).is_some() {
            let message = format!(
                "write to {}; the last word of {keyword} is a path, heredocs come before it",
                destination.text
            );
            let says = format!("{keyword} cannot accept a heredoc as a destination");
            return Err(Fault::new(Class::BadHeredoc, destination.span, message).says(says));
        }
        let sources = words.into_iter().map(|word| self.source(word, heredocs)).collect();
        let transfer = Transfer {
            sources,
            destination,
            json,
            chown: flags.text("chown"),
            chmod: flags.text("chmod"),
            link: flags.bool("link").unwrap_or(false),
            exclude: flags.texts("exclude"),
        };
        Ok((transfer, flags))
    }

    /// A heredoc's body is found by its name, and the last of equals counts.
    fn source(&self, word: Word, heredocs: bool) -> Source {
        match heredoc::begun_by(&word.text, self.syntax).filter(|_| heredocs) {
            None => Source::Path(word),
            Some(begun) => {
                let read = self.node.heredocs.iter().rfind(|read| read.name == begun.name);
                let (body, span) =
                    read.map_or((String::new(), word.span), |read| (read.body.clone(), read.span));
                Source::Heredoc(word, heredoc::Heredoc { body, span, ..begun })
            }
        }
    }

    fn copy(&mut self) -> Result<CopyInstruction, Fault> {
        let (transfer, mut flags) = self.transfer()?;
        Ok(CopyInstruction {
            transfer,
            from: flags.text("from"),
            parents: flags.bool("parents").unwrap_or(false),
        })
    }

    fn add(&mut self) -> Result<AddInstruction, Fault> {
        let (transfer, mut flags) = self.transfer()?;
        Ok(AddInstruction {
            transfer,
            checksum: flags.text("checksum"),
            keep_git_dir: flags.bool("keep-git-dir"),
            unpack: flags.bool("unpack"),
        })
    }

    fn run(&mut self) -> Result<RunInstruction, Fault> {
        let mut flags = self.flags()?;
        let mounts: Vec<MountFlag> =
            flags.texts("mount").into_iter().map(MountFlag::parse).collect::<Result<_, _>>()?;
        let faulty = mounts.iter().find_map(|mount| mount.fault(self.syntax));
        match (faulty, self.syntax.mount_fields) {
            (Some(fault), MountFields::WhenRead) => return Err(fault),
            // Fields are expanded, and so read, before flags are refused.
            (Some(fault), MountFields::WhenReached) if self.refused.is_some() => self.refused = Some(fault),
            _ => {}
        }
        let network = one_of(flags.text("network"), &["default", "none", "host"], "network mode")?;
        let security = one_of(flags.text("security"), &["sandbox", "insecure"], "security mode")?;
        let command = command_line(self.take_args(), self.node.rest.span);
        let heredocs = std::mem::take(&mut self.node.heredocs);
        Ok(RunInstruction { mounts, network, security, devices: flags.texts("device"), command, heredocs })
    }

    fn expose(&mut self) -> Result<ExposeInstruction, Fault> {
        let (ports, _) = self.words();
        if ports.is_empty() {
            return Err(self.at_least_one("PORT[/PROTOCOL]"));
        }
        self.flags()?;
        Ok(ExposeInstruction { ports })
    }

    fn volume(&mut self) -> Result<VolumeInstruction, Fault> {
        let (paths, json) = self.words();
        if paths.is_empty() {
            return Err(self.at_least_one("PATH"));
        }
        self.flags()?;
        let paths = paths.into_iter().map(|path| Word { text: path.text.trim().to_owned(), ..path });
        let paths: Vec<Word> = paths.collect();
        match paths.iter().find(|path| path.text.is_empty()) {
            None => Ok(VolumeInstruction { paths, json }),
            Some(path) => {
                let message = "make a volume of an empty path; leave it out or name a path";
                let says = "VOLUME specified can not be an empty string";
                Err(Fault::new(Class::BadVolume, path.span, message).says(says))
            }
        }
    }

    fn shell(&mut self) -> Result<Vec<Word>, Fault> {
        self.flags()?;
        match self.take_args() {
            Args::Json(words) if !words.is_empty() => Ok(words),
            Args::Text(Some(word)) => {
                let message = "read SHELL; it takes a JSON array only, as in SHELL [\"/bin/sh\", \"-c\"]";
                let says = "SHELL requires the arguments to be in JSON form";
                Err(Fault::new(Class::BadJson, word.span, message).says(says))
            }
            _ => Err(self.at_least_one("[\"/bin/sh\", \"-c\"]")),
        }
    }
}

/// The command in `args`; without any it is empty text at `place`.
pub(crate) fn command_line(args: Args, place: Span) -> CommandLine {
    match args {
        Args::Json(words) => CommandLine::Exec(words),
        Args::Text(Some(text)) => CommandLine::Shell(text),
        _ => CommandLine::Shell(Word { text: String::new(), span: place }),
    }
}

fn needs_buildkit(flag: &str, span: Span) -> Fault {
    let message = format!("use --{flag} with this builder; it needs BuildKit");
    let says = format!(
        "the --{flag} option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"
    );
    Fault::new(Class::UnsupportedFlag, span, message).says(says)
}

fn one_of(word: Option<Word>, known: &[&str], what: &str) -> Result<Option<Word>, Fault> {
    let Some(word) = word else { return Ok(None) };
    if known.contains(&word.text.as_str()) {
        return Ok(Some(word));
    }
    let message = format!("find the {what} {:?}; there are {}", word.text, known.join(", "));
    let quoted = go_quote(&word.text);
    let near = suggest::nearest(&word.text, known.iter().copied());
    let says = match what {
        "security mode" => format!("security {quoted} is not valid"),
        _ => format!(
            "unsupported {what} {quoted}{}",
            near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
        ),
    };
    Err(Fault::new(Class::BadFlagValue, word.span, message).says(says))
}

fn blank_name(keyword: Keyword, span: Span) -> Fault {
    let message = format!("set a variable without a name; {keyword} takes NAME=VALUE");
    Fault::new(Class::BlankName, span, message).says(format!("{keyword} names can not be blank"))
}

fn unknown(node: &RawNode, syntax: &Syntax) -> Fault {
    let given = &node.keyword.text;
    let lower = given.to_lowercase();
    let names: Vec<String> = Keyword::ALL.iter().map(|keyword| keyword.name().to_lowercase()).collect();
    let near = suggest::nearest(&lower, names.iter().map(String::as_str)).map(str::to_owned);
    let hint =
        near.as_ref().map(|near| format!("; did you mean {}?", near.to_uppercase())).unwrap_or_default();
    let message = format!("find an instruction named {given:?}; there are {}{hint}", Keyword::listed());
    let says = match syntax.wording {
        Wording::Capitalised => format!("unknown instruction: {}", given.to_uppercase()),
        Wording::Lower | Wording::Dashed => {
            let cased = near.map(|near| {
                if *given == given.to_uppercase() && *given != lower { near.to_uppercase() } else { near }
            });
            let suggestion = cased.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            format!("unknown instruction: {given}{suggestion}")
        }
    };
    Fault::new(Class::UnknownInstruction, node.keyword.span, message).says(says)
}
