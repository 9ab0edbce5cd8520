//! An image as a record: what belongs to the run, the machine or the base image is named, masked or left out.
//! Every step is a rule about a field, with its reason; none knows a case or a builder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{Map, Value};

use crate::at::At;
use crate::content::Content;
use crate::digest::Digest;
use crate::entry::{Entry, Kind, Meta};
use crate::image::{Image, Layer};
use crate::mtime::{Epoch, Epochs, Mtime};

use super::mask;
use super::record::{BaseLine, Body, Record, Row, Stratum, What, is_printable};

/// What a case starts from: left out of its records, and what contents are recognised by.
#[derive(Clone, Debug, Default)]
pub struct Base {
    name: String,
    diff_ids: Vec<Option<Digest>>,
    history: Vec<Option<Value>>,
    files: BTreeMap<Digest, At>,
}

impl Base {
    /// No base at all.
    pub fn scratch() -> Self {
        Self { name: "scratch".to_owned(), ..Self::default() }
    }

    /// `image` under the name a Dockerfile gives it. Reads every file of it once for its digest.
    pub fn of(name: impl Into<String>, image: &Image) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        for (number, layer) in (1..).zip(&image.layers) {
            for entry in &layer.entries {
                if let Kind::File(content) = &entry.kind {
                    let digest = content.digest().map_err(|e| unreadable(number, entry, &e))?;
                    let first = files.entry(digest).or_insert_with(|| entry.at.clone());
                    if entry.at < *first {
                        *first = entry.at.clone();
                    }
                }
            }
        }
        Ok(Self {
            name: name.into(),
            diff_ids: image.layers.iter().map(|layer| layer.diff_id).collect(),
            history: image.history().iter().map(|entry| entry.get("created_by").cloned()).collect(),
            files,
        })
    }

    /// A build `FROM scratch` whose contents may still be this base's: `COPY --from=base`.
    pub fn as_source_of_scratch(&self) -> Self {
        Self { files: self.files.clone(), ..Self::scratch() }
    }

    /// How many of `image`'s layers are the base's: all or none.
    fn layers_in(&self, image: &Image) -> usize {
        let same = |(ours, layer): (&Option<Digest>, &Layer)| match (ours, layer.diff_id) {
            (Some(ours), Some(theirs)) => *ours == theirs,
            _ => true,
        };
        let all =
            image.layers.len() >= self.diff_ids.len() && self.diff_ids.iter().zip(&image.layers).all(same);
        if all { self.diff_ids.len() } else { 0 }
    }

    /// How many of `image`'s history entries are the base's: all or none.
    fn history_in(&self, image: &Image) -> usize {
        let theirs = image.history();
        let all = theirs.len() >= self.history.len()
            && self.history.iter().zip(theirs).all(|(ours, entry)| ours.as_ref() == entry.get("created_by"));
        if all { self.history.len() } else { 0 }
    }
}

/// Turns images into records.
#[derive(Clone, Debug)]
pub struct Normaliser<'a> {
    pub base: &'a Base,
    /// The named moments of the build that made the image.
    pub epochs: Epochs,
    /// Files whose content the case declares to depend on the run or the host.
    pub volatile: &'a BTreeSet<At>,
    /// Whether to promise the digests of layers in which nothing depends on the run.
    pub diff_ids: bool,
}

impl Normaliser<'_> {
    /// The record of `image`. Reads each new file once; an error names the layer and the path.
    pub fn record(&self, image: &Image) -> io::Result<Record> {
        let below = self.base.layers_in(image);
        let layers = (below + 1..)
            .zip(&image.layers[below..])
            .map(|(number, layer)| self.stratum(number, layer))
            .collect::<io::Result<_>>()?;
        let mut config = image.runtime().cloned().unwrap_or_default();
        mask_container(&mut config);
        let below_history = self.base.history_in(image);
        let history = image.history()[below_history..].iter().map(|entry| self.history(entry)).collect();
        let base =
            BaseLine { name: self.base.name.clone(), layers: u32::try_from(below).unwrap_or(u32::MAX) };
        Ok(Record { base, layers, config, top: self.top(image), history })
    }

    fn stratum(&self, number: usize, layer: &Layer) -> io::Result<Stratum> {
        let row = |entry| self.row(entry).map_err(|e| unreadable(number, entry, &e));
        let rows = layer.entries.iter().map(row).collect::<io::Result<_>>()?;
        let stratum = Stratum { diff_id: None, rows };
        let promised = self.diff_ids && stratum.is_stable();
        Ok(Stratum { diff_id: layer.diff_id.filter(|_| promised), ..stratum })
    }

    fn row(&self, entry: &Entry) -> io::Result<Row> {
        let what = match &entry.kind {
            Kind::File(_) if self.volatile.contains(&entry.at) => What::File(Body::Volatile),
            Kind::File(content) => What::File(self.body(content)?),
            Kind::Dir => What::Dir,
            Kind::Symlink(target) => What::Symlink(target.clone()),
            Kind::Hardlink(target) => What::Hardlink(target.clone()),
            Kind::Char { major, minor } => What::Char { major: *major, minor: *minor },
            Kind::Block { major, minor } => What::Block { major: *major, minor: *minor },
            Kind::Fifo => What::Fifo,
        };
        let mtime = self.epochs.name(entry.meta.mtime);
        Ok(Row { path: entry.path(), what, meta: Meta { mtime, ..entry.meta.clone() } })
    }

    /// Short texts as they are, because a person reads them; else by the base's file, because its bytes may be
    /// another busybox on another machine; else by digest.
    fn body(&self, content: &Content) -> io::Result<Body> {
        if content.has_bytes()
            && let Some(bytes) = content.read_up_to(Body::TEXT_MAX)?
            && let Ok(text) = String::from_utf8(bytes)
            && is_printable(&text)
        {
            return Ok(Body::Text(text));
        }
        let digest = content.digest()?;
        Ok(match self.base.files.get(&digest) {
            Some(at) => Body::Base(at.clone()),
            None => Body::Sha256 { size: content.size(), digest },
        })
    }

    /// The fields beside `config`, but:
    /// `rootfs` repeats the layers; `history` and `config` have their own sections;
    /// `created` is the clock, unless it was told the time; `id`, `parent` and `container` are ids of this engine's store.
    fn top(&self, image: &Image) -> Map<String, Value> {
        let mut top = image.config.clone();
        self.mask_created(&mut top);
        for field in ["rootfs", "id", "parent", "container"] {
            top.shift_remove(field);
        }
        for (field, shown) in
            [("config", image.runtime().is_some()), ("history", !image.history().is_empty())]
        {
            if shown {
                top.shift_remove(field);
            }
        }
        // The golden's `builder` says which version; a patch release that changes nothing else must not turn it red.
        mask_text(top.get_mut("docker_version"), |_| Some("<version>".to_owned()));
        if let Some(container) = top.get_mut("container_config").and_then(Value::as_object_mut) {
            mask_container(container);
            // `COPY file:<hash>`: see `mask::copied`. The last instruction stands here as a command.
            for argument in container.get_mut("Cmd").and_then(Value::as_array_mut).into_iter().flatten() {
                mask_text(Some(argument), |text| Some(mask::told(text)));
            }
        }
        // Build records name the base and the sources by digest.
        for (_, value) in top.iter_mut().filter(|(field, _)| *field != "container_config") {
            mask_text(Some(value), |text| Some(mask::digests(text)));
        }
        top
    }

    fn history(&self, entry: &Value) -> Map<String, Value> {
        let Some(entry) = entry.as_object() else {
            return Map::from_iter([("<not an object>".to_owned(), entry.clone())]);
        };
        let mut entry = entry.clone();
        self.mask_created(&mut entry);
        mask_text(entry.get_mut("created_by"), |text| Some(mask::told(text)));
        // A squashed image's comment names the layers it merged.
        mask_text(entry.get_mut("comment"), |text| Some(mask::digests(text)));
        entry
    }

    /// `created` is the clock, which is left out, or what SOURCE_DATE_EPOCH said.
    fn mask_created(&self, fields: &mut Map<String, Value>) {
        let said = fields.get("created").and_then(Value::as_str).and_then(|text| text.parse::<Mtime>().ok());
        match said.map(|time| self.epochs.name(time)) {
            Some(named @ Mtime::Named(Epoch::SourceDate)) => {
                fields.insert("created".to_owned(), Value::String(named.to_string()));
            }
            _ => drop(fields.shift_remove("created")),
        }
    }
}

fn unreadable(number: usize, entry: &Entry, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("read {} in layer {number}: {error}", entry.at))
}

/// The parts of `config` and `container_config` that the engine's store and clock decide.
fn mask_container(config: &mut Map<String, Value>) {
    // The image a classic build's last container ran from: an intermediate image of this engine.
    mask_text(config.get_mut("Image"), |text| mask::is_id(text).then(|| "<id>".to_owned()));
    // A container that nobody named is called after its id.
    mask_text(config.get_mut("Hostname"), |text| {
        mask::is_container_hostname(text).then(|| "<id>".to_owned())
    });
}

fn mask_text(value: Option<&mut Value>, mask: impl Fn(&str) -> Option<String>) {
    if let Some(Value::String(text)) = value
        && let Some(masked) = mask(text)
    {
        *text = masked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "cf983b89e4fdb9856cb682f022744232c68f3ae9643f77a7dfc1b76780f6e33b";

    fn file(path: &str, bytes: &[u8], secs: i64) -> Entry {
        Entry::new(At::from(path), Kind::File(Content::inline(bytes)), Meta::new(0o644, Mtime::secs(secs)))
    }

    fn image(layers: Vec<(&[u8], Vec<Entry>)>, config: &str) -> Image {
        let layer =
            |(id, entries): (&[u8], _)| Layer { diff_id: Some(Digest::of(id)), entries, ..Layer::default() };
        let config = serde_json::from_str(&config.replace("HASH", HASH)).unwrap();
        Image { config, layers: layers.into_iter().map(layer).collect(), ..Image::default() }
    }

    fn base() -> Image {
        let tools =
            vec![file("bin/tool", &[0; 300], 5), file("bin/again", &[0; 300], 5), file("etc/x", b"x\n", 5)];
        image(vec![(b"base", tools)], r#"{"history":[{"created_by":"base"}]}"#)
    }

    fn record(base: &Base, image: &Image, volatile: &[&str]) -> Record {
        let volatile = volatile.iter().map(|path| At::from(*path)).collect();
        let epochs = Epochs { base: Some(5), now: Some((90, 110)), ..Epochs::default() };
        Normaliser { base, epochs, volatile: &volatile, diff_ids: true }.record(image).unwrap()
    }

    fn with_new_layer(entries: Vec<Entry>) -> Image {
        let mut image = base();
        image.layers.push(Layer { diff_id: Some(Digest::of(b"new")), entries, ..Layer::default() });
        image
    }

    #[test]
    fn the_base_is_left_out_and_its_files_are_known_by_their_first_name() {
        let base = Base::of("samebuild.test/base:1", &base()).unwrap();
        let built = with_new_layer(vec![file("copy", &[0; 300], 5), file("text", b"x\n", 5)]);
        let record = record(&base, &built, &[]);
        assert_eq!(record.base, BaseLine { name: "samebuild.test/base:1".to_owned(), layers: 1 });
        assert_eq!(record.layers[0].diff_id, Some(Digest::of(b"new")));
        assert_eq!(record.layers[0].rows[0].what, What::File(Body::Base(At::from("bin/again"))));
        assert_eq!(record.layers[0].rows[1].what, What::File(Body::Text("x\n".to_owned())));
        assert_eq!(record.history.len(), 0);
    }

    #[test]
    fn an_image_that_does_not_stand_on_the_base_is_shown_whole() {
        let other =
            image(vec![(b"other", vec![file("a", b"a", 5)])], r#"{"history":[{"created_by":"own"}]}"#);
        let record = record(&Base::of("b", &base()).unwrap(), &other, &[]);
        assert_eq!((record.base.layers, record.layers.len(), record.history.len()), (0, 1, 1));
    }

    #[test]
    fn a_layer_with_now_or_volatile_content_promises_no_digest() {
        let base = Base::of("b", &base()).unwrap();
        let now = record(&base, &with_new_layer(vec![file("a", b"a", 100)]), &[]);
        assert_eq!(now.layers[0].rows[0].meta.mtime, Mtime::Named(Epoch::Now));
        assert_eq!(now.layers[0].diff_id, None);
        let masked = record(&base, &with_new_layer(vec![file("a", b"a", 5)]), &["a"]);
        assert_eq!(masked.layers[0].rows[0].what, What::File(Body::Volatile));
        assert_eq!(masked.layers[0].diff_id, None);
    }

    #[test]
    fn ids_and_clocks_are_masked_and_everything_else_stays() {
        let image = image(
            vec![],
            r##"{"architecture":"amd64","created":"2024-01-01T00:00:00Z","id":"HASH","container":"HASH","parent":"HASH",
                "docker_version":"20.10.24+dfsg1","rootfs":{},
                "config":{"Image":"sha256:HASH","Hostname":"0123456789ab","Cmd":["file:HASH"],"Env":["D=sha256:HASH"]},
                "container_config":{"Image":"","Hostname":"box","Cmd":["/bin/sh","-c","#(nop) ADD multi:HASH in /d "]},
                "history":[{"created":"2024-01-01T00:00:00Z","created_by":"COPY file:HASH in /a ","comment":"merge sha256:HASH"}]}"##,
        );
        let record = record(&Base::scratch(), &image, &[]);
        let expected = r##"{"config":{"Image":"<id>","Hostname":"<id>","Cmd":["file:HASH"],"Env":["D=sha256:HASH"]},
            "top":{"architecture":"amd64","docker_version":"<version>",
                "container_config":{"Image":"","Hostname":"box","Cmd":["/bin/sh","-c","#(nop) ADD multi:<id> in /d "]}},
            "history":[{"created_by":"COPY file:<id> in /a ","comment":"merge <digest>"}]}"##;
        let expected: Value = serde_json::from_str(&expected.replace("HASH", HASH)).unwrap();
        assert_eq!(expected["config"], Value::Object(record.config));
        assert_eq!(expected["top"], Value::Object(record.top));
        assert_eq!(expected["history"][0], Value::Object(record.history[0].clone()));
    }

    #[test]
    fn content_that_cannot_be_read_is_an_error_with_layer_and_path() {
        let lost = Content::lazy(std::sync::Arc::new(crate::source::Bytes::new(*b"abc")), 0, 9);
        let entry = Entry::new(At::from("a/b"), Kind::File(lost), Meta::new(0o644, Mtime::secs(1)));
        let image = image(vec![(b"l", vec![entry])], "{}");
        let (base, volatile) = (Base::scratch(), BTreeSet::new());
        let normaliser =
            Normaliser { base: &base, epochs: Epochs::default(), volatile: &volatile, diff_ids: false };
        let error = normaliser.record(&image).unwrap_err();
        assert!(error.to_string().starts_with("read /a/b in layer 1: "), "{error}");
    }
}
