//! The builder that only remembers: what a real one was seen doing, from `golden/**/observed/`.

use super::{Answer, Builder, Ended, Order, platform};
use crate::conform::goldens::{Goldens, Origin};

pub(super) struct Recorded<'a> {
    goldens: &'a Goldens,
}

impl<'a> Recorded<'a> {
    pub(super) fn new(goldens: &'a Goldens) -> Self {
        Self { goldens }
    }
}

impl Builder for Recorded<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        let golden = match self.goldens.find(&order.case.id, order.dialect) {
            Ok(golden) => golden.filter(|golden| golden.origin == Origin::Observed),
            Err(error) => return Answer::Broken(format!("{error:#}")),
        };
        match golden {
            Some(golden) if golden.observation.platform != platform() => Answer::Unmet(format!(
                "{} was observed on {}, and this machine is {}",
                order.dialect,
                golden.observation.platform,
                platform()
            )),
            Some(golden) => Answer::Ended(Box::new(Ended::of(golden.observation))),
            None => Answer::Unmet(format!("nobody observed {} here", order.dialect)),
        }
    }
}
