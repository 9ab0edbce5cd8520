//! Answers: how is a schedule written down? One line, ours, versioned: which race, strategy, engine and number of
//! old images, and whose turn it was, run lengths as `actor*turns`. Leaves playing it to `explore::replay`.

use std::fmt;
use std::str::FromStr;

use crate::floor::Actor;
use crate::model::Mode;

/// The version this crate writes. It goes up when turns move, so that an old schedule is refused, not misread.
pub const VERSION: u32 = 1;

const MOST_TURNS: usize = 1 << 20;

/// A printed order of turns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    pub race: String,
    pub strategy: String,
    pub mode: Mode,
    /// Number of older images.
    pub old: u8,
    pub turns: Vec<Actor>,
}

/// Why a text is not a schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "not a schedule: expected a line `samebuild-schedule v{VERSION} race=… strategy=… engine=… old=… turns=…`"
    )]
    NotASchedule,
    #[error("schedule version {0} is not v{VERSION}: run the race again with its seed to get a new one")]
    Version(String),
    #[error("schedule field `{0}` is missing")]
    Missing(&'static str),
    #[error("schedule field `{field}` has `{value}`; accepted is {accepted}")]
    Value { field: String, value: String, accepted: &'static str },
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule { race, strategy, mode, old, turns } = self;
        write!(
            f,
            "samebuild-schedule v{VERSION} race={race} strategy={strategy} engine={} old={old} turns=",
            mode.id()
        )?;
        for (n, run) in turns.chunk_by(|left, right| left == right).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            match run.len() {
                1 => write!(f, "{comma}{}", run[0])?,
                len => write!(f, "{comma}{}*{len}", run[0])?,
            }
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads the first line that is neither empty nor a `#` comment.
    fn from_str(text: &str) -> Result<Schedule, ScheduleError> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let mut words = line.ok_or(ScheduleError::NotASchedule)?.split_whitespace();
        if words.next() != Some("samebuild-schedule") {
            return Err(ScheduleError::NotASchedule);
        }
        let version = words.next().ok_or(ScheduleError::NotASchedule)?;
        if version != format!("v{VERSION}") {
            return Err(ScheduleError::Version(version.to_owned()));
        }
        let (mut race, mut strategy, mut mode, mut old, mut turns) = (None, None, None, None, None);
        for word in words {
            let (field, value) = word.split_once('=').ok_or(ScheduleError::NotASchedule)?;
            match field {
                "race" => race = Some(value.to_owned()),
                "strategy" => strategy = Some(value.to_owned()),
                "engine" => mode = Some(parse_mode(value)?),
                "old" => old = Some(value.parse().map_err(|_| wrong(field, value, "a number below 256"))?),
                "turns" => turns = Some(parse_turns(value)?),
                _ => return Err(wrong(field, value, "race, strategy, engine, old and turns")),
            }
        }
        Ok(Schedule {
            race: race.ok_or(ScheduleError::Missing("race"))?,
            strategy: strategy.ok_or(ScheduleError::Missing("strategy"))?,
            mode: mode.ok_or(ScheduleError::Missing("engine"))?,
            old: old.ok_or(ScheduleError::Missing("old"))?,
            turns: turns.ok_or(ScheduleError::Missing("turns"))?,
        })
    }
}

fn parse_mode(value: &str) -> Result<Mode, ScheduleError> {
    let known = Mode::ALL.iter().find(|(id, _)| *id == value);
    known.map(|(_, mode)| *mode).ok_or_else(|| wrong("engine", value, "graph or containerd"))
}

fn parse_turns(value: &str) -> Result<Vec<Actor>, ScheduleError> {
    const ACCEPTED: &str = "actors 0 to 63 with commas, a run as `actor*turns`, at most a million turns";
    let refused = || wrong("turns", value, ACCEPTED);
    let mut turns = Vec::new();
    for run in value.split(',').filter(|run| !run.is_empty()) {
        let (actor, len) = run.split_once('*').unwrap_or((run, "1"));
        let actor = actor.parse::<Actor>().ok().filter(|actor| *actor < 64).ok_or_else(refused)?;
        let len: usize = len.parse().map_err(|_| refused())?;
        if len > MOST_TURNS - turns.len() {
            return Err(refused());
        }
        turns.extend(std::iter::repeat_n(actor, len));
    }
    Ok(turns)
}

fn wrong(field: &str, value: &str, accepted: &'static str) -> ScheduleError {
    ScheduleError::Value { field: field.to_owned(), value: value.chars().take(60).collect(), accepted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str =
        "samebuild-schedule v1 race=skaffold-9251 strategy=sync engine=graph old=2 turns=0*3,1,63*2";

    #[test]
    fn a_schedule_prints_as_it_was_read() {
        let schedule: Schedule = format!("# a comment\n\n{LINE}\n").parse().unwrap();
        assert_eq!(schedule.turns, [0, 0, 0, 1, 63, 63]);
        assert_eq!(schedule.to_string(), LINE);
    }

    #[test]
    fn a_schedule_of_another_version_is_refused_with_what_to_do() {
        let error = LINE.replace("v1", "v2").parse::<Schedule>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "schedule version v2 is not v1: run the race again with its seed to get a new one"
        );
    }

    #[test]
    fn a_run_length_cannot_fill_the_memory() {
        let error = LINE.replace("0*3", "0*99999999999").parse::<Schedule>().unwrap_err();
        assert!(error.to_string().contains("at most a million turns"), "{error}");
    }

    #[test]
    fn unknown_fields_are_refused_with_the_known_ones() {
        let error = LINE.replace("old=", "older=").parse::<Schedule>().unwrap_err();
        assert!(error.to_string().contains("race, strategy, engine, old and turns"), "{error}");
    }

    proptest! {
        #[test]
        fn every_schedule_survives_print_and_parse(turns in proptest::collection::vec(0_u8..64, 0..200), old: u8) {
            let schedule =
                Schedule { race: "r".into(), strategy: "s".into(), mode: Mode::Containerd, old, turns };
            prop_assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<Schedule>();
            let _ = format!("samebuild-schedule v1 turns={text}").parse::<Schedule>();
        }
    }
}
