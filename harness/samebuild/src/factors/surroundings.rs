//! Factors of the surroundings: when the build begins, under which umask, zone and host name, and how a file system tells
//! the time.

use samebuild_builder::delta::LayerForm;
use samebuild_builder::{Dialect, dialect};
use samebuild_dockerfile::{Dockerfile, InstructionKind};

use super::{Dice, Setting, Who};
use crate::builders::read_as;
use crate::faults::mtime_lag::{MtimeLag, Shape};
use crate::faults::passthrough;

pub(super) fn start_phase(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    let before = setting.phase_ms;
    setting.phase_ms = (before + dice.between(250, 750)) % 1000;
    Ok(format!("it begins at .{:03} of a second, not .{before:03}", setting.phase_ms))
}

pub(super) fn umask(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    if let Who::Engine(engine) = setting.site.who {
        return Err(format!("{engine} builds in processes of its own, whose umask is not ours to change"));
    }
    const MASKS: [u32; 3] = [0o000, 0o027, 0o077];
    let mask = MASKS[dice.between(0, 3) as usize];
    setting.umask = Some(mask);
    Ok(format!("the builder's umask is {mask:03o}"))
}

/// Names of zones that are hours and a part of one away from UTC; the last needs no database.
const ZONES: [&str; 3] = ["Pacific/Kiritimati", "America/St_Johns", "XYZ-5:45"];

pub(super) fn time_zone(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    if !declares(setting, "TZ") {
        return Err(
            "the Dockerfile has no ARG TZ, and no other zone of who builds gets into a RUN".to_owned()
        );
    }
    let zone = ZONES[dice.between(0, 3) as usize];
    setting.case.build.args.insert("TZ".to_owned(), zone.to_owned());
    Ok(format!("the build argument TZ is {zone}"))
}

pub(super) fn builder_zone(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    match setting.site.who {
        Who::Reference => Err("the reference asks for no zone: all its times are UTC".to_owned()),
        Who::Engine("host") => Err("the host's engine has the zone it was started in".to_owned()),
        Who::Engine(name) | Who::Program(name) => {
            let zone = ZONES[dice.between(0, 3) as usize];
            setting.zone = Some(zone.to_owned());
            Ok(format!("{name} is started with TZ={zone}"))
        }
    }
}

pub(super) fn host_name(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    if let Who::Engine(engine) = setting.site.who {
        return Err(format!("{engine}'s host name is this machine's, which all on it would see changed"));
    }
    let name = format!("host-{:x}", dice.between(0, u32::MAX));
    let what = format!("the machine is called {name}");
    setting.host = Some(name);
    Ok(what)
}

pub(super) fn mtime_lag(setting: &mut Setting<'_>, _: &mut Dice) -> Result<String, String> {
    let whose = lag(setting, Shape::Freeze { window_s: 3600 })?;
    Ok(format!("the modification times {whose} stay for an hour as they were first seen"))
}

pub(super) fn mtime_truncation(setting: &mut Setting<'_>, _: &mut Dice) -> Result<String, String> {
    let whose = lag(setting, Shape::Truncate { granularity_s: 3600 })?;
    Ok(format!("the modification times {whose} are cut down to the hour"))
}

/// Whose times lag, in words.
fn lag(setting: &mut Setting<'_>, shape: Shape) -> Result<String, String> {
    match setting.site.who {
        Who::Reference => {}
        Who::Engine("host") => {
            return Err("the host's engine keeps its files where it was started".to_owned());
        }
        Who::Engine(name) | Who::Program(name) => {
            if let Some(unmet) = passthrough::unmet() {
                return Err(unmet);
            }
            setting.lag_on_files = Some(shape);
            return Ok(format!("of {name}'s files"));
        }
    }
    let walks = |dialect: &Dialect| dialect.image.layer_form != LayerForm::UpperDirectory;
    let looks = setting.site.snapshotter.is_some() || dialect::find(setting.site.dialect).is_ok_and(walks);
    if !looks {
        return Err(format!(
            "{} asks no file system for times to find what a RUN changed; with --snapshot-mode it does",
            setting.site.dialect
        ));
    }
    setting.lag = Some(MtimeLag::new(shape));
    Ok("a snapshotter sees".to_owned())
}

/// Whether some stage takes the build argument `name`.
fn declares(setting: &Setting<'_>, name: &str) -> bool {
    let syntax = read_as(setting.site.dialect);
    let Ok(file) = Dockerfile::parse(&setting.case.dockerfile, syntax) else { return false };
    file.stages.iter().flat_map(|stage| &stage.instructions).any(|node| match &node.kind {
        InstructionKind::Arg(arg) => arg.args.iter().any(|arg| arg.name.text == name),
        _ => false,
    })
}
