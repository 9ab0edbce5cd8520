//! What a comparison hands on: the differences, and the shape of what was compared, for whoever explains or draws them.
//! No judgement.

use std::collections::BTreeMap;

use samebuild_image::read::Warning;
use samebuild_image::{Compression, Digest, Entry, Image, Kind};
use serde_json::{Map, Value};

use crate::compare::{CompareError, sides};
use crate::difference::Difference;
use crate::options::Options;
use crate::side::Side;

/// Two images, held against each other.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// In the order of [`crate::Where`].
    pub differences: Vec<Difference>,
    pub left: Shape,
    pub right: Shape,
    /// Which layers were held against which, counted from 0; one that is in no pair has no counterpart.
    pub layers: Vec<(usize, usize)>,
    /// What was odd about the layers of the left and the right image that were opened.
    pub warnings: (Vec<Warning>, Vec<Warning>),
    /// Whether digests were taken; if not, equal ones were believed to be of equal layers.
    pub verified: bool,
}

/// An image without what is in its files.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The whole configuration; empty for a layer or a directory alone.
    pub config: Map<String, Value>,
    /// Bottom first.
    pub layers: Vec<LayerShape>,
    /// The names the image goes by where it lies.
    pub names: Vec<String>,
}

/// A layer as it is stored.
#[derive(Clone, Debug, Default)]
pub struct LayerShape {
    pub diff_id: Option<Digest>,
    /// Digest of the stored bytes, where it is stated.
    pub blob: Option<Digest>,
    pub compression: Option<Compression>,
    /// Stored bytes.
    pub stored: Option<u64>,
    /// Bytes of the tar; `None` for a layer that did not have to be opened.
    pub size: Option<u64>,
    /// Entries; `None` for a layer that did not have to be opened.
    pub entries: Option<usize>,
    /// Bytes of the files in each directory, at most three names deep, by name; empty for a layer that was not opened.
    pub directories: BTreeMap<Vec<u8>, u64>,
    /// Which entry of the history made it, counted from 0, where the history says which made none and the counts agree.
    pub history: Option<usize>,
}

/// As [`crate::compare()`], with what was compared.
pub fn compare_images(left: &Image, right: &Image, options: &Options) -> Result<Comparison, CompareError> {
    let (left_side, right_side) =
        (Side::of_image(left, &options.left), Side::of_image(right, &options.right));
    let (layers, differences) = sides(&left_side, &right_side, None, options)?;
    Ok(Comparison {
        differences,
        left: Shape::of(left),
        right: Shape::of(right),
        layers,
        warnings: (vec![], vec![]),
        verified: true,
    })
}

/// How much lies where.
pub(crate) fn directories<'e>(entries: impl Iterator<Item = &'e Entry>) -> BTreeMap<Vec<u8>, u64> {
    let mut all: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for entry in entries {
        let Kind::File(content) = &entry.kind else { continue };
        let dirs = entry.at.components().count().saturating_sub(1).min(3);
        let name: Vec<&[u8]> = entry.at.components().take(dirs).collect();
        let name = name.join(&b'/');
        match all.get_mut(&name) {
            Some(bytes) => *bytes += content.size(),
            None => drop(all.insert(name, content.size())),
        }
    }
    all
}

impl Shape {
    /// The shape of an image that was read whole.
    pub fn of(image: &Image) -> Self {
        let layer = |layer: &samebuild_image::Layer| LayerShape {
            diff_id: layer.diff_id,
            blob: None,
            compression: layer.blob.as_ref().map(|(_, compression)| *compression),
            stored: layer.blob.as_ref().and_then(|(source, _)| source.size().ok()),
            size: Some(layer.size),
            entries: Some(layer.entries.len()),
            directories: directories(layer.entries.iter()),
            history: None,
        };
        let mut shape = Self {
            config: image.config.clone(),
            layers: image.layers.iter().map(layer).collect(),
            names: Vec::new(),
        };
        shape.number_history();
        shape
    }

    /// The shape of what a golden keeps of an image: its new layers and entries of the history.
    pub fn of_record(record: &samebuild_image::golden::Record) -> Self {
        let history: Vec<Value> = record.history.iter().cloned().map(Value::Object).collect();
        let layer = |layer: &samebuild_image::golden::Stratum| LayerShape {
            diff_id: layer.diff_id,
            entries: Some(layer.rows.len()),
            ..LayerShape::default()
        };
        let mut shape = Self { layers: record.layers.iter().map(layer).collect(), ..Self::default() };
        shape.config.insert("history".to_owned(), Value::Array(history));
        shape.number_history();
        shape
    }

    /// The history, oldest first.
    pub fn history(&self) -> &[Value] {
        self.config.get("history").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// What made this layer, in the words of the history.
    pub fn instruction(&self, layer: usize) -> Option<&str> {
        self.history().get(self.layers.get(layer)?.history?)?.get("created_by")?.as_str()
    }

    /// Says of each layer which entry of the history made it.
    pub(crate) fn number_history(&mut self) {
        let is_filled = |entry: &Value| entry.get("empty_layer") != Some(&Value::Bool(true));
        let numbered = self.history().iter().enumerate().filter(|(_, entry)| is_filled(entry));
        let filled: Vec<usize> = numbered.map(|(number, _)| number).collect();
        if filled.len() == self.layers.len() {
            for (layer, number) in self.layers.iter_mut().zip(filled) {
                layer.history = Some(number);
            }
        }
    }
}
