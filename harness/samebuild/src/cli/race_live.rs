//! `samebuild race` on a real engine: trials of a strategy, or of any client that `--exec` runs.

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use samebuild_store::choosers::Kind;
use samebuild_store::model::Mode;
use samebuild_store::stage::Setting;
use samebuild_store::strategies::Expected;
use samebuild_store::{races as scenarios, strategies, timeline};

use super::race_records::{draw, today, write};
use super::terminal::{Usage, out, put_raw, say};
use super::verbs;
use crate::checkout;
use crate::conform::Exit;
use crate::proxy::Rule;
use crate::races::{self, Count, Exec, Fate, Ground, LiveError, Pressure, Survived, Target};

/// What only a real engine has.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// Trials on a real engine: of each strategy at each pressure, or of the client of --exec. Else --budget decides.
    #[arg(long)]
    trials: Option<usize>,
    /// How many trials on a real engine.
    #[arg(long, value_enum, default_value_t)]
    budget: Budget,
    /// Write what was measured (on a real engine, with --how-soon, or of all strategies) to records/ (in a checkout).
    #[arg(long)]
    record: bool,
    /// On a real engine: one actor makes one call at a time, in orders drawn from --seed, instead of all going at once.
    #[arg(long)]
    turns: bool,
    /// On a real engine: race a DELETE of an image's last name against a tag, which is the engine's own affair.
    #[arg(long, conflicts_with = "exec")]
    window: bool,
    /// On a real engine: what strategies cost cached builds while images of thousands of files are deleted.
    #[arg(long, conflicts_with_all = ["exec", "window", "turns"])]
    price: bool,
    /// Run this command instead of a strategy of ours, DOCKER_HOST leading through the gate. Needs --deploy.
    #[arg(long, value_name = "COMMAND", requires = "deploy")]
    exec: Option<String>,
    /// The image that the client of --exec promises.
    #[arg(long, value_name = "REF")]
    deploy: Option<String>,
    /// Run this before each trial of --exec, not gated.
    #[arg(long, value_name = "COMMAND")]
    before: Option<String>,
    /// Rules for the client of --exec, as `samebuild proxy` takes them; each DELETE waits for a tag if left out.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// No rules at all: the client of --exec as it is.
    #[arg(long, conflicts_with = "rules")]
    ungated: bool,
}

/// How much time there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Budget {
    /// 3 trials: minutes.
    #[default]
    Ci,
    /// 100 trials at each pressure, 500 in all, of a strategy that survives every race; 20 of any other. An hour.
    Full,
}

impl Live {
    /// Whether what is measured is written down.
    pub(super) fn records(&self) -> bool {
        self.record
    }

    /// Trials of a strategy at each pressure.
    fn trials_of(&self, row: &strategies::Row) -> usize {
        self.trials.unwrap_or(match (self.budget, survives_all(row)) {
            (Budget::Ci, _) => 3,
            (Budget::Full, true) => 100,
            (Budget::Full, false) => 20,
        })
    }

    /// Rounds of a price, each of which makes a dozen thousand files twice.
    pub(super) fn rounds(&self) -> usize {
        self.trials.unwrap_or(1)
    }

    /// Trials of anything else.
    fn trials(&self) -> usize {
        self.trials.unwrap_or(match self.budget {
            Budget::Ci => 3,
            Budget::Full => 100,
        })
    }
}

fn survives_all(row: &strategies::Row) -> bool {
    scenarios::RACES.iter().all(|race| race.survivors.contains(&row.id))
}

const GATE: &str = "hold DELETE /images/* until POST */tag == 201";

/// Instead of a race's name, or a strategy's.
const EVERY: &str = "all";

/// Our own engine on disk.
const DISK: &str = "disk";

/// Where `--exec` runs if no engine is named.
const ENGINE: &str = "docker-20.10";

/// `None` if it is the model that is asked for.
pub(crate) fn run(args: &verbs::Race) -> Result<Option<Exit>> {
    let is_model = Mode::ALL.iter().any(|(id, _)| *id == args.engine);
    let policy = || checkout::engines_at_hand().map_err(anyhow::Error::from);
    if let (Some(command), Some(deploy)) = (&args.live.exec, &args.live.deploy) {
        let name = if is_model || args.engine == DISK { ENGINE } else { &args.engine };
        let texts = match (args.live.ungated, args.live.rules.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => vec![GATE.to_owned()],
            (false, false) => args.live.rules.clone(),
        };
        let rules = texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>();
        let rules = rules.map_err(|error| Usage(error.to_string()))?;
        let ground = Ground::open(name, &policy()?, &say)?;
        let before = args.live.before.as_deref();
        let exec = Exec { before, command, deploy, rules: &rules };
        let counted = count_exec(&ground, args.live.trials(), &exec)?;
        if args.live.record {
            let gate = if rules.is_empty() { "ungated" } else { "gated" };
            let record = races::exec_record(&exec, counted, today(), ground.words()?);
            write(&record, &format!("race-exec-{gate}-{name}"))?;
        }
        return Ok(Some(match counted {
            Survived { succeeded: 0, .. } => Exit::Nothing,
            Survived { lost: 0, .. } => Exit::Same,
            Survived { .. } => Exit::Different,
        }));
    }
    if is_model {
        return Ok(None);
    }
    if args.name.as_deref() == Some(EVERY) && args.engine != DISK {
        let mut ground = Ground::open(&args.engine, &policy()?, &say)?;
        return every_race(args, &mut ground).map(Some);
    }
    let race = scenarios::race(args.name.as_deref().unwrap_or("skaffold-9251"))?;
    let setting = Setting { race, mode: Mode::Graphdriver, old: args.old };
    if args.engine == DISK {
        return on_disk(args, &setting).map(Some);
    }
    let mut ground = Ground::open(&args.engine, &policy()?, &say)?;
    if args.live.price {
        return super::race_price::run(args, &ground).map(Some);
    }
    if args.live.window {
        return engines_window(args, &ground).map(Some);
    }
    if args.live.turns {
        return turns(args, &ground, &setting).map(Some);
    }
    measured(args, &mut ground, &setting).map(Some)
}

/// Orders of turns on our own engine on disk, until one loses an image.
fn on_disk(args: &verbs::Race, setting: &Setting) -> Result<Exit> {
    // A schedule takes milliseconds here, not microseconds.
    const MOST: u64 = 300;
    let dir = tempfile::tempdir().context("create a directory for stores")?;
    let mut exit = Exit::Same;
    for row in chosen(args)? {
        let (mut tried, mut caught) = (0, None);
        for seed in args.seed..args.seed + args.schedules.min(MOST) {
            tried += 1;
            let outcome = races::on_disk(dir.path(), setting, row.strategy, Kind::Random, seed)?;
            if outcome.fate.is_lost() {
                caught = Some((seed, outcome));
                break;
            }
        }
        match &caught {
            None => out!("{:<12} loses nothing in {tried} schedules", row.id),
            Some((seed, outcome)) => {
                out!("{:<12} loses an image in schedule {tried}, seed {seed}", row.id);
                put_raw(&timeline::render(&outcome.timeline));
            }
        }
        let survives = setting.race.survivors.contains(&row.id);
        let known = row.expected == Expected::CaughtIn(setting.race.id) || survives;
        let as_wanted = match asks_one(args) {
            false => !known || survives == caught.is_none(),
            true => caught.is_none(),
        };
        if !as_wanted {
            exit = Exit::Different;
        }
    }
    Ok(exit)
}

/// As in the model: every strategy, held against what is known of it, unless a race or a strategy is named.
fn chosen(args: &verbs::Race) -> Result<Vec<&'static strategies::Row>> {
    if !args.wants_one() || args.strategy() == EVERY {
        return Ok(strategies::STRATEGIES.iter().collect());
    }
    let named = args.strategy().split(',').map(strategies::strategy);
    Ok(named.collect::<Result<_, _>>()?)
}

/// One strategy is asked about, which then must lose nothing; else each is held against what is known of it.
fn asks_one(args: &verbs::Race) -> bool {
    args.wants_one() && !args.strategy().contains(',') && args.strategy() != EVERY
}

/// One strategy, or several, at every pressure.
fn measured(args: &verbs::Race, ground: &mut Ground, setting: &Setting) -> Result<Exit> {
    let (counts, exit) = counted(args, ground, setting)?;
    if args.live.record {
        let record = races::record(setting, &counts, today(), ground.words()?);
        write(&record, &format!("race-{}-{}", setting.race.id, args.engine))?;
        draw(setting.race.id)?;
    }
    Ok(exit)
}

/// Every race that a real engine can have; of the others, why not.
fn every_race(args: &verbs::Race, ground: &mut Ground) -> Result<Exit> {
    let (mut all, mut exit) = (Vec::new(), Exit::Same);
    for race in scenarios::RACES {
        out!("{}: {}", race.id, race.about);
        match counted(args, ground, &Setting { race, mode: Mode::Graphdriver, old: args.old }) {
            Ok((counts, came_out)) => {
                all.push((race.id, counts));
                if came_out != Exit::Same {
                    exit = came_out;
                }
            }
            Err(error) => match error.downcast_ref() {
                Some(LiveError::Race { .. }) => out!("not exercised: {error}"),
                _ => return Err(error),
            },
        }
    }
    if args.live.record {
        let record = races::record_many(&all, today(), ground.words()?);
        write(&record, &format!("race-all-{}", args.engine))?;
    }
    Ok(exit)
}

fn counted(args: &verbs::Race, ground: &mut Ground, setting: &Setting) -> Result<(Vec<Count>, Exit)> {
    let (mut counts, mut exit) = (Vec::new(), Exit::Same);
    for row in chosen(args)? {
        // With one old image there is nothing whose deletion comes first and lets a faulty strategy see the new name.
        let setting = &Setting { old: if survives_all(row) { setting.old } else { 1 }, ..*setting };
        for pressure in Pressure::all() {
            let trials = args.live.trials_of(row);
            let count = match told(ground, setting, row, pressure, trials) {
                // An image that was lost half can leave the daemon unable to build anything.
                Err(error) if !matches!(error.downcast_ref(), Some(LiveError::Race { .. })) => {
                    say(&format!("the engine is no good any more, and another one is started: {error}"));
                    *ground = Ground::open(&args.engine, &checkout::engines_at_hand()?, &say)?;
                    told(ground, setting, row, pressure, trials)?
                }
                told => told?,
            };
            let as_wanted = match asks_one(args) {
                false => count.as_known(setting, row),
                true => count.lost() == 0,
            };
            if !as_wanted {
                exit = Exit::Different;
            }
            counts.push(count);
        }
    }
    Ok((counts, exit))
}

/// Measures and tells. What is known to lose is told in numbers; what is not, in full, once.
fn told(
    ground: &Ground,
    setting: &Setting,
    row: &strategies::Row,
    pressure: Pressure,
    trials: usize,
) -> Result<Count> {
    let survives = setting.race.survivors.contains(&row.id);
    let mut odd = None;
    let count = races::measure(ground, setting, row, pressure, trials, &mut |number, outcome| {
        if survives && outcome.fate.is_lost() && odd.is_none() {
            odd = Some((number, outcome.clone()));
        }
    })?;
    out!("{}", line(&count));
    if !count.as_known(setting, row) {
        out!("  which is NOT what is known of it");
    }
    if let Some((number, outcome)) = &odd {
        out!("  trial {number}: {:?}; the engine said: {}", outcome.fate, outcome.said.join("; "));
        for entry in &outcome.log {
            out!("  {}", serde_json::to_string(entry).context("write the log")?);
        }
    }
    Ok(count)
}

/// The engine's own window, by name and by ID.
fn engines_window(args: &verbs::Race, ground: &Ground) -> Result<Exit> {
    let trials = u16::try_from(args.live.trials()).unwrap_or(u16::MAX).min(10_000);
    let (mut rows, mut exit) = (Vec::new(), Exit::Same);
    for target in [Target::Name, Target::Id] {
        let window = races::window(ground, target, trials)?;
        out!(
            "DELETE by {target:?} against a tag: in {} of {} trials the tag was answered with success and the image was \
             gone; refused {}, stands {}",
            window.illegal,
            window.trials,
            window.refused,
            window.stands
        );
        if window.illegal > 0 {
            exit = Exit::Different;
        }
        rows.push((target, window));
    }
    if args.live.record {
        let record = races::window_record(&rows, today(), ground.words()?);
        write(&record, &format!("race-window-{}", args.engine))?;
    }
    Ok(exit)
}

fn line(count: &Count) -> String {
    let ms = |time: Option<u64>| time.map_or("-".to_owned(), |ms| format!("{ms} ms"));
    let rebuilt = count.fates.iter().filter(|fate| **fate == Fate::Rebuilt).count();
    format!(
        "{:<12} {:<10} lost {} of {}, rebuilt {rebuilt}; ready after {}, pruned after {}",
        count.strategy,
        count.pressure.words(),
        count.lost(),
        count.fates.len(),
        ms(count.ready_ms),
        ms(count.pruned_ms),
    )
}

/// Orders of turns from seeds, on the real engine.
fn turns(args: &verbs::Race, ground: &Ground, setting: &Setting) -> Result<Exit> {
    let row = strategies::strategy(args.strategy())?;
    let seeds = args.seed..args.seed + args.live.trials() as u64;
    let mut lost = 0;
    for seed in seeds {
        let outcome = races::turns(ground, setting, row.strategy, Kind::Random, seed)?;
        out!("seed {seed}: {:?}", outcome.fate);
        if outcome.fate.is_lost() {
            lost += 1;
            if lost == 1 {
                put_raw(&timeline::render(&outcome.timeline));
                outcome.said.iter().for_each(|said| out!("  the engine: {said}"));
            }
        }
    }
    out!("{} with {}: lost in {lost} of {} orders of turns", setting.race.id, row.id, args.live.trials());
    Ok(if lost > 0 { Exit::Different } else { Exit::Same })
}

fn count_exec(ground: &Ground, trials: usize, exec: &Exec<'_>) -> Result<Survived> {
    let mut counted = Survived { trials, ..Survived::default() };
    for number in 1..=trials {
        let survival = ground.exec(exec)?;
        let word = match (&survival.at_exit, &survival.at_end) {
            _ if !survival.status.success() => format!("the client ended with {}", survival.status),
            (Ok(()), Ok(())) => "survived".to_owned(),
            (Ok(()), Err(why)) => format!("LOST after the client had ended: {why}"),
            (Err(why), _) => format!("LOST when the client ended: {why}"),
        };
        out!("trial {number}: {} {word}", exec.deploy);
        counted.succeeded += usize::from(survival.status.success());
        if survival.is_lost() {
            counted.lost += 1;
            if counted.lost == 1 {
                for entry in &survival.log {
                    out!("  {}", serde_json::to_string(entry).context("write the log")?);
                }
            }
        }
    }
    let Survived { succeeded, lost, .. } = counted;
    out!("{} was lost in {lost} of {succeeded} trials in which the client succeeded", exec.deploy);
    Ok(counted)
}
