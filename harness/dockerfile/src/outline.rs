//! What a file says, without where it says it: a text that is equal for files that mean the same.

use crate::ast::{
    ArgInstruction, CommandLine, Dockerfile, FromInstruction, Healthcheck, InstructionKind, PairsInstruction,
    Source, Transfer,
};
use crate::heredoc::Heredoc;
use crate::words::Word;

impl Dockerfile {
    /// One line an instruction: its kind, then what was understood, words quoted.
    pub fn outline(&self) -> String {
        let mut out = String::new();
        for directive in &self.directives {
            out.push_str(&format!("# {} {:?}\n", directive.name, directive.value.text));
        }
        for arg in &self.meta_args {
            out.push_str(&format!("ARG{}\n", args(&arg.kind)));
        }
        for stage in &self.stages {
            out.push_str(&format!("FROM{}\n", from(stage.from())));
            for instruction in &stage.instructions {
                out.push_str(&instruction.kind.outline());
                out.push('\n');
            }
        }
        out
    }
}

impl InstructionKind {
    /// This instruction's line of [`Dockerfile::outline`].
    pub fn outline(&self) -> String {
        match self {
            InstructionKind::Add(add) => format!(
                "ADD{}{}{}{}",
                flag("checksum", add.checksum.as_ref()),
                add.keep_git_dir.map(|on| format!(" keep-git-dir={on}")).unwrap_or_default(),
                add.unpack.map(|on| format!(" unpack={on}")).unwrap_or_default(),
                transfer(&add.transfer)
            ),
            InstructionKind::Copy(copy) => format!(
                "COPY{}{}{}",
                flag("from", copy.from.as_ref()),
                if copy.parents { " parents" } else { "" },
                transfer(&copy.transfer)
            ),
            InstructionKind::Arg(arg) => format!("ARG{}", args(arg)),
            InstructionKind::Cmd(line) => format!("CMD{}", command(line)),
            InstructionKind::Entrypoint(line) => format!("ENTRYPOINT{}", command(line)),
            InstructionKind::Env(pairs) => format!("ENV{}", pairs_of(pairs)),
            InstructionKind::Label(pairs) => format!("LABEL{}", pairs_of(pairs)),
            InstructionKind::Expose(expose) => format!("EXPOSE{}", words(&expose.ports)),
            InstructionKind::Healthcheck(Healthcheck::None) => "HEALTHCHECK none".to_owned(),
            InstructionKind::Healthcheck(Healthcheck::Command { command: line, options }) => format!(
                "HEALTHCHECK interval={} timeout={} start-period={} start-interval={} retries={}{}",
                options.interval_ns,
                options.timeout_ns,
                options.start_period_ns,
                options.start_interval_ns,
                options.retries,
                command(line)
            ),
            InstructionKind::Maintainer(word) => format!("MAINTAINER {:?}", word.text),
            InstructionKind::Onbuild(onbuild) => match &onbuild.trigger {
                Ok(trigger) => format!("ONBUILD {:?} => {}", onbuild.expression, trigger.kind.outline()),
                Err(error) => format!("ONBUILD {:?} => {}", onbuild.expression, error.class),
            },
            InstructionKind::Run(run) => format!(
                "RUN{}{}{}{}{}{}",
                run.mounts.iter().map(|mount| flag("mount", Some(&mount.text))).collect::<String>(),
                flag("network", run.network.as_ref()),
                flag("security", run.security.as_ref()),
                run.devices.iter().map(|device| flag("device", Some(device))).collect::<String>(),
                command(&run.command),
                run.heredocs.iter().map(heredoc).collect::<String>()
            ),
            InstructionKind::Shell(line) => format!("SHELL{}", words(line)),
            InstructionKind::StopSignal(word) => format!("STOPSIGNAL {:?}", word.text),
            InstructionKind::User(word) => format!("USER {:?}", word.text),
            InstructionKind::Volume(volume) => {
                format!("VOLUME{}{}", if volume.json { " json" } else { "" }, words(&volume.paths))
            }
            InstructionKind::Workdir(word) => format!("WORKDIR {:?}", word.text),
        }
    }
}

fn words(words: &[Word]) -> String {
    words.iter().map(|word| format!(" {:?}", word.text)).collect()
}

fn flag(name: &str, value: Option<&Word>) -> String {
    value.map(|value| format!(" {name}={:?}", value.text)).unwrap_or_default()
}

fn from(from: &FromInstruction) -> String {
    let name = from.name.as_ref().map(|name| format!(" as {}", name.text)).unwrap_or_default();
    format!("{} {:?}{name}", flag("platform", from.platform.as_ref()), from.image.text)
}

fn args(arg: &ArgInstruction) -> String {
    arg.args
        .iter()
        .map(|arg| match &arg.value {
            None => format!(" {:?}", arg.name.text),
            Some(value) => format!(" {:?}={:?}", arg.name.text, value.text),
        })
        .collect()
}

fn pairs_of(pairs: &PairsInstruction) -> String {
    let legacy = if pairs.legacy { " legacy" } else { "" };
    let shown: String =
        pairs.pairs.iter().map(|(name, value)| format!(" {:?}={:?}", name.text, value.text)).collect();
    format!("{legacy}{shown}")
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => format!(" shell {:?}", text.text),
        CommandLine::Exec(list) => format!(" exec{}", words(list)),
    }
}

fn transfer(transfer: &Transfer) -> String {
    let Transfer { sources, destination, json, chown, chmod, link, exclude } = transfer;
    let mut out = format!("{}{}", flag("chown", chown.as_ref()), flag("chmod", chmod.as_ref()));
    out.push_str(if *link { " link" } else { "" });
    out.extend(exclude.iter().map(|pattern| flag("exclude", Some(pattern))));
    out.push_str(if *json { " json" } else { "" });
    for source in sources {
        match source {
            Source::Path(word) => out.push_str(&format!(" {:?}", word.text)),
            Source::Heredoc(_, body) => out.push_str(&heredoc(body)),
        }
    }
    out.push_str(&format!(" to {:?}", destination.text));
    out
}

fn heredoc(heredoc: &Heredoc) -> String {
    let Heredoc { name, expand, strip_tabs, fd, body, .. } = heredoc;
    format!(" <<{name:?} expand={expand} tabs={strip_tabs} fd={fd} {body:?}")
}
