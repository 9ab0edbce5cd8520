//! Instructions that change the configuration and nothing else.

use samebuild_dockerfile::syntax::FlagSupport;
use samebuild_dockerfile::{
    ArgDefinition, ArgInstruction, CommandLine, ExposeInstruction, Healthcheck as Check, PairsInstruction,
};
use samebuild_dockerfile::{Word, ports, signal};

use samebuild_image::At;

use crate::config::Healthcheck;
use crate::dialect::rules::{
    ArgAfterEnv, ArgLine, ArgsEscaped, EmptyCommand, Expose, HealthcheckNone, Maintainer, VolumeText,
};
use crate::failure::StepFailure;
use crate::history::{
    ArgText, GoValues, HistoryText, Line, OnbuildHistory, go_healthcheck, go_healthcheck_fields, go_quoted,
};
use crate::session::Session;
use crate::stage::Stage;
use crate::steps::run::Volumes;
use crate::unpacked;

/// ENV: every word sees the environment as it was before the line.
pub fn env(stage: &mut Stage, session: &Session<'_>, env: &PairsInstruction) -> Result<(), StepFailure> {
    let pairs = expand_pairs(stage, session, env)?;
    let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    for (key, value) in &pairs {
        stage.config.set_env(key, value);
        stage.args.over_env.remove(key);
    }
    record(stage, session, format!("ENV {}", text.join(" ")));
    Ok(())
}

/// LABEL.
pub fn label(stage: &mut Stage, session: &Session<'_>, label: &PairsInstruction) -> Result<(), StepFailure> {
    let pairs = expand_pairs(stage, session, label)?;
    let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    stage.config.labels_present = true;
    stage.config.labels.extend(pairs);
    record(stage, session, format!("LABEL {}", text.join(" ")));
    Ok(())
}

fn expand_pairs(
    stage: &Stage,
    session: &Session<'_>,
    pairs: &PairsInstruction,
) -> Result<Vec<(String, String)>, StepFailure> {
    let expand = |word: &Word| stage.word(&session.expander, &word.text);
    pairs.pairs.iter().map(|(key, value)| Ok((expand(key)?, expand(value)?))).collect()
}

/// ARG in a stage: `--build-arg` before the default before the global ARG of that name.
pub fn arg(stage: &mut Stage, session: &Session<'_>, arg: &ArgInstruction) -> Result<(), StepFailure> {
    let mut text = Vec::new();
    let expand = |stage: &Stage, definition: &ArgDefinition| -> Result<_, StepFailure> {
        let word = |word: &Word| stage.word(&session.expander, &word.text);
        Ok((word(&definition.name)?, definition.value.as_ref().map(word).transpose()?))
    };
    let before_the_line = session.dialect.image.arg_line == ArgLine::Nothing;
    let first = |definition| before_the_line.then(|| expand(stage, definition)).transpose();
    let seen_first = arg.args.iter().map(first).collect::<Result<Vec<_>, _>>()?;
    for (definition, seen_first) in arg.args.iter().zip(seen_first) {
        let (name, default) = seen_first.map_or_else(|| expand(stage, definition), Ok)?;
        let value =
            session.build_arg(&name).or_else(|| default.clone()).or_else(|| session.global_arg(&name));
        let shown = match session.dialect.history.text {
            HistoryText::Source if session.dialect.history.arg == ArgText::Effective => &value,
            _ => &default,
        };
        text.push(shown.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}")));
        let over_env = session.dialect.image.arg_after_env == ArgAfterEnv::LastWins
            && stage.config.get_env(&name).is_some();
        if over_env && value.is_some() {
            stage.args.over_env.insert(name.clone());
        }
        stage.args.declared.push((name, value));
    }
    record(stage, session, format!("ARG {}", text.join(" ")));
    Ok(())
}

/// CMD.
pub fn cmd(stage: &mut Stage, session: &Session<'_>, command: &CommandLine) {
    let words = command_words(stage, session, command);
    let text = format!("CMD {}", go_quoted(&words));
    // An empty list is written as one by who writes every field, until an ENTRYPOINT takes it away.
    stage.config.cmd = Some(words);
    stage.config.args_escaped |= session.dialect.image.args_escaped == ArgsEscaped::SetWithCmd;
    // What says nothing does not count as said where it is not even an empty text.
    let says_nothing = is_empty(command) || matches!(command, CommandLine::Exec(words) if words.is_empty());
    if !(says_nothing && session.dialect.image.empty_command == EmptyCommand::ShellAlone) {
        stage.cmd_set = true;
    }
    record(stage, session, text);
}

/// ENTRYPOINT: an inherited CMD belonged to the old one.
pub fn entrypoint(stage: &mut Stage, session: &Session<'_>, command: &CommandLine) {
    let takes_away = is_empty(command) && session.dialect.image.empty_command == EmptyCommand::ShellAlone;
    let words = if takes_away { Vec::new() } else { command_words(stage, session, command) };
    let text = format!("ENTRYPOINT {}", go_quoted(&words));
    stage.config.entrypoint = (!words.is_empty()).then_some(words);
    if !stage.cmd_set {
        stage.config.cmd = None;
    }
    record(stage, session, text);
}

/// The argument list; text for the shell goes behind the shell's own words.
pub fn command_words(stage: &Stage, session: &Session<'_>, command: &CommandLine) -> Vec<String> {
    match command {
        CommandLine::Shell(_)
            if is_empty(command) && session.dialect.image.empty_command == EmptyCommand::ShellAlone =>
        {
            stage.config.shell()
        }
        CommandLine::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
        CommandLine::Shell(text) => stage.config.shell().into_iter().chain([text.text.clone()]).collect(),
    }
}

/// Whether nothing follows the keyword.
fn is_empty(command: &CommandLine) -> bool {
    matches!(command, CommandLine::Shell(text) if text.text.is_empty())
}

/// USER.
pub fn user(stage: &mut Stage, session: &Session<'_>, user: &Word) -> Result<(), StepFailure> {
    let user = stage.word(&session.expander, &user.text)?;
    stage.config.user.clone_from(&user);
    record(stage, session, format!("USER {user}"));
    Ok(())
}

/// EXPOSE.
pub fn expose(
    stage: &mut Stage,
    session: &Session<'_>,
    expose: &ExposeInstruction,
) -> Result<(), StepFailure> {
    let mut words = Vec::new();
    for word in expose.sorted() {
        words.extend(stage.words(&session.expander, &word.text)?);
    }
    let mut ports = Vec::new();
    for word in &words {
        if session.dialect.image.expose == Expose::AnyText {
            ports.push(any_port(word)?);
            continue;
        }
        ports.extend(
            ports::parse_expose(word, &session.dialect.syntax).map_err(|error| {
                StepFailure::new("bad-port", error.to_string()).says(error.builder_message)
            })?,
        );
    }
    let text = match session.dialect.history.text {
        HistoryText::NopComment | HistoryText::AsWritten | HistoryText::WithoutKeyword => words.join(" "),
        HistoryText::Source if session.dialect.history.values == GoValues::ListAndFields => {
            format!("[{}]", ports.join(" "))
        }
        HistoryText::Source => {
            let ports: std::collections::BTreeSet<String> =
                ports.iter().map(|port| format!("{port}:{{}}")).collect();
            format!("map[{}]", ports.into_iter().collect::<Vec<_>>().join(" "))
        }
    };
    stage.config.exposed_ports.extend(ports);
    record(stage, session, format!("EXPOSE {text}"));
    Ok(())
}

/// A port that is any text.
fn any_port(word: &str) -> Result<String, StepFailure> {
    let port = if word.contains('/') { word.to_owned() } else { format!("{word}/tcp") };
    let protocol = port.split('/').nth(1).unwrap_or_default();
    if ["tcp", "udp"].contains(&protocol) {
        return Ok(port);
    }
    let message = format!("expose {word}: `{protocol}` is no protocol; there are tcp and udp");
    Err(StepFailure::new("bad-port", message).says(format!("invalid protocol: {protocol}")))
}

/// VOLUME.
pub fn volume(stage: &mut Stage, session: &Session<'_>, paths: &[Word]) -> Result<(), StepFailure> {
    let text = |path: &Word| {
        let path = stage.word(&session.expander, &path.text)?;
        Ok(match session.dialect.image.volume_text {
            VolumeText::AsWritten => path,
            VolumeText::Cleaned => cleaned(&path),
        })
    };
    let paths: Vec<String> = paths.iter().map(text).collect::<Result<_, StepFailure>>()?;
    if paths.iter().any(String::is_empty) {
        return Err(StepFailure::new(
            "bad-volume",
            "VOLUME: a path is empty after expansion; name a directory",
        ));
    }
    if session.dialect.run.volumes == Volumes::MountedAside {
        super::container::volume_places(stage, &paths)?;
    }
    if unpacked::is_spoken(session) && session.dialect.run.volumes != Volumes::Ignored {
        unpacked::volume(stage, session, &paths);
    }
    let text = format!("VOLUME [{}]", paths.join(" "));
    stage.config.volumes.extend(paths);
    record(stage, session, text);
    Ok(())
}

/// As Go's `filepath.Clean` has it, but for a slash at the end, which stays.
fn cleaned(path: &str) -> String {
    let clean = At::clean(path).to_string();
    let relative = if path.starts_with('/') { clean.as_str() } else { clean.trim_start_matches('/') };
    match relative {
        "" => ".".to_owned(),
        text if path.ends_with('/') && text != "/" => format!("{text}/"),
        text => text.to_owned(),
    }
}

/// STOPSIGNAL.
pub fn stop_signal(stage: &mut Stage, session: &Session<'_>, word: &Word) -> Result<(), StepFailure> {
    let text = stage.word(&session.expander, &word.text)?;
    signal::parse(&text, &session.dialect.syntax)
        .map_err(|error| StepFailure::new("bad-signal", error.to_string()).says(error.builder_message))?;
    stage.config.stop_signal = Some(text.clone());
    record(stage, session, format!("STOPSIGNAL {text}"));
    Ok(())
}

/// SHELL: the history line is already written with the new shell.
pub fn shell(stage: &mut Stage, session: &Session<'_>, words: &[Word]) {
    let words: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let text = format!("SHELL [{}]", words.join(" "));
    stage.config.shell = Some(words);
    record(stage, session, text);
}

/// MAINTAINER.
pub fn maintainer(stage: &mut Stage, session: &Session<'_>, name: &Word) {
    if session.dialect.image.maintainer == Maintainer::PassedOver {
        return;
    }
    stage.config.author = Some(name.text.clone());
    record(stage, session, format!("MAINTAINER {}", name.text));
}

/// ONBUILD.
pub fn onbuild(stage: &mut Stage, session: &Session<'_>, expression: &str) {
    stage.config.on_build.push(expression.to_owned());
    if session.dialect.history.onbuild == OnbuildHistory::Recorded {
        record(stage, session, format!("ONBUILD {expression}"));
    }
}

/// HEALTHCHECK.
pub fn healthcheck(stage: &mut Stage, session: &Session<'_>, check: &Check) {
    let mut new = match check {
        Check::None => Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() },
        Check::Command { command, options } => Healthcheck {
            test: match command {
                CommandLine::Shell(text) => vec!["CMD-SHELL".into(), text.text.clone()],
                CommandLine::Exec(words) => {
                    std::iter::once("CMD".into()).chain(words.iter().map(|w| w.text.clone())).collect()
                }
            },
            interval: options.interval_ns,
            timeout: options.timeout_ns,
            start_period: options.start_period_ns,
            start_interval: options.start_interval_ns,
            retries: options.retries.into(),
        },
    };
    let text = match session.dialect.history.text {
        HistoryText::Source if session.dialect.history.values == GoValues::ListAndFields => {
            go_healthcheck_fields(&new)
        }
        _ => go_healthcheck(&new, session.dialect.syntax.flag_start_interval == FlagSupport::Known),
    };
    let text = format!("HEALTHCHECK {text}");
    if let (Some(old), HealthcheckNone::KeepsOptions) =
        (&stage.config.healthcheck, session.dialect.image.healthcheck_none)
    {
        new.fill_from(old);
    }
    stage.config.healthcheck = Some(new);
    record(stage, session, text);
}

fn record(stage: &mut Stage, session: &Session<'_>, text: String) {
    if unpacked::is_spoken(session) {
        // Only layers have a line there.
        return;
    }
    stage.record(session.dialect, &Line::Metadata(text), true);
}
