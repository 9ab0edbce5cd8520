//! Into a registry.

use anyhow::Result;
use oci_client::Reference;
use samebuild_image::Image;

use super::{Asked, How, Output};
use crate::images::{names, registry};

pub(super) struct InRegistry {
    references: Vec<Reference>,
}

impl InRegistry {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, String> {
        let references = asked.all_names("registry")?;
        Ok(Self {
            references: references
                .iter()
                .map(|name| names::parse(&name.to_string()))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Output for InRegistry {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn pushed(&self) -> Vec<String> {
        self.references.iter().map(ToString::to_string).collect()
    }

    fn write(&self, image: &Image, how: &How<'_>) -> Result<String> {
        let mut told = Vec::new();
        for reference in &self.references {
            let digest = registry::push(image, reference, how.beside, how.style, how.work, how.progress)?;
            told.push(format!("{reference} pushed, {digest}"));
        }
        Ok(told.join("; "))
    }
}
