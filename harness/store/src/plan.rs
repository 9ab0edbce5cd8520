//! Answers: which images of a repository may go, and why do the others stay? A pure function of what the engine
//! lists. Leaves executing the plan safely to `strategies::generation`.
//!
//! The rule that the daemons were measured to break: never an image of an existing container, running or not,
//! whatever reference it was created by (moby #45839, #48076). Containers are matched by image ID, not by name.

use crate::engine::{Container, Summary};
use crate::names::{ImageId, Name, Reference, Repository, Tag};

/// What a prune pass would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Newest first.
    pub victims: Vec<Summary>,
    /// Newest first.
    pub kept: Vec<(ImageId, Why)>,
}

/// Why an image stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// One of the newest that were asked to stay.
    Newest,
    /// A container was created from it, by this reference.
    Container(Reference),
    /// Another repository has a name for it.
    NamedElsewhere(Name),
}

/// Plans a pass over `images`, all of which have a name in `repository`. `keep` counts the newest that stay; of
/// images created in the same second those with a policy tag count as newer, because they are in use.
pub fn plan(repository: Repository, mut images: Vec<Summary>, containers: &[Container], keep: usize) -> Plan {
    images.sort_by_key(|image| (std::cmp::Reverse((image.created, has_policy_tag(image))), image.id));
    let mut plan = Plan { victims: Vec::new(), kept: Vec::new() };
    for (rank, image) in images.into_iter().enumerate() {
        let kept = if rank < keep { Some(Why::Newest) } else { used(repository, &image, containers) };
        match kept {
            Some(why) => plan.kept.push((image.id, why)),
            None => plan.victims.push(image),
        }
    }
    plan
}

/// Why `image` must stay whatever its age, if so.
pub fn used(repository: Repository, image: &Summary, containers: &[Container]) -> Option<Why> {
    if let Some(container) = containers.iter().find(|container| container.image == image.id) {
        return Some(Why::Container(container.reference));
    }
    let elsewhere = image.names.iter().find(|name| name.repository != repository);
    elsewhere.map(|name| Why::NamedElsewhere(*name))
}

fn has_policy_tag(image: &Summary) -> bool {
    image.names.iter().any(|name| matches!(name.tag, Tag::Policy(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reference::{Digest, Id, ShortId};
    use Why::{Container as InContainer, NamedElsewhere, Newest};

    const APP: Repository = Repository(0);

    fn image(id: u32, created: u32, names: &[Name]) -> Summary {
        Summary { id: ImageId(id), created, names: names.to_vec(), parent: None }
    }

    fn check(
        images: &[Summary],
        containers: &[Container],
        keep: usize,
        victims: &[u32],
        kept: &[(u32, Why)],
    ) {
        let plan = plan(APP, images.to_vec(), containers, keep);
        let ids: Vec<u32> = plan.victims.iter().map(|image| image.id.0).collect();
        let why: Vec<(u32, Why)> = plan.kept.iter().map(|(id, why)| (id.0, *why)).collect();
        assert_eq!((ids.as_slice(), why.as_slice()), (victims, kept));
    }

    #[test]
    fn the_newest_stay() {
        let images = [image(0, 10, &[]), image(1, 30, &[]), image(2, 20, &[])];
        check(&images, &[], 2, &[0], &[(1, Newest), (2, Newest)]);
    }

    /// moby/moby#45839 and #48076: each of these lost an image in a released daemon.
    #[test]
    fn an_image_of_a_container_stays_whatever_reference_created_it() {
        let tag = Name::policy(APP, 3);
        for reference in [Id(ImageId(0)), ShortId(ImageId(0)), Digest(APP, ImageId(0)), Reference::Name(tag)]
        {
            for running in [true, false] {
                let container = Container { reference, image: ImageId(0), running };
                check(&[image(0, 10, &[])], &[container], 0, &[], &[(0, InContainer(reference))]);
            }
        }
    }

    #[test]
    fn an_image_that_another_repository_names_stays() {
        let web = Name::policy(Repository(1), 0);
        check(&[image(0, 10, &[web])], &[], 0, &[], &[(0, NamedElsewhere(web))]);
    }

    /// ko, jib, bazel and buildpacks give every image the same creation time.
    #[test]
    fn of_images_created_in_one_second_the_one_with_the_policy_tag_stays() {
        let images = [image(0, 0, &[]), image(1, 0, &[Name::policy(APP, 0)]), image(2, 0, &[])];
        check(&images, &[], 1, &[0, 2], &[(1, Newest)]);
    }
}
