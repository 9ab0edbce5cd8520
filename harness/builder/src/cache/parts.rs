//! What the result of each instruction depends on: the parts of its key. Words as they are after expansion, the environment
//! and the arguments as the step sees them, the files it uses, what it stands on, and every decision of the dialect. What
//! only the history and the configuration show is no part: a step that is taken from the cache writes its line anew.
//!
//! Whatever cannot be told here has no key, and is carried out; if it is a mistake, carrying it out says so.

use samebuild_dockerfile::ignore::IgnoreFile;
use samebuild_dockerfile::mount::MountType;
use samebuild_dockerfile::plan::Origin;
use samebuild_dockerfile::{
    AddInstruction, CopyInstruction, Instruction, InstructionKind, RunInstruction, Transfer, Word,
};

use super::Times;
use super::files::{self, Listing, Sees};
use super::key::Parts;
use crate::dialect::Dialect;
use crate::request::Network;
use crate::sandbox;
use crate::session::Session;
use crate::stage::Stage;
use crate::stamp::SourceDateEpoch;
use crate::steps::copy::{Copy, Writing};
use crate::steps::run::{command, history_args, started};
use crate::steps::transfer::{self, Add, From, sources};

/// The parts of an instruction's key. `Err` says why it has none; `for_people` lists the files one by one.
pub fn of(
    stage: &Stage,
    session: &Session<'_>,
    node: &Instruction,
    for_people: bool,
) -> Result<Parts, String> {
    let ground = stage.ground.as_ref().ok_or("it is not known what it stands on")?;
    let mut parts = Parts::default();
    parts.add_list("decision", decisions(session.dialect));
    parts.add("standing on", ground.text());
    parts.add("for", stage.built_for().map_or_else(String::new, |platform| platform.to_string()));
    let how = How { stage, session, for_people };
    match &node.kind {
        InstructionKind::Run(run) => how.run(run, &mut parts)?,
        InstructionKind::Copy(copy) => how.copy(copy, &mut parts)?,
        InstructionKind::Add(add) => how.add(add, &mut parts)?,
        InstructionKind::Workdir(word) => how.workdir(word, &mut parts)?,
        _ => return Err("it changes no files".to_owned()),
    }
    Ok(parts)
}

/// Whether results of such an instruction are kept at all.
pub fn is_kept(node: &Instruction) -> bool {
    use InstructionKind::{Add, Copy, Run, Workdir};
    matches!(node.kind, Run(_) | Copy(_) | Add(_) | Workdir(_))
}

/// Every decision but those on how the history is told.
fn decisions(dialect: &Dialect) -> impl Iterator<Item = String> {
    let choices = dialect.choices().into_iter().filter(|choice| choice.room != "history");
    choices.map(|choice| format!("{}={}", choice.name(), choice.variant))
}

struct How<'h> {
    stage: &'h Stage,
    session: &'h Session<'h>,
    for_people: bool,
}

impl How<'_> {
    fn word(&self, word: &Word) -> Result<String, String> {
        self.stage.word(&self.session.expander, &word.text).map_err(|failure| failure.message)
    }

    fn words<'w>(&self, words: impl IntoIterator<Item = &'w Word>) -> Result<Vec<String>, String> {
        words.into_iter().map(|word| self.word(word)).collect()
    }

    fn listing(&self, owners: bool) -> Listing {
        let (times, now) = (self.session.times() == Times::Kept, self.session.now());
        Listing::new(Sees { times, owners, now }, self.for_people)
    }

    fn run(&self, run: &RunInstruction, parts: &mut Parts) -> Result<(), String> {
        let Self { stage, session, .. } = self;
        let request = session.request;
        let (command, script) = command(stage, session, run);
        let command = started(stage, session, command).map_err(|failure| failure.message)?;
        parts.add("instruction", "RUN");
        parts.add_list("command", command);
        parts.add_list("script", script.iter().flat_map(|(path, text)| [path, text]));
        parts.add_list("environment", stage.config.env.iter().map(|(name, value)| format!("{name}={value}")));
        let args = stage.args.for_run(&stage.config);
        parts.add_list("argument", args.iter().map(|(name, value)| format!("{name}={value}")));
        // What is told of them stands in the history.
        parts.add_list("argument told", history_args(stage, session).unwrap_or_default());
        parts.add("user", stage.config.user.as_str());
        parts.add("working directory", stage.config.working_dir.as_str());
        parts.add_list("volume", &stage.config.volumes);
        let network = run.network.as_ref().map_or("default", |word| word.text.as_str());
        parts.add("network", format!("{network} of {}", host_network(request.network)));
        parts.add("sandbox", if sandbox::standing().is_root() { "root" } else { "user namespace" });
        parts.add("snapshotter", request.snapshotter.map_or("none", |snapshotter| snapshotter.name));
        parts.add("trust", format!("{:?}", request.trust));
        for flag in &run.mounts {
            self.mount(flag, parts)?;
        }
        Ok(())
    }

    /// A mount counts by what it is; what is in it only where it can be in nothing but the key: not what is in a cache, and
    /// never a secret.
    fn mount(&self, flag: &samebuild_dockerfile::mount::MountFlag, parts: &mut Parts) -> Result<(), String> {
        let Self { stage, session, .. } = self;
        let expand = |word: &str| stage.word(&session.expander, word);
        let mount = flag.resolve(&session.dialect.syntax, expand).map_err(|failure| failure.message)?;
        parts.add("mount", format!("{mount:?}"));
        match (mount.kind, &mount.from) {
            (MountType::Bind | MountType::Cache, Some(from)) => {
                let word = Word { text: from.clone(), span: Default::default() };
                parts.add("mounted from", self.named(stage.index, &word)?);
            }
            (MountType::Bind, None) => {
                let context = &session.context;
                let at = context.resolve(&mount.source, true).map_err(|error| error.to_string())?;
                let mut listing = self.listing(true);
                listing.within(context, &at, |_, _| true).map_err(|error| error.to_string())?;
                let (digest, lines) = listing.finish();
                parts.add_taken("mounted file", digest, lines);
            }
            (MountType::Secret, _) => {
                let id = crate::steps::mounts::secret_id(&mount);
                let given = session.request.secrets.contains_key(&id);
                parts.add("secret", format!("{id} {}", if given { "given" } else { "not given" }));
            }
            (MountType::Cache | MountType::Tmpfs, _) => {}
            (MountType::Ssh, _) => return Err("it mounts an agent".to_owned()),
        }
        Ok(())
    }

    fn workdir(&self, word: &Word, parts: &mut Parts) -> Result<(), String> {
        let config = &self.stage.config;
        parts.add("instruction", "WORKDIR");
        parts.add("path", self.word(word)?);
        parts.add("working directory", config.working_dir.as_str());
        parts.add("user", config.user.as_str());
        let dates = self.session.dialect.image.source_date_epoch == SourceDateEpoch::DatesImageAndWorkdir;
        let epoch = self.session.stamp.epoch().filter(|_| dates);
        parts.add("dated", epoch.map_or_else(String::new, |epoch| epoch.to_string()));
        Ok(())
    }

    fn copy(&self, copy: &CopyInstruction, parts: &mut Parts) -> Result<(), String> {
        parts.add("instruction", "COPY");
        parts.add("parents", if copy.parents { "kept" } else { "" });
        let Some(from) = &copy.from else {
            let how = From::Tree { tree: None, parents: copy.parents };
            return self.transfer(&copy.transfer, &how, parts);
        };
        parts.add("copied from", self.named(self.stage.index, from)?);
        parts.add_list("source", self.words(copy.transfer.paths())?);
        self.flags(&copy.transfer, parts)
    }

    fn add(&self, add: &AddInstruction, parts: &mut Parts) -> Result<(), String> {
        let (stage, session) = (self.stage, self.session);
        let checksum = transfer::checksum(stage, session, add).map_err(|failure| failure.message)?;
        parts.add("instruction", "ADD");
        parts.add("checksum", checksum.map_or_else(String::new, |digest| digest.to_string()));
        let how = From::Anywhere(Add { unpack: add.unpack, checksum });
        self.transfer(&add.transfer, &how, parts)
    }

    fn flags(&self, transfer: &Transfer, parts: &mut Parts) -> Result<(), String> {
        let optional =
            |word: &Option<Word>| word.as_ref().map_or_else(|| Ok(String::new()), |word| self.word(word));
        parts.add("destination", self.word(&transfer.destination)?);
        parts.add("working directory", self.stage.config.working_dir.as_str());
        parts.add("chown", optional(&transfer.chown)?);
        let as_written = transfer.chmod.as_ref().map_or("", |word| word.text.as_str());
        parts.add_list("chmod", [as_written, &optional(&transfer.chmod)?]);
        parts.add_list("exclude", transfer.exclude.iter().map(|word| &word.text));
        parts.add("link", if transfer.link { "own layer" } else { "" });
        Ok(())
    }

    /// What is copied out of the context, out of the Dockerfile itself, or from behind a URL.
    fn transfer(&self, transfer: &Transfer, how: &From, parts: &mut Parts) -> Result<(), String> {
        let (stage, session) = (self.stage, self.session);
        self.flags(transfer, parts)?;
        let dest = self.word(&transfer.destination)?;
        let said = |failure: crate::failure::StepFailure| failure.message;
        let sources = sources(stage, session, transfer, &dest, how).map_err(said)?;
        let exclude = transfer.exclude.iter().map(|word| word.text.as_str());
        let exclude = IgnoreFile::of(exclude, &session.dialect.syntax).map_err(|error| error.to_string())?;
        parts.add_list("source", &sources.shown);
        let kept_parents = matches!(how, From::Tree { parents: true, .. });
        for part in &sources.parts {
            let spool = || Err(crate::failure::StepFailure::new("no-scratch", "a key needs none"));
            let copy = Copy {
                patterns: &part.patterns,
                several: sources.parts.len() > 1,
                from: part.tree.as_ref().unwrap_or(&session.context),
                whole: part.tree.is_none().then_some(session.request.context),
                from_context: true,
                nameless: part.nameless,
                dest: &dest,
                workdir: &stage.config.working_dir,
                owner: None,
                mode: None,
                exclude: &exclude,
                unpack: part.unpack,
                literal: part.tree.is_some(),
                parents: kept_parents && part.tree.is_none(),
                syntax: &session.dialect.syntax,
                spool: &spool,
                rules: &session.dialect.copy,
            };
            let mut listing = self.listing(session.dialect.copy.writing == Writing::Anew);
            listing.word(if part.unpack { b"unpacked" } else { b"as it is" });
            listing.word(if part.nameless { b"nameless" } else { b"named" });
            files::taken(&copy, &mut listing)?;
            let (digest, lines) = listing.finish();
            parts.add_taken(if part.is_fetched { "fetched" } else { "file" }, digest, lines);
        }
        Ok(())
    }

    /// What stands behind a name that is a stage or an image.
    fn named(&self, index: usize, from: &Word) -> Result<String, String> {
        let session = self.session;
        let origin = session
            .dockerfile
            .copy_origin(index, from, &session.dialect.syntax)
            .map_err(|error| error.message.clone())?;
        let unknown = || "it is not known what it copies from".to_owned();
        match origin {
            Origin::Scratch => Ok("nothing".to_owned()),
            Origin::Stage(index) => match session.done.get(&index) {
                Some(stage) => {
                    stage.ground.as_ref().map(|ground| ground.text().to_owned()).ok_or_else(unknown)
                }
                None => Err(unknown()),
            },
            Origin::Image(name) => {
                let ground = session.ground_of(&name).ok_or_else(unknown)?;
                Ok(ground.text().to_owned())
            }
        }
    }
}

fn host_network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Host => "host",
    }
}
