//! What a stage stands on, by content: a base image by its layers and its configuration without times, and then each layer
//! that was added. Two stages that stand on the same have the same files, whatever way they came to them.

use samebuild_image::{Digest, Image};
use serde_json::{Map, Value};

use super::key::Parts;

/// Identifies the files of a stage, and what they came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground(String);

impl Ground {
    /// Nothing.
    pub fn scratch() -> Self {
        let mut parts = Parts::default();
        parts.add("base", "scratch");
        Self(parts.key().hex())
    }

    /// An image; `None` where it does not say what its layers are.
    pub fn image(image: &Image) -> Option<Self> {
        let ids: Option<Vec<String>> =
            image.layers.iter().map(|layer| layer.diff_id.map(|id| id.to_string())).collect();
        let mut parts = Parts::default();
        parts.add("base", "image");
        parts.add_list("layer", ids?);
        parts.add("configuration", Value::Object(without_times(&image.config)).to_string());
        Some(Self(parts.key().hex()))
    }

    /// With one more layer, and what its tar does not say.
    pub fn with(&self, layer: Option<Digest>, fixes: Option<Digest>) -> Self {
        let text = |digest: Option<Digest>| digest.map_or_else(String::new, |digest| digest.to_string());
        if layer.is_none() && fixes.is_none() {
            return self.clone();
        }
        let mut parts = Parts::default();
        parts.add("below", self.0.as_str());
        parts.add("layer", text(layer));
        parts.add("fixes", text(fixes));
        Self(parts.key().hex())
    }

    /// As it goes into keys.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The configuration without when anything was made, and without the layers, which are counted by themselves.
pub fn without_times(config: &Map<String, Value>) -> Map<String, Value> {
    let mut config = config.clone();
    config.shift_remove("created");
    config.shift_remove("rootfs");
    if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) {
        for entry in history.iter_mut().filter_map(Value::as_object_mut) {
            entry.shift_remove("created");
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebuild_image::Layer;
    use serde_json::json;

    fn image(config: Value, layers: &[&str]) -> Image {
        let layer = |text: &&str| Layer { diff_id: Some(Digest::of(text.as_bytes())), ..Layer::default() };
        Image {
            config: config.as_object().cloned().unwrap_or_default(),
            layers: layers.iter().map(layer).collect(),
            ..Image::default()
        }
    }

    #[test]
    fn times_do_not_count_and_everything_else_does() {
        let base =
            image(json!({ "created": "a", "history": [{ "created": "b", "created_by": "c" }] }), &["x"]);
        let rebuilt =
            image(json!({ "created": "1", "history": [{ "created": "2", "created_by": "c" }] }), &["x"]);
        assert_eq!(Ground::image(&base), Ground::image(&rebuilt));
        for other in [
            image(json!({ "history": [{ "created_by": "d" }] }), &["x"]),
            image(json!({ "history": [{ "created_by": "c" }], "config": {} }), &["x"]),
            image(base.config.clone().into(), &["y"]),
            image(base.config.clone().into(), &["x", "x"]),
            image(base.config.clone().into(), &[]),
        ] {
            assert_ne!(Ground::image(&base), Ground::image(&other));
        }
        assert_ne!(Ground::image(&image(json!({}), &[])), Some(Ground::scratch()));
    }

    #[test]
    fn layers_count_in_their_order() {
        let of = |texts: &[&str]| {
            texts
                .iter()
                .fold(Ground::scratch(), |ground, text| ground.with(Some(Digest::of(text.as_bytes())), None))
        };
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a"]), of(&["a", "a"]));
        let fixes = Digest::of(b"f");
        assert_ne!(Ground::scratch().with(Some(fixes), None), Ground::scratch().with(None, Some(fixes)));
        assert_eq!(Ground::scratch().with(None, None), Ground::scratch());
    }
}
