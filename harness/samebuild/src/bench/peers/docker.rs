//! The builders inside an engine of ours, by `docker build`, as a person would: from the start of the client to its end,
//! as ours is measured from the start of the program to its end. The processor's time is the daemon's and the client's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Means, Peer};
use crate::bench::cost::{Cost, cpu_of_children, cpu_of_tree};
use crate::engines::{BuildOutcome, Builder, ClientBuild, Engine, Network};

const TAG: &str = "samebuild.test/bench:1";
const DEADLINE: Duration = Duration::from_secs(1800);

struct Docker<'a> {
    engine: &'a Engine,
    builder: Builder,
    dialect: &'a str,
    /// The engine's first process.
    root: u32,
}

pub(super) fn open<'a>(means: &'a Means<'a>, builder: Builder) -> Result<Box<dyn Peer + 'a>, String> {
    let engine = means.engine.ok_or("no engine was asked for; --engine docker-26.1 starts one")?;
    let root = engine.root_process().ok_or("only an engine of our own can be measured, not the host's")?;
    let dialect = means.dialects.iter().find(|(id, _)| id == builder.name());
    let (_, dialect) = dialect.ok_or_else(|| format!("{} has no {}", engine.name(), builder.name()))?;
    if !engine.has_client() {
        return Err(format!("{} came without a client", engine.name()));
    }
    engine.load_base(&means.base.reference, &means.base.archive).map_err(|error| error.to_string())?;
    Ok(Box::new(Docker { engine, builder, dialect, root }))
}

impl Peer for Docker<'_> {
    fn id(&self) -> &'static str {
        self.builder.name()
    }

    fn dialect(&self) -> Option<&str> {
        Some(self.dialect)
    }

    fn build(&self, context: &Path) -> Result<Cost> {
        self.engine.prune_build_cache()?;
        let cost = self.once(context)?;
        self.engine.remove(TAG)?;
        Ok(cost)
    }

    /// The image stays: classic finds nothing else.
    fn rebuild(&self, context: &Path) -> Option<Result<Cost>> {
        Some(self.once(context))
    }
}

impl Docker<'_> {
    fn once(&self, context: &Path) -> Result<Cost> {
        let build = ClientBuild {
            context,
            file: None,
            flags: &[],
            secrets: Vec::new(),
            builder: self.builder,
            build_args: &BTreeMap::new(),
            target: None,
            platform: None,
            network: Network::None,
            tag: TAG,
            deadline: DEADLINE,
        };
        let cpu = || {
            let daemon = cpu_of_tree(self.root).context("ask what the engine's processes have cost")?;
            anyhow::Ok(daemon + cpu_of_children()?)
        };
        let (before, begun) = (cpu()?, Instant::now());
        let outcome = self.engine.build_with_client(&build)?;
        let (wall, after) = (begun.elapsed(), cpu()?);
        if let BuildOutcome::Failed { message, .. } = outcome {
            bail!("{message}");
        }
        let cpu_s = after.saturating_sub(before).as_secs_f64();
        Ok(Cost { wall_s: wall.as_secs_f64(), cpu_s, peak_mb: None })
    }
}
