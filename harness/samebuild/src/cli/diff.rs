//! `samebuild diff A B`: what two images differ in and why. How it is told is `telling`'s affair.

use anyhow::Result;
use samebuild_compare::Options;

use super::verbs::Diff;
use crate::conform::Exit;
use crate::operands;

pub(crate) fn run(args: &Diff) -> Result<Exit> {
    let (left, right) = (operands::open(&args.left)?, operands::open(&args.right)?);
    let found = operands::compare(&left, &right, &Options::strict())?;
    for (operand, warnings) in [(&left, &found.warnings.0), (&right, &found.warnings.1)] {
        for warning in warnings {
            eprintln!("warning: {}: {warning}", operand.name);
        }
    }
    let differs = args.telling.tell(&left.name, &right.name, &found)?;
    Ok(if differs { Exit::Different } else { Exit::Same })
}
