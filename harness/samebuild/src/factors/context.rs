//! Factors of the context: its times, owners and modes, its place, the order in which it is read.

use std::sync::Arc;

use samebuild_builder::disk;
use samebuild_image::{Kind, Meta, Mtime};

use super::{Dice, Setting, Who};
use crate::builders::needs_client;

/// Times before every other one of a case: 2001 to 2017.
const TIMES: std::ops::Range<u32> = 1_000_000_000..1_500_000_000;

pub(super) fn mtimes(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    // Docker's client cuts times to seconds before it packs a context. Where the first member has more, its header is pax's,
    // and BuildKit 20.10 takes the whole archive for a Dockerfile (seen on Docker Engine 20.10.24).
    let cut = matches!(setting.site.who, Who::Engine(_)) && !needs_client(&setting.case);
    each(setting, |_, meta| {
        let secs = i64::from(dice.between(TIMES.start, TIMES.end));
        let nanos = dice.between(1, 1_000_000_000);
        meta.mtime = Mtime::At { secs, nanos: if cut { 0 } else { nanos } };
    });
    Ok("every time in the context is another one, of 2001 to 2017".to_owned())
}

pub(super) fn owners(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    if matches!(setting.site.who, Who::Engine(_)) && !needs_client(&setting.case) {
        return Err(
            "the archive an engine gets has no owners but root, as Docker's client packs it".to_owned()
        );
    }
    let (uid, gid) = (dice.between(1, 60_000), dice.between(1, 60_000));
    each(setting, |_, meta| (meta.uid, meta.gid) = (uid.into(), gid.into()));
    Ok(format!("the context belongs to {uid}:{gid}"))
}

pub(super) fn umask(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    const MASKS: [u32; 3] = [0o002, 0o027, 0o077];
    let mask = MASKS[dice.between(0, 3) as usize];
    each(setting, |kind, meta| {
        let most = match kind {
            Kind::Dir => 0o777,
            Kind::File(_) if meta.mode & 0o100 != 0 => 0o777,
            Kind::File(_) => 0o666,
            _ => return,
        };
        meta.mode = (meta.mode & !0o777) | (most & !mask);
    });
    Ok(format!("the context was checked out under the umask {mask:03o}"))
}

pub(super) fn order(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    match setting.site.who {
        Who::Reference => {
            return Err(
                "the reference holds a context as a tree sorted by name: no order reaches it".to_owned()
            );
        }
        Who::Program(name) => {
            return Err(format!(
                "{name} reads directories, and in which order they list is their file system's"
            ));
        }
        Who::Engine(_) => {}
    }
    if needs_client(&setting.case) {
        return Err("Docker's client reads the context here, and sorts each directory by name".to_owned());
    }
    setting.shuffle = Some(dice.draw());
    Ok("the archive with the context has its members in another order".to_owned())
}

pub(super) fn path(setting: &mut Setting<'_>, dice: &mut Dice) -> Result<String, String> {
    match setting.site.who {
        Who::Reference => {}
        Who::Engine(_) if !needs_client(&setting.case) => {
            return Err("an engine gets the context as an archive, which has no path".to_owned());
        }
        who => {
            let who = if let Who::Program(name) = who { name } else { "Docker's client" };
            return Err(format!("{who} reads the context from a new directory in every build as it is"));
        }
    }
    let name = format!("{:x}", dice.draw());
    let room = tempfile::Builder::new().prefix("elsewhere-").tempdir_in(setting.site.work);
    let room = room.map_err(|error| format!("there is no room for another context: {error}"))?;
    let place = room.path().join(&name).join("context");
    let copied = std::fs::create_dir_all(room.path().join(&name)).map_err(|error| error.to_string());
    copied
        .and_then(|()| {
            disk::write_tree(&setting.case.context_tree(), &place).map_err(|error| error.to_string())
        })
        .map_err(|why| format!("the context cannot be copied: {why}"))?;
    let read = disk::scan(&place).map_err(|error| format!("the copied context cannot be read: {error}"))?;
    setting.case = setting.case.with_context(read);
    setting.case.dir = place;
    setting.elsewhere = Some(Arc::new(room));
    Ok(format!("the context lies in …/{name}/context"))
}

fn each(setting: &mut Setting<'_>, mut change: impl FnMut(&Kind, &mut Meta)) {
    let mut tree = setting.case.context_tree();
    tree.change_meta(|_, kind, meta| change(kind, meta));
    setting.case = setting.case.with_context(tree);
}
