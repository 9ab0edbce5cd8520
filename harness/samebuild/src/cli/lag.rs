//! `samebuild lag`: (a) layers of identical COPYs by seed, held against the model; (b) what snapshots lose that look at times
//! and sizes; (c) what real builders lose; (d) which file systems lag; (e) what random edits lose. 0 if all that could be tried
//! came out as predicted, 1 if something did not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;

use super::lag_live;
use super::lag_places::{self, Looked};
use super::lag_scripts::{self, Row};
use super::race_records::{today, write};
use super::terminal::{out, say};
use super::verbs::Format;
use crate::bases;
use crate::checkout::Checkout;
use crate::conform::Exit;
use crate::engines::cache_dir;
use crate::files;
use crate::lag::{LAGGING, Law, SIGHTS, STEADY, Setting, Yard, is_likely, kept, plot, predicted};
use crate::races::Record;
use crate::scratch::Scratch;

#[derive(Debug, Args)]
pub(crate) struct Lag {
    /// How many seeds, from 1.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// How many identical COPYs.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=200))]
    copies: u16,
    /// Only this seed, a hundred times: its clock, and that the result is always the same.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// Look at the times of this directory's file system too. May be repeated.
    #[arg(long, value_name = "DIR")]
    probe: Vec<PathBuf>,
    /// How many scripts of random edits, from seed 1.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    scripts: u64,
    /// Write what was counted to records/, as a table and a picture (in a checkout).
    #[arg(long, conflicts_with = "replay")]
    record: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The base image with a shell.
const BASE: &str = "busybox";
/// How often one seed is replayed.
const REPLAYS: usize = 100;

pub(crate) fn run(args: &Lag) -> Result<Exit> {
    let cache = cache_dir()?;
    let work = Scratch::on_disk(&cache)?;
    let unpacked = cache.join("unpacked");
    std::fs::create_dir_all(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    let mut yard = Yard { work: work.path().to_owned(), unpacked, base: None };
    let setting = Setting { copies: args.copies.into(), ..Setting::default() };
    if let Some(seed) = args.replay {
        return replay(&yard, setting, seed);
    }
    let counts = count(&yard, setting, args.seeds)?;
    let law = Law::of(setting.copies, setting.granularity, setting.step);
    let likely = is_likely(&counts.of[LAGGING], &law);
    let base = bases::provide(BASE, &cache, &say)?;
    yard.base = Some((base.reference.clone(), base.image.clone()));
    let sights = sights(&yard)?;
    let live = lag_live::look(&base, work.path())?;
    let looked = lag_places::look(&args.probe, work.path())?;
    let edits = lag_scripts::count(work.path(), args.scripts)?;
    let as_predicted = counts.wrong.is_empty()
        && likely
        && sights.iter().all(|sight| sight.is_fine())
        && live.is_fine()
        && looked.iter().all(Looked::is_fine)
        && edits.iter().all(Row::is_fine);
    let record = record(setting, args.seeds, &counts, &law);
    match args.format {
        Format::Text => {
            tell(&record, &counts, likely, &law, &sights);
            live.tell();
            looked.iter().for_each(Looked::tell);
            edits.iter().for_each(Row::tell);
        }
        Format::Json => out!(
            "{}",
            json!({ "seeds": args.seeds, "copies": setting.copies, "layers": counts.of, "law": law.0,
                "unlike_the_model": counts.wrong, "likely": likely,
                "rewrites": sights.iter().map(Seen::json).collect::<Vec<_>>(),
                "live": live.json(),
                "file_systems": looked.iter().map(Looked::json).collect::<Vec<_>>(),
                "scripts": args.scripts, "edits": edits.iter().map(Row::json).collect::<Vec<_>>(), "as_predicted": as_predicted })
        ),
    }
    if args.record {
        write(&record, "lag-layers")?;
        if let Some(rewrites) = rewrites(&sights) {
            write(&rewrites, "lag-rewrites")?;
        }
        if let Some(live) = live.record() {
            write(&live, "lag-live")?;
        }
        write(&lag_places::record(&looked), "lag-file-systems")?;
        write(&lag_scripts::record(&edits, args.scripts), "lag-edits")?;
        let path = Checkout::find()?.records().join("lag-layers.svg");
        files::write(&path, plot(&record).as_bytes())?;
    }
    Ok(if as_predicted { Exit::Same } else { Exit::Different })
}

/// How often each dialect made 1, 2, … layers; and the seeds whose count was not the model's.
struct Counts {
    of: BTreeMap<&'static str, Vec<usize>>,
    wrong: Vec<u64>,
}

fn count(yard: &Yard, setting: Setting, seeds: u64) -> Result<Counts> {
    let ids: Vec<&'static str> = std::iter::once(LAGGING).chain(STEADY).collect();
    let mut of: BTreeMap<_, _> = ids.iter().map(|id| (*id, vec![0; setting.copies])).collect();
    let mut wrong = Vec::new();
    for seed in 1..=seeds {
        let ticks = setting.ticks(seed);
        for id in &ids {
            let layers = yard.layers(id, setting.copies, ticks).with_context(|| format!("seed {seed}"))?;
            let wanted = if *id == LAGGING { predicted(ticks, setting.copies) } else { setting.copies };
            if layers != wanted {
                wrong.push(seed);
            }
            if let Some(count) = of.get_mut(id).and_then(|counts| counts.get_mut(layers.saturating_sub(1))) {
                *count += 1;
            }
        }
    }
    wrong.dedup();
    Ok(Counts { of, wrong })
}

/// What became of a rewrite, with the name of who looked.
struct Seen {
    name: &'static str,
    dialect: &'static str,
    wanted: bool,
    kept: Result<bool, String>,
}

impl Seen {
    fn is_fine(&self) -> bool {
        self.kept.as_ref().is_ok_and(|kept| *kept == self.wanted) || self.kept.is_err()
    }

    fn json(&self) -> serde_json::Value {
        match &self.kept {
            Ok(kept) => json!({ "found_by": self.name, "kept": kept, "predicted": self.wanted }),
            Err(why) => json!({ "found_by": self.name, "not_exercised": why, "predicted": self.wanted }),
        }
    }
}

fn sights(yard: &Yard) -> Result<Vec<Seen>> {
    SIGHTS
        .iter()
        .map(|sight| {
            Ok(Seen {
                name: sight.name(),
                dialect: sight.dialect,
                wanted: sight.sees,
                kept: kept(yard, sight)?,
            })
        })
        .collect()
}

fn record(setting: Setting, seeds: u64, counts: &Counts, law: &Law) -> Record {
    let ms = |nanos: u64| format!("{:.1} ms", nanos as f64 / 1e6);
    let columns = ["layers", LAGGING, "the model"].into_iter().chain(STEADY).map(str::to_owned);
    let rows = (0..setting.copies).map(|n| {
        let expected = law.0.get(n).copied().unwrap_or_default() * seeds as f64;
        let count = |id: &str| counts.of.get(id).and_then(|counts| counts.get(n)).map_or(0, |count| *count);
        let mut row = vec![(n + 1).to_string(), count(LAGGING).to_string(), format!("{expected:.1}")];
        row.extend(STEADY.iter().map(|id| count(id).to_string()));
        row
    });
    Record {
        about: format!("layers of {} identical COPYs, over {seeds} seeds", setting.copies),
        when: today(),
        place: format!(
            "the reference builder on a clock that ticks every {}, steps of {} to {}",
            ms(setting.granularity),
            ms(setting.step.0),
            ms(setting.step.1)
        ),
        columns: columns.collect(),
        rows: rows.collect(),
    }
}

/// What became of the rewrites; nothing if one could not be tried.
fn rewrites(sights: &[Seen]) -> Option<Record> {
    let word = |kept: bool| if kept { "kept" } else { "lost" };
    let row = |seen: &Seen| {
        let kept = *seen.kept.as_ref().ok()?;
        Some([seen.name, seen.dialect, word(kept), word(seen.wanted)].map(str::to_owned).to_vec())
    };
    Some(Record {
        about: "a RUN that leaves a file with other bytes, as many, and the old time".to_owned(),
        when: today(),
        place: "the reference builder, RUN in its sandbox".to_owned(),
        columns: ["found by", "dialect", "the new content is", "predicted"].map(str::to_owned).to_vec(),
        rows: sights.iter().map(row).collect::<Option<_>>()?,
    })
}

fn tell(record: &Record, counts: &Counts, likely: bool, law: &Law, sights: &[Seen]) {
    out!("{}; {}", record.about, record.place);
    for row in std::iter::once(&record.columns).chain(&record.rows) {
        let cells: Vec<String> = row.iter().map(|cell| format!("{cell:>14}")).collect();
        out!("{}", cells.join(" "));
    }
    let shape = if likely { "as the model has it" } else { "NOT as the model has it" };
    out!(
        "the shape is {shape} (mean {:.2}); seeds whose count is not the model's: {:?}",
        law.mean(),
        counts.wrong
    );
    if let Some(seed) = counts.wrong.first() {
        out!("again: cargo xtask repro-lag --replay {seed}");
    }
    for sight in sights {
        let word = |kept: bool| if kept { "kept" } else { "lost" };
        match &sight.kept {
            Ok(kept) if *kept == sight.wanted => {
                out!("a rewrite of the same size and time: {} by {}", word(*kept), sight.name)
            }
            Ok(kept) => out!(
                "a rewrite of the same size and time: {} by {}, which is NOT predicted",
                word(*kept),
                sight.name
            ),
            Err(why) => out!("a rewrite of the same size and time: not exercised with {}: {why}", sight.name),
        }
    }
}

/// One seed again and again, with what its clock shows.
fn replay(yard: &Yard, setting: Setting, seed: u64) -> Result<Exit> {
    let ticks = setting.ticks(seed);
    out!("seed {seed}: phase {} ns, a tick of {} ns", ticks.phase, ticks.granularity);
    for n in 1..=setting.copies {
        out!("COPY {n} writes at {} ns, shown as {} ns", ticks.truth(n + 1), ticks.shown(n + 1));
    }
    let wanted = predicted(ticks, setting.copies);
    let mut same = 0;
    for _ in 0..REPLAYS {
        same += usize::from(yard.layers(LAGGING, setting.copies, ticks)? == wanted);
    }
    out!("{wanted} layers, as the model has it, in {same} of {REPLAYS} builds");
    Ok(if same == REPLAYS { Exit::Same } else { Exit::Different })
}
