//! One difference between two images, as a value. Whether it is tolerable is the judge's question, why it is there the
//! causes' question; neither is asked here.

use std::fmt;
use std::sync::Arc;

use samebuild_image::{At, Entry};

/// One way in which left and right are not the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The name of the rule that saw it: a row of [`crate::RULES`].
    pub rule: &'static str,
    pub at: Where,
    /// What the left image has there, in the rule's own form.
    pub left: String,
    /// What the right image has there.
    pub right: String,
    /// Whether both views of the file system show it; `None` where only one was asked for, or where views do not matter.
    pub seen: Option<Seen>,
    /// What the rule looked at, for whoever asks why: typed, contents by reference. Two differences that say the same are
    /// equal whatever is here.
    pub entries: Entries,
}

/// The entries of a difference that is about one: in the layer that has it, or in the layer that the flattened file
/// system has it from. `None` where a side has none, and where it is known from a golden only.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    pub left: Option<Arc<Entry>>,
    pub right: Option<Arc<Entry>>,
}

impl PartialEq for Difference {
    fn eq(&self, other: &Self) -> bool {
        (self.rule, &self.at, &self.left, &self.right, self.seen)
            == (other.rule, &other.at, &other.left, &other.right, other.seen)
    }
}

impl Eq for Difference {}

/// A place in an image. Ordered as differences are reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// The build itself: whether and where it failed.
    Build,
    /// The image as a whole.
    Image,
    /// A layer as a whole.
    Layer(LayerNumber),
    /// An entry of a layer.
    Entry(LayerNumber, At),
    /// A place in the flattened file system.
    Rootfs(At),
    /// A field of the `config` object: `Env`.
    Config(String),
    /// Another field of the configuration: `architecture`, `container_config.Cmd`.
    Top(String),
    /// An entry of the history, counted from 1 on the side that has it (left first).
    History(usize),
}

/// A pair of layers, each counted from 1 among the layers that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayerNumber {
    pub left: usize,
    pub right: usize,
}

impl LayerNumber {
    /// The number of a pair of layers counted from 0.
    pub(crate) fn of((left, right): (usize, usize)) -> Self {
        Self { left: left + 1, right: right + 1 }
    }
}

/// Which view of the file system shows a difference, where both were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// The layers differ and so does the flattened file system.
    Both,
    /// The layers differ, the flattened file system does not: a later layer covers it, or the base has it already.
    LayersOnly,
    /// The flattened file systems differ although the paired layers do not differ there.
    RootfsOnly,
}

impl Where {
    /// The place in the file system, if it is one.
    pub fn path(&self) -> Option<&At> {
        match self {
            Self::Entry(_, at) | Self::Rootfs(at) => Some(at),
            _ => None,
        }
    }
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build => f.write_str("build"),
            Self::Image => f.write_str("image"),
            Self::Layer(layer) => write!(f, "layer {layer}"),
            Self::Entry(layer, at) => write!(f, "layer {layer} · {}", shown(at)),
            Self::Rootfs(at) => write!(f, "rootfs · {}", shown(at)),
            Self::Config(field) => write!(f, "config · {field}"),
            Self::Top(field) => f.write_str(field),
            Self::History(number) => write!(f, "history {number}"),
        }
    }
}

impl fmt::Display for LayerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.left == self.right {
            write!(f, "{}", self.left)
        } else {
            write!(f, "{}/{}", self.left, self.right)
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {}: {} → {}", self.at, self.rule, self.left, self.right)?;
        match self.seen {
            Some(Seen::LayersOnly) => f.write_str(" (only in the layer, not in the rootfs)"),
            Some(Seen::RootfsOnly) => f.write_str(" (only in the rootfs, not in the layers)"),
            Some(Seen::Both) | None => Ok(()),
        }
    }
}

/// The differences as plain text, a line each: `layer 2 · /srv/app · owner: 0:0 → 1000:1000`.
pub fn render(differences: &[Difference]) -> String {
    differences.iter().map(|difference| format!("{difference}\n")).collect()
}

/// A place as goldens write paths.
fn shown(at: &At) -> String {
    samebuild_image::golden::word(&[b"/", at.as_bytes()].concat())
}
