//! How to race a pruner of your own: implement `Strategy`, give it a row, pick a race.
//!
//! This one spares what was created a second before the newest image or later. It looks sensible, and a cached rebuild, which gives an old image
//! a new name, goes straight through it.

use samebuild_store::choosers::Kind;
use samebuild_store::engine::{Answer, Call};
use samebuild_store::explore::{self, Budget};
use samebuild_store::model::Mode;
use samebuild_store::session::{Pass, Ready, Request, Session};
use samebuild_store::stage::Setting;
use samebuild_store::strategies::{Expected, Row, Strategy, steps};
use samebuild_store::{races, report};

struct SparesTheYoung {
    seconds: u32,
}

impl Strategy for SparesTheYoung {
    fn prune<'a>(&'a self, session: &'a Session, pass: Pass) -> Call<'a, ()> {
        Box::pin(async move {
            let mut victims = session.engine.list(pass.repository).await.unwrap_or_default();
            let newest = victims.iter().map(|image| image.created).max().unwrap_or(0);
            victims.retain(|image| image.created + self.seconds <= newest);
            steps::report(session, pass, &victims);
            steps::delete_by_id(session, victims).await;
        })
    }

    fn build<'a>(&'a self, session: &'a Session, request: Request) -> Call<'a, Answer<Ready>> {
        Box::pin(steps::build_and_name(session, request))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let row = Row {
        id: "spares-the-young",
        about: "delete only what is older than the newest image by a second",
        expected: Expected::CaughtIn("skaffold-9251"),
        strategy: &SparesTheYoung { seconds: 1 },
    };
    let setting = Setting { race: races::race("skaffold-9251")?, mode: Mode::Graphdriver, old: 3 };
    let outcome = explore::run(&setting, &row, Kind::Pct { depth: 2 }, 1, Budget::first_of(1000));
    print!("{}", report::text(&outcome));
    Ok(())
}
