//! `samebuild warm`: base images into the cache before they are needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use samebuild_builder::{dialect, own_platform, platform_of};

use super::terminal::{Usage, out, say};
use crate::conform::Exit;
use crate::engines::cache_dir;
use crate::images::store::Store;
use crate::images::{named, warm};

#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// Images, as FROM names them.
    #[arg(required_unless_present = "dockerfiles")]
    images: Vec<String>,
    /// Every image that this Dockerfile names. May be repeated.
    #[arg(long = "dockerfile", value_name = "FILE")]
    dockerfiles: Vec<PathBuf>,
    /// A build argument that FROM is expanded with. May be repeated.
    #[arg(long = "build-arg", value_name = "NAME=VALUE", requires = "dockerfiles")]
    build_args: Vec<String>,
    /// Whose language the Dockerfiles are read in.
    #[arg(long, default_value = "buildkit@26.1", requires = "dockerfiles")]
    dialect: String,
    /// What the images are for; this machine if left out.
    #[arg(long)]
    platform: Option<String>,
}

pub(crate) fn run(args: &Warm) -> Result<Exit> {
    let platform = match args.platform.as_deref() {
        None | Some("local") => own_platform(),
        Some(text) => platform_of(text).map_err(Usage)?,
    };
    let mut wanted: Vec<(String, samebuild_image::manifest::Platform)> = Vec::new();
    for image in &args.images {
        crate::images::names::parse(image).map_err(Usage)?;
        wanted.push((image.clone(), platform.clone()));
    }
    let dialect = dialect::find(&args.dialect)?;
    let build_args: BTreeMap<String, String> = args
        .build_args
        .iter()
        .filter_map(|arg| arg.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for file in &args.dockerfiles {
        let text = std::fs::read(file).map_err(|error| Usage(format!("read {}: {error}", file.display())))?;
        let found = named::images(&text, dialect, &build_args, &platform);
        let found = found.map_err(|why| Usage(format!("read {}: {why}", file.display())))?;
        for image in found {
            let platform = match &image.platform {
                Some(text) => platform_of(text).map_err(Usage)?,
                None => platform.clone(),
            };
            wanted.push((image.name, platform));
        }
    }
    let store = Store::in_cache(&cache_dir()?);
    warm::sweep(&store)?;
    for (image, platform) in &wanted {
        let warmed = warm::warm(image, platform, &store, &say)
            .with_context(|| format!("warm {image} for {platform}"))?;
        let how = if warmed.was_here { "was here, and is whole" } else { "fetched" };
        out!("{image}: {how}, {}, {} bytes of layers", warmed.manifest, warmed.bytes);
    }
    Ok(Exit::Same)
}
