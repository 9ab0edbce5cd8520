//! `samebuild diff A B`: what two images differ in and why. How it is told is `telling`'s affair.

use std::collections::BTreeSet;

use anyhow::Result;
use samebuild_compare::Options;
use samebuild_image::manifest::Platform;

use super::terminal::{Usage, say};
use super::verbs::Diff;
use crate::conform::Exit;
use crate::operands::{self, Asked};

pub(crate) fn run(args: &Diff) -> Result<Exit> {
    let differs = if args.all_platforms { each_platform(args)? } else { one(args, args.platform.as_ref())? };
    Ok(if differs { Exit::Different } else { Exit::Same })
}

/// Whether the images of one platform differ.
fn one(args: &Diff, platform: Option<&Platform>) -> Result<bool> {
    let open = |name| operands::open(&Asked { name, platform, progress: &say });
    let (left, right) = (open(&args.left)?, open(&args.right)?);
    if let Some(differs) = args.telling.container_diff(&left, &right)? {
        return Ok(differs);
    }
    if left.is_image() != right.is_image() {
        say("only one of the two is an image: file systems are compared, configuration and history are not");
    }
    let found = operands::compare(&left, &right, &Options::strict(), args.verify)?;
    for (operand, warnings) in [(&left, &found.warnings.0), (&right, &found.warnings.1)] {
        for warning in warnings {
            eprintln!("warning: {}: {warning}", operand.name);
        }
    }
    if !found.verified {
        say(
            "digests as declared: layers that are said to be equal were not opened; --verify=digest takes them",
        );
    }
    let named = |name: &str| match (args.all_platforms, platform) {
        (true, Some(platform)) => format!("{name} ({platform})"),
        _ => name.to_owned(),
    };
    args.telling.tell(&named(&left.name), &named(&right.name), &found)
}

/// Whether the images of any platform differ, or one has a platform that the other has not.
fn each_platform(args: &Diff) -> Result<bool> {
    let (left, right) = (operands::offer(&args.left, &say)?, operands::offer(&args.right, &say)?);
    for (side, attestations) in [("left", left.attestations), ("right", right.attestations)] {
        if attestations > 0 {
            say(&format!("{side}: attestations are set apart and not compared; it has {attestations}"));
        }
    }
    let (left, right) = (left.platforms, right.platforms);
    if left.is_empty() && right.is_empty() {
        let why = "compare all platforms: neither is an index that names platforms (an OCI layout, an archive of one, or in a registry); leave --all-platforms out";
        return Err(Usage(why.to_owned()).into());
    }
    let all: BTreeSet<String> = left.iter().chain(&right).map(ToString::to_string).collect();
    let mut differs = false;
    for name in all {
        let has =
            |platforms: &[Platform]| platforms.iter().find(|platform| platform.to_string() == name).cloned();
        differs |= match (has(&left), has(&right)) {
            (Some(platform), Some(_)) => one(args, Some(&platform))?,
            (only_left, _) => {
                say(&format!(
                    "{name}: only the {} image is for it",
                    if only_left.is_some() { "left" } else { "right" }
                ));
                true
            }
        };
    }
    Ok(differs)
}
