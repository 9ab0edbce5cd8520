//! Who a RUN is and what it knows: user, groups, home, environment, host name.

use crate::failure::StepFailure;
use crate::sandbox::Owner;
use crate::session::{Session, StepError};
use crate::stage::Stage;
use crate::users::Users;
use samebuild_image::At;

use super::run::{ExplicitGroup, Groups, Hostname, LoneUid, NumberGroup, NumericUser, RunRules};

/// Who the command runs as, as runc reads USER, and the home directory that goes with it.
pub(crate) fn user(stage: &Stage, rules: &RunRules) -> Result<(Owner, String), StepError> {
    let users = Users::of(&stage.tree).map_err(StepError::broken("read /etc/passwd of the image"))?;
    let text = if stage.config.user.is_empty() { "0" } else { &stage.config.user };
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let number = name.parse::<u32>().ok();
    let by_number = number.and_then(|uid| users.by_uid(uid));
    let known = match (rules.numeric_user, number) {
        (NumericUser::Number, Some(_)) => by_number,
        _ => users.user(name).or(by_number),
    };
    let unknown = |kind: &str, name: &str, file: &str| {
        let message = format!("run as `{text}`: {file} of the image knows no {kind} `{name}`; use a number");
        StepFailure::new("unknown-user", message)
            .says(format!("unable to find {kind} {name}: no matching entries in {} file", &file[5..]))
    };
    let is_lone = number.is_some() && group.is_none() && !stage.config.user.is_empty();
    let has_passwd = stage.tree.get(&At::from("etc/passwd")).is_some();
    if rules.lone_uid == LoneUid::NeedsPasswd && is_lone && !has_passwd {
        return Err(unknown("user", name, "/etc/passwd").into());
    }
    let uid = known.map(|user| user.uid).or(number).ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
    let home = known.map_or_else(|| "/".into(), |user| user.home.clone());
    let unlisted_gid = match rules.number_group {
        NumberGroup::Root => 0,
        NumberGroup::SameNumber => uid,
    };
    let own_gid = known.map_or(unlisted_gid, |user| user.gid);
    let group = group.filter(|_| rules.explicit_group == ExplicitGroup::Taken);
    let (gid, groups) = match group {
        None | Some("") => (own_gid, known.map_or_else(Vec::new, |user| users.memberships(&user.name))),
        Some(group) => {
            let gid = group.parse().ok().or_else(|| users.group(group).map(|group| group.gid));
            (gid.ok_or_else(|| unknown("group", group, "/etc/group"))?, Vec::new())
        }
    };
    let groups = match rules.groups {
        Groups::WithOwn => {
            std::iter::once(gid).chain(groups.into_iter().filter(|other| *other != gid)).collect()
        }
        Groups::Listed => groups,
        Groups::OwnThenListed => known.map_or_else(Vec::new, |user| {
            std::iter::once(user.gid).chain(users.memberships(&user.name)).collect()
        }),
    };
    Ok((Owner { uid, gid, groups }, home))
}

/// The variables of the command: the image's, arguments, secrets, and those a runtime adds.
pub(crate) fn environment(
    stage: &Stage,
    session: &Session<'_>,
    secrets: Vec<(String, String)>,
    hostname: &str,
    home: &str,
) -> Vec<(String, String)> {
    let args = stage.args.for_run(&stage.config);
    let is_over = |name: &String| args.iter().any(|(arg, _)| arg == name);
    let mut env: Vec<(String, String)> =
        stage.config.env.iter().filter(|(name, _)| !is_over(name)).cloned().collect();
    env.extend(args);
    env.extend(secrets);
    let mut default = |key: &str, value: &str| {
        if !env.iter().any(|(name, _)| name == key) {
            env.push((key.to_owned(), value.to_owned()));
        }
    };
    default("PATH", crate::config::DEFAULT_PATH);
    if session.dialect.run.hostname == Hostname::ContainerId {
        default("HOSTNAME", hostname);
    }
    default("HOME", home);
    env
}

/// The host name of the command.
pub(crate) fn hostname(session: &Session<'_>, stage: &Stage) -> String {
    match session.dialect.run.hostname {
        Hostname::ContainerId | Hostname::ContainerIdUntold => session.container_id(stage.history.len()),
        Hostname::BuildkitSandbox => "buildkitsandbox".to_owned(),
    }
}
