//! From what `case.toml` says to what a case is: every word known, no two keys against each other. Contexts are checked
//! where they are made, in `context`.

use std::collections::BTreeMap;

use samebuild_image::At;
use toml::Spanned;

use super::case::{Build, Cause, Known, Outcome, Secret, Under, Volatile};
use super::dialects::{Vocabulary, matches};
use super::format::{BuildToml, CauseToml, KnownToml, OutcomeToml, UnderToml, VolatileKey, VolatileToml};
use super::problem::Problem;

/// The builders whose command lines `[build.flags]` may speak to.
const BUILDERS: [&str; 6] = ["reference", "docker", "buildkit", "buildah", "kaniko", "command"];

/// A text that must not be empty.
pub(super) fn said(name: &str, text: &Spanned<String>) -> Result<String, Problem> {
    match text.get_ref().trim() {
        "" => Err(Problem::at(
            text.span(),
            format!("`{name}` is empty"),
            format!("say it in a few words, or {TAKE_AWAY}"),
        )),
        text => Ok(text.to_owned()),
    }
}

const TAKE_AWAY: &str = "take the key away if it is not needed";

/// `[outcome]`.
pub(super) fn outcomes(
    written: &BTreeMap<Spanned<String>, Spanned<OutcomeToml>>,
    vocabulary: &Vocabulary,
) -> Result<BTreeMap<String, Outcome>, Problem> {
    let mut outcomes: BTreeMap<String, Outcome> = BTreeMap::new();
    let mut claimed: BTreeMap<&str, &str> = BTreeMap::new();
    for (glob, written) in written {
        let name = glob.get_ref().as_str();
        let matching: Vec<&str> =
            vocabulary.dialects.iter().copied().filter(|dialect| matches(name, dialect)).collect();
        if matching.is_empty() && !vocabulary.dialects.is_empty() {
            let found = format!("the outcome `{name}` is about no dialect");
            return Err(Problem::at(
                glob.span(),
                found,
                known_names("dialects, in which `*` stands for any text", vocabulary.dialects),
            ));
        }
        for dialect in matching.iter().filter(|dialect| **dialect != name) {
            if let Some(other) = claimed.insert(dialect, name) {
                let found = format!("the outcomes `{other}` and `{name}` both speak of {dialect}");
                return Err(Problem::at(
                    glob.span(),
                    found,
                    "make one of them narrower, or name the dialect in full: a name beats a glob",
                ));
            }
        }
        outcomes.insert(name.to_owned(), outcome(written)?);
    }
    Ok(outcomes)
}

fn outcome(written: &Spanned<OutcomeToml>) -> Result<Outcome, Problem> {
    const ACCEPTED: &str = "accepted: { fails = STEP, class = \"SLUG\" } (step 0: it does not parse), { hangs = true } or { builds = true }";
    let said = written.get_ref();
    let class = match &said.class {
        Some(class) if !is_slug(class.get_ref()) => {
            let found = format!("the class `{}` is not a slug", class.get_ref());
            return Err(Problem::at(
                class.span(),
                found,
                "accepted: lower-case words joined by `-`, such as unknown-flag",
            ));
        }
        class => class.as_ref().map(|class| class.get_ref().clone()),
    };
    match (said.fails, class, said.hangs, said.builds) {
        (Some(step), class, false, false) => Ok(Outcome::Fails { step, class }),
        (None, None, true, false) => Ok(Outcome::Hangs),
        (None, None, false, true) => Ok(Outcome::Builds),
        (None, None, false, false) => Err(Problem::at(written.span(), "an outcome says nothing", ACCEPTED)),
        _ => Err(Problem::at(written.span(), "an outcome contradicts itself", ACCEPTED)),
    }
}

fn is_slug(text: &str) -> bool {
    text.split('-')
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

/// `[build]`.
pub(super) fn build(written: &BuildToml) -> Result<Build, Problem> {
    for builder in written.flags.keys() {
        if !BUILDERS.contains(&builder.get_ref().as_str()) {
            let found = format!("`{}` is no builder", builder.get_ref());
            return Err(Problem::at(builder.span(), found, known_names("builders", &BUILDERS)));
        }
    }
    if let Some(platform) = &written.platform {
        let parts = platform.get_ref().split('/').collect::<Vec<_>>();
        if !(2..=3).contains(&parts.len()) || parts.iter().any(|part| part.is_empty()) {
            let found = format!("`{}` is no platform", platform.get_ref());
            return Err(Problem::at(
                platform.span(),
                found,
                "accepted: os/architecture or os/architecture/variant, such as \"linux/amd64\"",
            ));
        }
    }
    let secret = |(id, text): (&String, &String)| Secret { id: id.clone(), text: text.clone() };
    Ok(Build {
        target: written.target.clone(),
        args: written.args.clone(),
        secrets: written.secrets.iter().map(secret).collect(),
        platform: written.platform.as_ref().map(|platform| platform.get_ref().clone()),
        network: written.network.unwrap_or_default(),
        flags: written
            .flags
            .iter()
            .map(|(builder, flags)| (builder.get_ref().clone(), flags.clone()))
            .collect(),
    })
}

/// `[[known]]`.
pub(super) fn known(written: &[KnownToml], vocabulary: &Vocabulary) -> Result<Vec<Known>, Problem> {
    written
        .iter()
        .map(|known| {
            Ok(Known {
                dialect: one_of("dialect", &known.dialect, vocabulary.dialects)?,
                rule: one_of("rule", &known.rule, vocabulary.rules)?,
                at: known.at.as_ref().map(|at| place("at", at)).transpose()?,
                why: said("why", &known.why)?,
            })
        })
        .collect()
}

/// `[[under]]`.
pub(super) fn under(written: Vec<UnderToml>, vocabulary: &Vocabulary) -> Result<Vec<Under>, Problem> {
    written
        .into_iter()
        .map(|under| {
            let fault = one_of("fault", &under.fault, vocabulary.faults)?;
            let dialects =
                under.dialects.iter().map(|glob| of_some(glob, vocabulary)).collect::<Result<_, _>>()?;
            Ok(Under { fault, dialects, with: under.with, expect: under.expect })
        })
        .collect()
}

/// `[[causes]]`.
pub(super) fn causes(written: &[CauseToml], vocabulary: &Vocabulary) -> Result<Vec<Cause>, Problem> {
    written
        .iter()
        .map(|cause| {
            Ok(Cause {
                factor: one_of("factor", &cause.factor, vocabulary.factors)?,
                dialects: cause
                    .dialects
                    .iter()
                    .map(|glob| of_some(glob, vocabulary))
                    .collect::<Result<_, _>>()?,
                at: cause.at.as_ref().map(|at| place("at", at)).transpose()?,
                why: said("why", &cause.why)?,
                cause: because(cause.cause.as_ref())?,
            })
        })
        .collect()
}

/// A row of `CAUSES`.
fn because(id: Option<&Spanned<String>>) -> Result<Option<String>, Problem> {
    let Some(id) = id else { return Ok(None) };
    if samebuild_compare::causes::cause(id.get_ref()).is_none() {
        let found = format!("there is no cause `{}`", id.get_ref());
        return Err(Problem::at(id.span(), found, "`samebuild explain --list` lists them"));
    }
    Ok(Some(id.get_ref().clone()))
}

/// A glob of dialects that matches one.
fn of_some(glob: &Spanned<String>, vocabulary: &Vocabulary) -> Result<String, Problem> {
    let name = glob.get_ref();
    if vocabulary.dialects.is_empty() || vocabulary.dialects.iter().any(|dialect| matches(name, dialect)) {
        return Ok(name.clone());
    }
    let accepted = known_names("dialects, in which `*` stands for any text", vocabulary.dialects);
    Err(Problem::at(glob.span(), format!("`{name}` is about no dialect"), accepted))
}

/// `volatile`: why the case as a whole is not the same twice, and which files are not.
pub(super) fn volatile(
    written: Option<&Spanned<VolatileKey>>,
) -> Result<(Option<String>, Vec<Volatile>), Problem> {
    match written.map(|key| (key.get_ref(), key.span())) {
        None => Ok((None, Vec::new())),
        Some((VolatileKey::Case(why), span)) => {
            Ok((Some(said("volatile", &Spanned::new(span, why.clone()))?), Vec::new()))
        }
        Some((VolatileKey::Files(files), _)) => {
            let file = |file: &VolatileToml| {
                let at = At::clean(place("at", &file.at)?);
                Ok(Volatile { at, why: said("why", &file.why)?, cause: because(file.cause.as_ref())? })
            };
            Ok((None, files.iter().map(file).collect::<Result<_, Problem>>()?))
        }
    }
}

/// A place in the image, which starts with a slash.
fn place(name: &str, at: &Spanned<String>) -> Result<String, Problem> {
    if at.get_ref().starts_with('/') {
        return Ok(at.get_ref().clone());
    }
    let found = format!("`{name}` is `{}`, which is no place in an image", at.get_ref());
    Err(Problem::at(
        at.span(),
        found,
        "write it from the image's root, with a leading slash, such as \"/srv/data\"",
    ))
}

fn one_of(name: &str, word: &Spanned<String>, accepted: &[&str]) -> Result<String, Problem> {
    if accepted.is_empty() || accepted.contains(&word.get_ref().as_str()) {
        return said(name, word);
    }
    let found = format!("there is no {name} `{}`", word.get_ref());
    Err(Problem::at(word.span(), found, known_names(&format!("{name}s"), accepted)))
}

fn known_names(what: &str, names: &[&str]) -> String {
    format!("accepted {what}: {}", names.join(", "))
}
