//! The kaniko executor that SAMEBUILD_KANIKO names. It builds on the root it runs in and empties it, so it gets one of its
//! own, in namespaces of its own; and it takes bases from registries only, so our base is served as one, on loopback.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use samebuild_image::Digest;
use samebuild_image::golden::{Failure, Observation, Outcome, mask_message};

use super::laid::Laid;
use super::{Answer, Builder, Ended, Means, NO_LIE, Order, class_of, now, platform};
use crate::bases::Base;
use crate::cases::Case;
use crate::programs::kaniko::{START, find, lay_out};
use crate::programs::{self, Call, Printed, Silent};
use crate::served::{Page, Served};

/// What it says last of a Dockerfile that cannot be built.
const REFUSED: &str = "error building image: ";
const DEADLINE: Duration = Duration::from_secs(180);
const DIALECT: &str = "kaniko@1.24";

struct Live<'a> {
    executor: PathBuf,
    work: &'a Path,
}

/// Looks for it.
pub(super) fn open<'a>(means: &'a Means<'a>) -> Result<Box<dyn Builder + 'a>, String> {
    at(find()?, &means.work)
}

fn at(executor: PathBuf, work: &Path) -> Result<Box<dyn Builder + '_>, String> {
    match programs::unmet() {
        Some(unmet) => Err(unmet),
        None => Ok(Box::new(Live { executor, work })),
    }
}

impl Builder for Live<'_> {
    fn build(&self, order: &Order<'_>) -> Answer {
        if order.dialect != DIALECT {
            return Answer::Unmet(format!("kaniko speaks {DIALECT}, and not {}", order.dialect));
        }
        self.try_build(order).into()
    }

    fn by_itself(&self) -> Option<(&'static str, &str)> {
        Some((DIALECT, "kaniko"))
    }
}

impl Live<'_> {
    fn try_build(&self, order: &Order<'_>) -> Result<Ended, Silent> {
        let case = order.case;
        if !case.stands_for.is_empty() {
            let why = "kaniko asks registries for its bases, and none of them has one of ours stand in";
            return Err(Silent::Unmet(why.to_owned()));
        }
        let broken = |what: &str, error: &dyn std::fmt::Display| Silent::Broken(format!("{what}: {error}"));
        let home = tempfile::Builder::new().prefix("kaniko-").tempdir_in(self.work);
        let home = home.map_err(|error| broken("make a root for kaniko", &error))?;
        let root = home.path().join("root");
        let laid = Laid::out(case, self.work).map_err(Silent::Broken)?;
        self.lay_out(&root, case).map_err(|error| broken("lay out a root for kaniko", &error))?;
        let (pages, name) = registry(&order.base.base).map_err(|error| broken("serve the base", &error))?;
        let served = Served::start(pages).map_err(|error| broken("serve the base", &error))?;
        let underway = case.underway().map_err(|error| broken("serve the pages of the case", &error))?;
        let address = served.url().trim_start_matches("http://").to_owned();
        let mut args: Vec<OsString> =
            vec!["-c".into(), START.into(), "sh".into(), root.clone().into(), laid.context.clone().into()];
        args.extend(
            arguments(case, &underway.args, &format!("{name}={address}")).into_iter().map(OsString::from),
        );
        let env = vec![
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/kaniko".into()),
            ("HOME", "/root".into()),
            ("USER", "root".into()),
            ("DOCKER_CONFIG", "/kaniko/.docker/".into()),
        ];
        let (started, _) = now();
        let call = Call { program: Path::new("/bin/sh"), args, env, files: &root, deadline: DEADLINE };
        let printed = call.run(order.around)?;
        if order.around.lag.is_some() && printed.lies == 0 {
            return Err(Silent::Unmet(NO_LIE.to_owned()));
        }
        if !printed.is_good {
            return failed(order, printed);
        }
        let file = root.join("kaniko/image.tar");
        let image =
            crate::stored::read_image(&file).map_err(|error| Silent::Broken(format!("{error:#}")))?.image;
        let record = order.record(&image, Some((started - 1, now().0 + 1)));
        let record = record.map_err(|error| broken("read the image", &error))?;
        let id = serde_json::to_vec(&image.config).map_err(|error| broken("read the image", &error))?;
        let image_id = Some(Digest::of(&id).to_string());
        Ok(Ended { log: printed.lines, image_id, ..Ended::of(observation(order, Outcome::Built(record))) })
    }

    fn lay_out(&self, root: &Path, case: &Case) -> std::io::Result<()> {
        lay_out(root, &self.executor)?;
        std::fs::write(root.join("kaniko/Dockerfile"), &case.dockerfile)?;
        match case.outside.as_ref().and_then(|outside| outside.ignore.as_ref()) {
            Some(ignore) => std::fs::write(root.join("kaniko/Dockerfile.dockerignore"), ignore),
            None => Ok(()),
        }
    }
}

fn arguments(case: &Case, args: &BTreeMap<String, String>, map: &str) -> Vec<String> {
    let file = match &case.outside {
        Some(_) => "/kaniko/Dockerfile".to_owned(),
        None => format!("/workspace/{}", case.dockerfile_name),
    };
    let mut words: Vec<String> =
        ["--force", "--no-push", "--insecure-pull", "--snapshot-mode", "full"].map(Into::into).into();
    let mut say = |option: &str, value: &str| words.push(format!("{option}={value}"));
    say("--context", "dir:///workspace");
    say("--dockerfile", &file);
    say("--destination", "samebuild.test/case:kaniko");
    say("--tar-path", "/kaniko/image.tar");
    say("--registry-map", map);
    args.iter().for_each(|(name, value)| say("--build-arg", &format!("{name}={value}")));
    case.build.target.iter().for_each(|target| say("--target", target));
    case.build.platform.iter().for_each(|platform| say("--custom-platform", platform));
    words.extend(case.build.flags.get("kaniko").into_iter().flatten().cloned());
    words
}

/// The base as a registry's pages, and the registry's name in its reference.
fn registry(base: &Base) -> Result<(Vec<Page>, String), String> {
    let (name, rest) = base.reference.split_once('/').ok_or("its name has no registry")?;
    let (repository, tag) = rest.rsplit_once(':').ok_or("its name has no tag")?;
    let blob = |digest: Digest| -> Result<Arc<[u8]>, String> {
        let path = base.layout.join("blobs/sha256").join(digest.hex());
        let bytes = std::fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
        Ok(bytes.into())
    };
    let page = |path: String, kind: &str, body: Arc<[u8]>| {
        let headers = vec![
            ("Content-Type".to_owned(), kind.to_owned()),
            ("Docker-Content-Digest".to_owned(), Digest::of(&body).to_string()),
        ];
        Page { path, status: 200, headers, body }
    };
    let manifest = blob(base.manifest)?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let mut pages = vec![page("/v2/".to_owned(), "application/json", Arc::from(*b"{}"))];
    for reference in [tag.to_owned(), base.manifest.to_string()] {
        pages.push(page(format!("/v2/{repository}/manifests/{reference}"), kind, Arc::clone(&manifest)));
    }
    let layers = base.image.layers.iter().filter_map(|layer| layer.diff_id);
    for digest in layers.chain([base.config]) {
        pages.push(page(
            format!("/v2/{repository}/blobs/{digest}"),
            "application/octet-stream",
            blob(digest)?,
        ));
    }
    Ok((pages, name.to_owned()))
}

fn failed(order: &Order<'_>, printed: Printed) -> Result<Ended, Silent> {
    let Some(message) = printed.lines.iter().rev().find(|line| line.starts_with(REFUSED)) else {
        return Err(Silent::Broken(format!("kaniko: {}", printed.last())));
    };
    let message = mask_message(message, &[]);
    let class = class_of(order.dialect, &message).to_owned();
    let failure = Failure { step: None, line: None, class, message };
    let observation = observation(order, Outcome::Failed(failure));
    Ok(Ended { log: printed.lines, ..Ended::of(observation) })
}

fn observation(order: &Order<'_>, outcome: Outcome) -> Observation {
    Observation {
        seen_by: vec![order.dialect.to_owned()],
        builder: "kaniko 1.24".to_owned(),
        platform: platform(),
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builders::Ground;

    /// None, with a word, where none can be had.
    fn base() -> Option<Base> {
        let base = crate::engines::cache_dir().map(|cache| crate::bases::provide("busybox", &cache, &|_| {}));
        match base {
            Ok(Ok(base)) => Some(base),
            base => {
                println!("not exercised: {base:?}");
                None
            }
        }
    }

    /// An executor that is a busybox builds nothing, but it says that it was started, and under which name.
    #[test]
    fn an_executor_is_started_in_a_root_of_its_own_and_what_it_says_is_told() {
        let Some(base) = base() else { return };
        let work = tempfile::tempdir().unwrap();
        let busybox = work.path().join("busybox");
        std::fs::write(&busybox, base_busybox(&base)).unwrap();
        let builder = match at(busybox, work.path()) {
            Ok(builder) => builder,
            Err(lacks) => {
                println!("not exercised: {lacks}");
                return;
            }
        };
        std::fs::write(work.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        let case = crate::cases::load_one(work.path(), "a/b".parse().unwrap(), &Default::default()).unwrap();
        let answer = builder.build(&Order::new(&case, DIALECT, &Ground::new(base).unwrap()));
        let Answer::Broken(why) = answer else { panic!("{answer:?}") };
        assert_eq!(why, "kaniko: executor: applet not found");
    }

    fn base_busybox(base: &Base) -> Vec<u8> {
        let place = &base.files[&base.busybox];
        let Some(samebuild_image::Kind::File(content)) = base.tree.get(place).map(|inode| &inode.kind) else {
            panic!("{place} is no file");
        };
        content.read_up_to(1 << 30).unwrap().unwrap()
    }

    #[test]
    fn a_base_is_served_as_a_registry_serves_it() {
        let Some(base) = base() else { return };
        let (pages, name) = registry(&base).unwrap();
        assert_eq!(name, "samebuild.test");
        let page = |path: &str| pages.iter().find(|page| page.path == path).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&page("/v2/base/manifests/1").body).unwrap();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let digest = part["digest"].as_str().unwrap();
            assert_eq!(Digest::of(&page(&format!("/v2/base/blobs/{digest}")).body).to_string(), digest);
        }
    }
}
