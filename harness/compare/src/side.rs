//! One side of a comparison: an image or a record, brought into the one form that the rules look at. Borrowed, not
//! copied; no content is read here.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use samebuild_image::envelope::Envelope;
use samebuild_image::golden::{Body, Record, Row, Stratum, What, word};
use samebuild_image::layer_walk::Forms;
use samebuild_image::{
    At, Compression, Content, Digest, Entry, Epochs, Image, Kind, Layer, Meta, Mtime, Stored, StoredLayer,
};
use serde_json::{Map, Value};

use crate::sieve::Twin;
pub use crate::stuff::Stuff;

/// An image or a record.
#[derive(Debug)]
pub struct Side<'a> {
    pub layers: Vec<SideLayer<'a>>,
    /// How many layers lie below these and are not compared: a record's base.
    pub below: u32,
    /// Those layers, where they are at hand; only the flattened file system knows them.
    pub base: Vec<SideLayer<'a>>,
    /// The `config` object.
    pub config: Cow<'a, Map<String, Value>>,
    /// The other fields, without `config`, `history` and `rootfs`.
    pub top: Cow<'a, Map<String, Value>>,
    pub history: Vec<Cow<'a, Map<String, Value>>>,
    /// Whether something unknown lies below the first layer.
    pub partial: bool,
    /// What is around a stored image, where it has a manifest.
    pub manifest: Option<&'a Envelope>,
    /// What Docker calls the image's id, of a stored image.
    pub config_digest: Option<Digest>,
}

/// A layer.
#[derive(Debug)]
pub struct SideLayer<'a> {
    pub diff_id: Option<Digest>,
    /// Its entries; of one that was sifted, those that the other side's has not or has differently.
    pub items: Vec<Item<'a>>,
    /// The rest, of one that was sifted.
    pub sifted: Option<SiftedItems<'a>>,
    /// How many entries it has in all.
    pub count: usize,
    /// How it is stored, where it is.
    pub packed: Option<Packed>,
}

/// What is known of the entries that were settled before the rules.
#[derive(Debug, Default)]
pub struct SiftedItems<'a> {
    /// The number in the tar of each of the layer's items.
    pub numbers: Vec<u32>,
    /// Entries that both sides have: the number in this tar, and the entry. Only those that bear on differences.
    pub settled: Vec<(u32, &'a Item<'a>)>,
    /// Places that both sides have, in this tar's order; nothing where both have them in the same.
    pub common: Vec<&'a At>,
    /// The forms of the tar's headers, of a layer that was opened.
    pub forms: Option<&'a Forms>,
}

/// How a layer is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    pub compression: Option<Compression>,
    pub blob: Option<Digest>,
    /// Stored bytes.
    pub size: Option<u64>,
    pub media_type: Option<String>,
}

/// An entry.
#[derive(Debug)]
pub struct Item<'a> {
    pub at: Cow<'a, At>,
    /// The path as it stands in the tar, where it is not in the usual form.
    pub form: Option<&'a [u8]>,
    pub thing: Thing<'a>,
    pub meta: Cow<'a, Meta>,
    /// Named, where the moment has a name.
    pub mtime: Mtime,
    pub origin: Origin<'a>,
    /// What it was held against already.
    pub twin: Option<Twin>,
    /// Whether its layer had its place before, where that was looked at.
    pub again: bool,
}

/// What an item was made from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// A record's row.
    Elsewhere,
    /// A directory that no entry made.
    Implied,
    /// An entry of an image.
    Entry(&'a Entry),
    /// An entry that is shared already.
    Shared(&'a Arc<Entry>),
}

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub enum Thing<'a> {
    File(Stuff<'a>),
    Dir,
    Symlink(&'a [u8]),
    Hardlink(&'a At),
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

impl<'a> Side<'a> {
    /// An image with all its layers.
    pub fn of_image(image: &'a Image, epochs: &Epochs) -> Self {
        Self { layers: layers_of(image, epochs), ..Self::framed(&image.config) }
    }

    /// A stored image; its layers are empty so far.
    pub fn of_stored(stored: &'a Stored) -> Self {
        let layer = |layer: &StoredLayer| SideLayer {
            diff_id: layer.diff_id,
            items: Vec::new(),
            sifted: Some(SiftedItems::default()),
            count: 0,
            packed: Some(crate::stored::packed(layer)),
        };
        Self {
            layers: stored.layers.iter().map(layer).collect(),
            manifest: stored.manifest.as_ref(),
            config_digest: Some(stored.config_digest),
            ..Self::framed(&stored.config)
        }
    }

    /// What the configuration says.
    fn framed(config: &'a Map<String, Value>) -> Self {
        let runtime = config.get("config").and_then(Value::as_object);
        let history = config.get("history").and_then(Value::as_array);
        let mut top = config.clone();
        for (field, elsewhere) in
            [("config", runtime.is_some()), ("history", history.is_some()), ("rootfs", true)]
        {
            if elsewhere {
                top.shift_remove(field);
            }
        }
        Self {
            layers: Vec::new(),
            below: 0,
            base: Vec::new(),
            config: runtime.map_or_else(Cow::default, Cow::Borrowed),
            top: Cow::Owned(top),
            history: history.into_iter().flatten().map(history_entry).collect(),
            partial: false,
            manifest: None,
            config_digest: None,
        }
    }

    /// A record: the new layers of an image. `base` is what it stands on, if that is at hand.
    pub fn of_record(record: &'a Record, base: Option<&'a Image>, epochs: &Epochs) -> Self {
        let below = record.base.layers;
        let standing = base.filter(|base| below > 0 && base.layers.len() == below as usize);
        let layer = |layer: &'a Stratum| SideLayer {
            diff_id: layer.diff_id,
            items: layer.rows.iter().map(|row| item_of_row(row, base, epochs)).collect(),
            sifted: None,
            count: layer.rows.len(),
            packed: None,
        };
        Self {
            layers: record.layers.iter().map(layer).collect(),
            below,
            base: standing.map_or_else(Vec::new, |base| layers_of(base, epochs)),
            config: Cow::Borrowed(&record.config),
            top: Cow::Borrowed(&record.top),
            history: record.history.iter().map(Cow::Borrowed).collect(),
            partial: below > 0 && standing.is_none(),
            manifest: None,
            config_digest: None,
        }
    }

    /// The history entry of each layer, where the history says which are empty and the counts agree.
    pub fn instructions(&self) -> Option<Vec<&str>> {
        let filled =
            |entry: &&Cow<'_, Map<String, Value>>| entry.get("empty_layer") != Some(&Value::Bool(true));
        let texts: Vec<&str> = self
            .history
            .iter()
            .filter(filled)
            .map(|entry| entry.get("created_by").and_then(Value::as_str).unwrap_or(""))
            .collect();
        (texts.len() == self.layers.len()).then_some(texts)
    }
}

fn layers_of<'a>(image: &'a Image, epochs: &Epochs) -> Vec<SideLayer<'a>> {
    let layer = |layer: &'a Layer| SideLayer {
        diff_id: layer.diff_id,
        items: layer.entries.iter().map(|entry| item_of_entry(entry, epochs)).collect(),
        sifted: None,
        count: layer.entries.len(),
        packed: None,
    };
    image.layers.iter().map(layer).collect()
}

impl<'a> SideLayer<'a> {
    /// The forms of the tar's headers, where they were looked at.
    pub fn forms(&self) -> Option<&'a Forms> {
        self.sifted.as_ref().and_then(|sifted| sifted.forms)
    }

    /// Every entry that is known, in the order of the tar.
    pub fn in_order(&self) -> Vec<&Item<'a>> {
        let Some(sifted) = &self.sifted else { return self.items.iter().collect() };
        let own = sifted.numbers.iter().copied().zip(&self.items);
        let mut all: Vec<(u32, &Item<'a>)> = own.chain(sifted.settled.iter().copied()).collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, item)| item).collect()
    }
}

/// The file at exactly this place in one of the layers of `image`, the highest first.
fn file_in<'a>(image: &'a Image, at: &At) -> Option<&'a Content> {
    let entries = image.layers.iter().rev().flat_map(|layer| &layer.entries);
    entries.filter(|entry| entry.at == *at).find_map(|entry| match &entry.kind {
        Kind::File(content) => Some(content),
        _ => None,
    })
}

fn history_entry(entry: &Value) -> Cow<'_, Map<String, Value>> {
    match entry.as_object() {
        Some(fields) => Cow::Borrowed(fields),
        None => Cow::Owned(Map::from_iter([("<not an object>".to_owned(), entry.clone())])),
    }
}

pub(crate) fn item_of_entry<'a>(entry: &'a Entry, epochs: &Epochs) -> Item<'a> {
    let thing = match &entry.kind {
        Kind::File(content) => Thing::File(Stuff::Content(content)),
        Kind::Dir => Thing::Dir,
        Kind::Symlink(target) => Thing::Symlink(target),
        Kind::Hardlink(target) => Thing::Hardlink(target),
        Kind::Char { major, minor } => Thing::Char { major: *major, minor: *minor },
        Kind::Block { major, minor } => Thing::Block { major: *major, minor: *minor },
        Kind::Fifo => Thing::Fifo,
    };
    Item {
        at: Cow::Borrowed(&entry.at),
        form: entry.raw.as_deref(),
        thing,
        meta: Cow::Borrowed(&entry.meta),
        mtime: epochs.name(entry.meta.mtime),
        origin: Origin::Entry(entry),
        twin: None,
        again: false,
    }
}

fn item_of_row<'a>(row: &'a Row, base: Option<&'a Image>, epochs: &Epochs) -> Item<'a> {
    let thing = match &row.what {
        What::File(body @ Body::Base(at)) => match base.and_then(|base| file_in(base, at)) {
            Some(content) => Thing::File(Stuff::Base(at, content)),
            None => Thing::File(Stuff::Body(body)),
        },
        What::File(body) => Thing::File(Stuff::Body(body)),
        What::Dir => Thing::Dir,
        What::Symlink(target) => Thing::Symlink(target),
        What::Hardlink(target) => Thing::Hardlink(target),
        What::Char { major, minor } => Thing::Char { major: *major, minor: *minor },
        What::Block { major, minor } => Thing::Block { major: *major, minor: *minor },
        What::Fifo => Thing::Fifo,
    };
    let at = At::clean(&row.path);
    let usual = match (at.is_root(), thing.is_dir()) {
        (true, _) => row.path == b"./",
        (false, true) => row.path.strip_suffix(b"/") == Some(at.as_bytes()),
        (false, false) => row.path == at.as_bytes(),
    };
    Item {
        at: Cow::Owned(at),
        form: (!usual).then_some(&row.path),
        thing,
        meta: Cow::Borrowed(&row.meta),
        mtime: epochs.name(row.meta.mtime),
        origin: Origin::Elsewhere,
        twin: None,
        again: false,
    }
}

impl Item<'_> {
    /// The entry it was made from, to hand on; a record's rows have none.
    pub fn shared(&self) -> Option<Arc<Entry>> {
        match self.origin {
            Origin::Elsewhere | Origin::Implied => None,
            Origin::Entry(entry) => Some(Arc::new(entry.clone())),
            Origin::Shared(entry) => Some(Arc::clone(entry)),
        }
    }

    /// The whole entry on a line, but for its path: `file 0644 0:0 context 2 "y\n"`.
    pub fn describe(&self) -> String {
        let (word, meta) = (self.thing.word(), &self.meta);
        let head = format!("{word} {:04o} {}:{} {}", meta.mode, meta.uid, meta.gid, self.mtime);
        match self.thing.detail() {
            detail if detail.is_empty() => head,
            detail => format!("{head} {detail}"),
        }
    }
}

impl Item<'_> {
    /// Whether one is a directory that no entry made and the other one as such are, but for its time.
    pub(crate) fn is_like_implied(&self, other: &Item<'_>) -> bool {
        let implied = |item: &Item<'_>| matches!(item.origin, Origin::Implied);
        let plain = |item: &Item<'_>| {
            let meta = &item.meta;
            item.thing.is_dir() && (meta.mode, meta.uid, meta.gid) == (0o755, 0, 0) && meta.xattrs.is_empty()
        };
        (implied(self) || implied(other)) && plain(self) && plain(other)
    }

    /// Whether two files have the same content; not asked again where they were held against each other already.
    pub fn same_content(&self, other: &Item<'_>) -> io::Result<bool> {
        match (self.twin, other.twin, &self.thing, &other.thing) {
            (Some(one), Some(two), ..) if one.pair == two.pair => Ok(one.same_content),
            (_, _, Thing::File(left), Thing::File(right)) => left.same(right),
            _ => Ok(true),
        }
    }
}

impl Thing<'_> {
    /// The word goldens and reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dir => "dir",
            Self::Symlink(_) => "symlink",
            Self::Hardlink(_) => "hardlink",
            Self::Char { .. } => "char",
            Self::Block { .. } => "block",
            Self::Fifo => "fifo",
        }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self, Self::Dir)
    }

    /// Whether both are the same kind of file. A hard link is a name of a file, not a kind of its own; a device is
    /// another one if its numbers are.
    pub fn same_kind(&self, other: &Thing<'_>) -> bool {
        match (self, other) {
            (Self::File(_) | Self::Hardlink(_), Thing::File(_) | Thing::Hardlink(_))
            | (Self::Dir, Thing::Dir)
            | (Self::Symlink(_), Thing::Symlink(_))
            | (Self::Fifo, Thing::Fifo) => true,
            (Self::Char { major, minor }, Thing::Char { major: other_major, minor: other_minor })
            | (Self::Block { major, minor }, Thing::Block { major: other_major, minor: other_minor }) => {
                (major, minor) == (other_major, other_minor)
            }
            _ => false,
        }
    }

    /// What the kind's word does not say: content, target, device numbers.
    pub fn detail(&self) -> String {
        match self {
            Self::File(stuff) => stuff.show(),
            Self::Symlink(target) => format!("-> {}", word(target)),
            Self::Hardlink(target) => format!("-> {}", word(target.as_bytes())),
            Self::Char { major, minor } | Self::Block { major, minor } => format!("{major},{minor}"),
            Self::Dir | Self::Fifo => String::new(),
        }
    }
}
