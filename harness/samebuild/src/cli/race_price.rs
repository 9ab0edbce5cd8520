//! `samebuild race --price`: what strategies cost builds on a real engine whose deletes take long.

use anyhow::Result;
use samebuild_store::strategies;

use super::race_records::{today, write};
use super::terminal::out;
use super::verbs::Race;
use crate::conform::Exit;
use crate::races::{self, Ground};

/// Those to be held beside one another if none is named.
const BESIDE: [&str; 3] = ["async-by-id", "sync", "generation"];
/// The one that promises a price.
const PROMISES: &str = "generation";

/// Exit 1: the strategy that promises a price does not keep it.
pub(super) fn run(args: &Race, ground: &Ground) -> Result<Exit> {
    let named = args.named_strategy();
    let chosen: Vec<&str> = named.map_or(BESIDE.to_vec(), |names| names.split(',').collect());
    let (mut prices, mut exit) = (Vec::new(), Exit::Same);
    for name in chosen {
        let row = strategies::strategy(name)?;
        for _ in 0..args.live.rounds() {
            let price = races::price(ground, row)?;
            let line = races::price_record(std::slice::from_ref(&price), String::new(), String::new());
            for (column, cell) in line.columns.iter().zip(line.rows.iter().flatten()) {
                out!("{column}: {cell}");
            }
            for complaint in price.complaints() {
                out!("  {complaint}");
                if name == PROMISES {
                    exit = Exit::Different;
                }
            }
            prices.push(price);
        }
    }
    if args.live.records() {
        let record = races::price_record(&prices, today(), ground.words()?);
        write(&record, &format!("race-price-{}", args.engine))?;
    }
    Ok(exit)
}
