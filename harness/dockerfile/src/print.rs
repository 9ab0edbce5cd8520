//! Writing a file back: one line an instruction, in a canonical form that reads the same.
//!
//! Comments, continuations and white space between words are not kept.

use crate::ast::{
    ArgInstruction, CommandLine, Dockerfile, FromInstruction, HealthOptions, Healthcheck, Instruction,
    InstructionKind, PairsInstruction, RunInstruction, Source, Transfer,
};
use crate::heredoc::Heredoc;
use crate::json;
use crate::words::Word;

impl Dockerfile {
    /// The file in canonical form. Reading it under the syntax it was read with gives the same instructions,
    /// unless a joined line is longer than the syntax allows, or the file ended within a continuation.
    pub fn print(&self) -> String {
        let mut out = String::new();
        for directive in &self.directives {
            out.push_str(&format!("# {}={}\n", directive.name, directive.value.text));
        }
        for arg in &self.meta_args {
            out.push_str(&arg_line(&arg.kind));
            out.push('\n');
        }
        for stage in &self.stages {
            out.push_str(&from_line(stage.from()));
            out.push('\n');
            for instruction in &stage.instructions {
                out.push_str(&instruction.print());
                out.push('\n');
            }
        }
        out
    }
}

impl Instruction {
    /// The instruction in canonical form, with its heredocs, without a newline at the end.
    pub fn print(&self) -> String {
        match &self.kind {
            InstructionKind::Add(add) => {
                let mut line = Line::new("ADD");
                line.flag("checksum", add.checksum.as_ref());
                line.bool("keep-git-dir", add.keep_git_dir);
                line.bool("unpack", add.unpack);
                line.transfer(&add.transfer)
            }
            InstructionKind::Copy(copy) => {
                let mut line = Line::new("COPY");
                line.flag("from", copy.from.as_ref());
                line.bool("parents", copy.parents.then_some(true));
                line.transfer(&copy.transfer)
            }
            InstructionKind::Arg(arg) => arg_line(arg),
            InstructionKind::Cmd(command) => Line::new("CMD").command(command),
            InstructionKind::Entrypoint(command) => Line::new("ENTRYPOINT").command(command),
            InstructionKind::Env(pairs) => pairs_line("ENV", pairs),
            InstructionKind::Label(pairs) => pairs_line("LABEL", pairs),
            InstructionKind::Expose(expose) => Line::new("EXPOSE").words(&expose.ports),
            InstructionKind::Healthcheck(Healthcheck::None) => "HEALTHCHECK NONE".to_owned(),
            InstructionKind::Healthcheck(Healthcheck::Command { command, options }) => {
                let mut line = Line::new("HEALTHCHECK");
                line.health(options);
                line.text.push_str(" CMD");
                line.command(command)
            }
            InstructionKind::Maintainer(word) => Line::new("MAINTAINER").word(word),
            InstructionKind::Onbuild(onbuild) => format!("ONBUILD {}", onbuild.expression),
            InstructionKind::Run(run) => run_line(run),
            InstructionKind::Shell(words) => Line::new("SHELL").json(words),
            InstructionKind::StopSignal(word) => Line::new("STOPSIGNAL").word(word),
            InstructionKind::User(word) => Line::new("USER").word(word),
            InstructionKind::Volume(volume) if volume.json => Line::new("VOLUME").json(&volume.paths),
            InstructionKind::Volume(volume) => Line::new("VOLUME").words(&volume.paths),
            InstructionKind::Workdir(word) => Line::new("WORKDIR").word(word),
        }
    }
}

struct Line {
    text: String,
}

impl Line {
    fn new(keyword: &str) -> Self {
        Self { text: keyword.to_owned() }
    }

    fn flag(&mut self, name: &str, value: Option<&Word>) {
        let Some(value) = value else { return };
        self.text.push_str(&format!(" --{name}="));
        let plain = |c: char| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\');
        if !value.text.is_empty() && value.text.chars().all(plain) {
            self.text.push_str(&value.text);
        } else {
            let quoted = value.text.replace('\\', "\\\\").replace('"', "\\\"");
            self.text.push_str(&format!("\"{quoted}\""));
        }
    }

    fn flags(&mut self, name: &str, values: &[Word]) {
        for value in values {
            self.flag(name, Some(value));
        }
    }

    fn bool(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.text.push_str(&format!(" --{name}={value}"));
        }
    }

    fn word(mut self, word: &Word) -> String {
        // A first word that looks like a flag is kept from being one.
        let guard = if word.text.starts_with("--") { "-- " } else { "" };
        if !word.text.is_empty() {
            self.text.push_str(&format!(" {guard}{}", word.text));
        }
        self.text
    }

    fn words(self, words: &[Word]) -> String {
        let joined = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        self.word(&Word { text: joined, span: crate::Span::default() })
    }

    fn json(mut self, words: &[Word]) -> String {
        let strings = words.iter().map(|word| json::string(&word.text)).collect::<Vec<_>>().join(", ");
        self.text.push_str(&format!(" [{strings}]"));
        self.text
    }

    fn command(self, command: &CommandLine) -> String {
        match command {
            CommandLine::Shell(text) => self.word(text),
            CommandLine::Exec(words) => self.json(words),
        }
    }

    fn transfer(mut self, transfer: &Transfer) -> String {
        let Transfer { sources, destination, json, chown, chmod, link, exclude } = transfer;
        self.flag("chown", chown.as_ref());
        self.flag("chmod", chmod.as_ref());
        self.bool("link", link.then_some(true));
        self.flags("exclude", exclude);
        let mut words = Vec::new();
        let mut heredocs: Vec<&Heredoc> = Vec::new();
        for source in sources {
            match source {
                Source::Path(word) => words.push(word.clone()),
                Source::Heredoc(word, heredoc) => {
                    words.push(word.clone());
                    heredocs.extend((heredoc.span != word.span).then_some(heredoc));
                }
            }
        }
        words.push(destination.clone());
        let line = if *json { self.json(&words) } else { self.words(&words) };
        with_heredocs(line, heredocs)
    }

    fn health(&mut self, options: &HealthOptions) {
        let HealthOptions { interval_ns, timeout_ns, start_period_ns, start_interval_ns, retries } = *options;
        for (name, ns) in [
            ("interval", interval_ns),
            ("timeout", timeout_ns),
            ("start-period", start_period_ns),
            ("start-interval", start_interval_ns),
        ] {
            if ns != 0 {
                self.text.push_str(&format!(" --{name}={ns}ns"));
            }
        }
        if retries != 0 {
            self.text.push_str(&format!(" --retries={retries}"));
        }
    }
}

fn with_heredocs<'a>(mut line: String, heredocs: impl IntoIterator<Item = &'a Heredoc>) -> String {
    for heredoc in heredocs {
        line.push_str(&format!("\n{}{}", heredoc.body, heredoc.name));
    }
    line
}

fn from_line(from: &FromInstruction) -> String {
    let mut line = Line::new("FROM");
    line.flag("platform", from.platform.as_ref());
    let mut text = line.word(&from.image);
    if let Some(name) = &from.name {
        text.push_str(&format!(" AS {}", name.text));
    }
    text
}

fn arg_line(arg: &ArgInstruction) -> String {
    let words: Vec<Word> = arg
        .args
        .iter()
        .map(|arg| match &arg.value {
            None => arg.name.clone(),
            Some(value) => Word { text: format!("{}={}", arg.name.text, value.text), span: arg.name.span },
        })
        .collect();
    Line::new("ARG").words(&words)
}

fn pairs_line(keyword: &str, pairs: &PairsInstruction) -> String {
    let equals = if pairs.legacy { " " } else { "=" };
    let word = |(name, value): &(Word, Word)| Word {
        text: format!("{}{equals}{}", name.text, value.text),
        span: name.span,
    };
    let words: Vec<Word> = pairs.pairs.iter().map(word).collect();
    Line::new(keyword).words(&words)
}

fn run_line(run: &RunInstruction) -> String {
    let mut line = Line::new("RUN");
    for mount in &run.mounts {
        line.flag("mount", Some(&mount.text));
    }
    line.flag("network", run.network.as_ref());
    line.flag("security", run.security.as_ref());
    line.flags("device", &run.devices);
    with_heredocs(line.command(&run.command), &run.heredocs)
}
