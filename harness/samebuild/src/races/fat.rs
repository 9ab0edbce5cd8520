//! Images that take long to delete: thousands of files and some weight, between an old small image that is built again and
//! a small one that is the newest.

use std::cell::RefCell;
use std::rc::Rc;

use bollard::query_parameters as query;
use futures_util::StreamExt as _;
use samebuild_store::engine::{Build, Engine as _};
use samebuild_store::floor::Floor;
use samebuild_store::names::{Content, ImageId, Name, Repository};

use super::docker::DockerEngine;
use super::ground::{Ground, LiveError, REPOSITORIES, connect};
use super::set_up::{clear, second_boundary};
use super::spelling::Spelling;

/// So many of them.
pub(super) const FAT: usize = 4;
/// Files of each, and the bytes of one more.
pub(super) const FILES: usize = 3000;
const WEIGHT: usize = 10 << 20;

/// Makes them, a second apart at least: the spelling, the image of `built` and the newest.
///
/// # Errors
/// The engine fails.
pub(super) async fn fat_beginning(
    ground: &Ground,
    built: Content,
) -> Result<(Rc<RefCell<Spelling>>, ImageId, ImageId), LiveError> {
    let docker = connect(ground.socket()).await?;
    clear(&docker).await?;
    let number = ground.made.get();
    ground.made.set(number + 1);
    let spelling = Rc::new(RefCell::new(Spelling::of_trial(&REPOSITORIES, number)));
    let engine = DockerEngine::new(docker.clone(), Floor::free(), Rc::clone(&spelling));
    let cannot = |why: String| LiveError::Api { what: "make images of many files".into(), why };
    let thin = async |content| {
        second_boundary().await;
        let build = Build { content, name: Name::policy(Repository(0), 0) };
        let id = engine.build(build).await.map_err(|error| cannot(error.to_string()))?;
        let unique = Name::unique(Repository(0), id);
        engine.tag(id, unique).await.map_err(|error| cannot(error.to_string()))?;
        Ok::<_, LiveError>(id)
    };
    let oldest = thin(built).await?;
    for fat in 0..FAT {
        second_boundary().await;
        let (repository, tag) = spelling.borrow().spell_tag(Name::policy(Repository(0), 10));
        let options = query::BuildImageOptions {
            dockerfile: "Dockerfile".into(),
            t: Some(format!("{repository}:{tag}-{fat}")),
            rm: true,
            version: query::BuilderVersion::BuilderV1,
            ..query::BuildImageOptions::default()
        };
        let body = bollard::body_full(context(number, fat).into());
        let mut stream = std::pin::pin!(docker.build_image(options, None, Some(body)));
        while let Some(event) = stream.next().await {
            event.map_err(|error| cannot(error.to_string()))?;
        }
    }
    let newest = thin(Content(built.0 + 1)).await?;
    // From now on symbols are in the order of age.
    engine.list(Repository(0)).await.map_err(|error| cannot(error.to_string()))?;
    Ok((spelling, oldest, newest))
}

/// Files of every trial and image are their own, so that nothing is shared and nothing is in a cache.
fn context(trial: usize, fat: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::with_capacity(WEIGHT + FILES * 1024));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o100_644);
        header.set_mtime(1_577_836_800);
        header.set_size(bytes.len() as u64);
        // Neither name nor memory can fail here.
        let _ = tar.append_data(&mut header, name, bytes);
    };
    add("Dockerfile", b"FROM samebuild.test/base:1\nCOPY files /files\n");
    for file in 0..FILES {
        add(&format!("files/d{}/f{file}", file % 30), format!("{trial} {fat} {file}\n").as_bytes());
    }
    let seed = (trial * FAT + fat) as u64;
    let weight: Vec<u8> = (0..WEIGHT as u64 / 8)
        .flat_map(|n| (n ^ seed.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
        .collect();
    add("files/weight", &weight);
    tar.into_inner().unwrap_or_default()
}
