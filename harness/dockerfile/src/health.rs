//! HEALTHCHECK: its options are checked when the file is parsed.

use crate::ast::{CommandLine, HealthOptions, Healthcheck};
use crate::duration;
use crate::error::{Class, Fault};
use crate::quote::go_quote;
use crate::raw::Args;
use crate::syntax::HealthZero;
use crate::typed::{Form, command_line};
use crate::words::Word;

/// The shortest interval, 1ms.
const SHORTEST_NS: i64 = 1_000_000;

pub(crate) fn read(form: &mut Form<'_>) -> Result<Healthcheck, Fault> {
    let Args::Health(Some((kind, args))) = std::mem::replace(&mut form.node.args, Args::Ignored) else {
        return Err(form.at_least_one("[OPTIONS] CMD COMMAND or HEALTHCHECK NONE"));
    };
    let empty = match &*args {
        Args::Json(words) => words.is_empty(),
        Args::Text(word) => word.is_none(),
        _ => true,
    };
    let upper = kind.text.to_uppercase();
    if upper == "NONE" {
        // Its flags are not even looked at.
        return if empty {
            Ok(Healthcheck::None)
        } else {
            let message = "read what follows HEALTHCHECK NONE; nothing may";
            Err(form.fault(Class::BadHealthcheck, message, "HEALTHCHECK NONE takes no arguments"))
        };
    }
    let mut flags = form.flags()?;
    if upper != "CMD" {
        let message =
            format!("read HEALTHCHECK {:?}; write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE", kind.text);
        let says = format!("Unknown type {} in HEALTHCHECK (try CMD)", go_quote(&upper));
        return Err(Fault::new(Class::BadHealthcheck, kind.span, message).says(says));
    }
    if empty {
        let message = "find the command of HEALTHCHECK CMD; write HEALTHCHECK CMD COMMAND";
        return Err(form.fault(Class::BadHealthcheck, message, "Missing command after HEALTHCHECK CMD"));
    }
    let zero = form.syntax.health_zero;
    let mut interval = |name: &str| interval_ns(name, flags.text(name), zero);
    let options = HealthOptions {
        interval_ns: interval("interval")?,
        timeout_ns: interval("timeout")?,
        start_period_ns: interval("start-period")?,
        start_interval_ns: interval("start-interval")?,
        retries: retries(flags.text("retries"), zero)?,
    };
    let command: CommandLine = command_line(*args, form.node.rest.span);
    Ok(Healthcheck::Command { command, options })
}

fn interval_ns(name: &str, given: Option<Word>, zero: HealthZero) -> Result<i64, Fault> {
    let Some(word) = given else { return Ok(0) };
    let ns = duration::parse(&word.text).map_err(|error| {
        let says = error.builder_message.clone();
        Fault::new(Class::BadDuration, word.span, error.to_string()).says(says)
    })?;
    if ns == 0 && zero == HealthZero::MeansDefault || ns >= SHORTEST_NS {
        return Ok(ns);
    }
    let message = format!("wait {} for --{name}; it is at least 1ms", word.text);
    let says = format!("Interval {} cannot be less than 1ms", go_quote(name));
    Err(Fault::new(Class::BadDuration, word.span, message).says(says))
}

fn retries(given: Option<Word>, zero: HealthZero) -> Result<u32, Fault> {
    let Some(word) = given else { return Ok(0) };
    let (least, says) = match zero {
        HealthZero::Rejected => (1, "--retries must be at least 1 (not "),
        HealthZero::MeansDefault => (0, "--retries cannot be negative ("),
    };
    let number: Result<i32, _> = word.text.parse();
    let message = format!("retry {} times; --retries is a whole number from {least}", word.text);
    let fault = Fault::new(Class::BadFlagValue, word.span, message);
    match number {
        Ok(number) if number >= least => Ok(number.unsigned_abs()),
        Ok(number) => Err(fault.says(format!("{says}{number})"))),
        Err(error) => {
            let why = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            Err(fault.says(format!("strconv.ParseInt: parsing {}: {why}", go_quote(&word.text))))
        }
    }
}
