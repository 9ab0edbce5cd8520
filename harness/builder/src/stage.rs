//! A stage while it is being built: its tree, its layers, its configuration, its arguments.

use samebuild_dockerfile::expand::{Env, Expander};
use samebuild_image::manifest::Platform;
use samebuild_image::{Digest, Layer, Tree};

use crate::cache::base::Ground;
use crate::cache::unread::Unread;
use crate::config::Config;
use crate::dialect::Dialect;
use crate::failure::StepFailure;
use crate::history::{self, Line};
use crate::rootfs::Rootfs;

/// Names that may be given as build arguments without an ARG, in either case.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// One stage.
#[derive(Clone)]
pub struct Stage {
    /// Its place in the Dockerfile, from 0.
    pub index: usize,
    pub tree: Tree,
    pub rootfs: Rootfs,
    /// The base's layers and then the new ones.
    pub layers: Vec<Layer>,
    pub base_layers: usize,
    /// The base's history as it was written.
    pub base_history: Vec<serde_json::Value>,
    pub base_name: Option<String>,
    /// The base's configuration outside `config` and `history`: architecture, os, …
    pub platform: serde_json::Map<String, serde_json::Value>,
    /// The base's configuration as it was written.
    pub base_config: Option<serde_json::Map<String, serde_json::Value>>,
    pub config: Config,
    pub history: Vec<history::Entry>,
    pub args: Args,
    /// What its snapshots know, where there are any.
    pub unpacked: crate::unpacked::Root,
    /// Whether CMD stands in this stage.
    pub cmd_set: bool,
    /// What its files are known by, where a cache is asked; see `cache`.
    pub(crate) ground: Option<Ground>,
    /// What of its files has not been looked at yet.
    pub(crate) unread: Unread,
    /// What its instructions left for keys by other rules than ours.
    pub(crate) written: Vec<String>,
    /// The line that the step under way has written, and whether it made no layer.
    pub(crate) told: Option<(Line, bool)>,
    /// What the last step would have run and how it came into being, for `container_config`.
    pub last: Option<LastStep>,
}

/// The last step, as Docker's own schema remembers it.
#[derive(Debug, Clone)]
pub struct LastStep {
    pub command: Vec<String>,
    /// The configuration then; RUN and COPY leave it as it was.
    pub config: Config,
    /// Whether a container was created from the configuration: it has a host name and labels, and a clean working directory.
    pub created_container: bool,
    /// Whether there was an image below.
    pub had_parent: bool,
}

/// ARG values a stage can see.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// In the order of their declarations, a name as often as it was declared.
    pub declared: Vec<(String, Option<String>)>,
    /// From the stage this one starts from.
    pub inherited: Vec<(String, String)>,
    /// Names that ARG declared after ENV had set them, where that counts.
    pub over_env: std::collections::BTreeSet<String>,
    /// `--build-arg`s that need no declaration.
    pub proxies: Vec<(String, String)>,
}

impl Args {
    /// With the proxy settings among the build arguments.
    pub fn with_proxies(build_args: &std::collections::BTreeMap<String, String>) -> Self {
        let proxies = build_args.iter().filter(|(name, _)| PROXIES.contains(&name.to_uppercase().as_str()));
        Self { proxies: proxies.map(|(k, v)| (k.clone(), v.clone())).collect(), ..Self::default() }
    }

    /// The value of a declared or inherited argument; the last declaration that has one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        let declared = self.declared.iter().rev().find(|(key, value)| key == name && value.is_some());
        declared.and_then(|(_, value)| value.as_deref()).or_else(|| {
            self.inherited.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        })
    }

    /// Everything a RUN sees that is not in `env`, by name.
    pub fn for_run(&self, env: &Config) -> Vec<(String, String)> {
        let mut out = std::collections::BTreeMap::new();
        let names =
            self.declared.iter().map(|(name, _)| name).chain(self.inherited.iter().map(|(name, _)| name));
        for name in names {
            let hidden = env.get_env(name).is_some() && !self.over_env.contains(name);
            if let (Some(value), false) = (self.value(name), hidden) {
                out.insert(name.clone(), value.to_owned());
            }
        }
        for (name, value) in &self.proxies {
            if env.get_env(name).is_none() {
                out.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        out.into_iter().collect()
    }
}

/// Variables for expansion: ENV before ARG.
pub struct Variables<'s>(pub &'s Stage);

impl Env for Variables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let arg = || self.0.args.value(name);
        if self.0.args.over_env.contains(name) {
            return arg();
        }
        self.0.config.get_env(name).or_else(arg)
    }
}

impl Stage {
    /// Nothing but an empty file system.
    pub fn scratch() -> Self {
        Self {
            index: 0,
            tree: Tree::new(),
            rootfs: Rootfs::default(),
            layers: Vec::new(),
            base_layers: 0,
            base_history: Vec::new(),
            base_name: None,
            platform: serde_json::Map::new(),
            base_config: None,
            config: Config::default(),
            history: Vec::new(),
            args: Args::default(),
            unpacked: crate::unpacked::Root::default(),
            cmd_set: false,
            ground: None,
            unread: Unread::default(),
            written: Vec::new(),
            told: None,
            last: None,
        }
    }

    /// Expands a word with what the stage can see.
    pub fn word(&self, expander: &Expander, word: &str) -> Result<String, StepFailure> {
        expander.word(word, &Variables(self)).map_err(expansion_failed)
    }

    /// Expands a word that may become several.
    pub fn words(&self, expander: &Expander, word: &str) -> Result<Vec<String>, StepFailure> {
        expander.words(word, &Variables(self)).map_err(expansion_failed)
    }

    /// What the image says that it is for; `None` where it does not say.
    pub fn built_for(&self) -> Option<Platform> {
        crate::platform::stated(&self.platform)
    }

    /// Takes the layer of a step computed on the Tree.
    pub fn push_computed(&mut self, layer: Layer, tree: Tree) {
        self.rootfs.push_computed(layer.clone(), tree.clone());
        self.layers.push(layer);
        self.tree = tree;
    }

    /// Writes the step's line into the history.
    pub fn record(&mut self, dialect: &Dialect, line: &Line, empty_layer: bool) {
        let had_parent = self.base_name.is_some() || !self.history.is_empty();
        let (entry, command) = dialect.history.write(line, &self.config, empty_layer);
        self.history.push(entry);
        self.told = Some((line.clone(), empty_layer));
        let created_container = matches!(line, Line::Metadata(_) | Line::Workdir(_));
        let mut config = self.config.clone();
        if matches!(line, Line::Run { .. }) {
            config.entrypoint = None; // the command is started as it is
        }
        self.last = Some(LastStep { command, config, created_container, had_parent });
    }

    /// Identifies the file system by its layers: those of the base by diff id, new ones by their place.
    pub fn identity(layers: &[Layer]) -> Option<Digest> {
        let ids: Option<Vec<String>> =
            layers.iter().map(|layer| layer.diff_id.map(|id| id.to_string())).collect();
        ids.map(|ids| Digest::of(ids.join("\n").as_bytes()))
    }
}

fn expansion_failed(error: samebuild_dockerfile::expand::ExpandError) -> StepFailure {
    StepFailure::new(error.class.slug(), error.message).says(error.builder_message)
}
