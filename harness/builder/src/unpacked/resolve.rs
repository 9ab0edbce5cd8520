//! From the paths a step wrote or a walk found changed to those a layer takes: links and what they lead to, and every
//! directory above. In the order given, because a link that cannot be followed ends the list.

use std::collections::BTreeSet;

use samebuild_image::{At, Kind, Tree};

use super::ignore::Ignored;
use super::rules::{LinkLoop, LinkTargets, UnpackedRules};

/// All paths a layer of `paths` takes, sorted as their text is.
pub fn paths(tree: &Tree, paths: &[At], ignored: &Ignored, rules: &UnpackedRules) -> Vec<At> {
    let mut taken: BTreeSet<At> = BTreeSet::new();
    for at in paths.iter().filter(|at| !ignored.skips(at)) {
        if rules.link_targets == LinkTargets::Left {
            taken.insert(at.clone());
            continue;
        }
        taken.insert(topmost_link(tree, at).unwrap_or_else(|| at.clone()));
        match target(tree, at) {
            Target::At(target) if ignored.skips(&target) => {}
            Target::At(target) => drop(taken.insert(target)),
            Target::Missing => {}
            Target::Unreachable if rules.link_loop == LinkLoop::EndsTheList => break,
            Target::Unreachable => {}
        }
    }
    let above: Vec<At> = taken.iter().flat_map(|at| at.parents().collect::<Vec<_>>()).collect();
    taken.extend(above);
    if !taken.is_empty() {
        taken.insert(At::root());
    }
    in_order(taken)
}

/// Sorted by their text: `a-b` comes before `a/b`.
pub fn in_order(places: impl IntoIterator<Item = At>) -> Vec<At> {
    let mut sorted: Vec<At> = places.into_iter().collect();
    sorted.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
    sorted
}

/// The symbolic link nearest to the root among a path and the directories above it.
fn topmost_link(tree: &Tree, at: &At) -> Option<At> {
    let is_link = |at: &At| matches!(tree.get(at).map(|inode| &inode.kind), Some(Kind::Symlink(_)));
    at.parents().chain([at.clone()]).find(is_link)
}

enum Target {
    At(At),
    Missing,
    /// A circle, or a path through what is no directory.
    Unreachable,
}

fn target(tree: &Tree, at: &At) -> Target {
    let Ok(target) = tree.resolve(at.as_bytes(), true) else { return Target::Unreachable };
    if tree.get(&target).is_some() {
        return Target::At(target);
    }
    let in_the_way = |dir: &At| tree.get(dir).is_some_and(|inode| !inode.kind.is_dir());
    if target.parents().any(|dir| in_the_way(&dir)) { Target::Unreachable } else { Target::Missing }
}

#[cfg(test)]
mod tests {
    use samebuild_image::{Content, Meta, Mtime};

    use super::*;
    use crate::dialect::KANIKO_1_24;

    fn tree(entries: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (path, what) in entries {
            let kind = match *what {
                "dir" => Kind::Dir,
                "file" => Kind::File(Content::inline(*b"x")),
                target => Kind::Symlink(target.into()),
            };
            tree.insert(&At::from(*path), kind, Meta::new(0o755, Mtime::secs(1)));
        }
        tree
    }

    fn resolved(tree: &Tree, of: &[&str], rules: &UnpackedRules) -> Vec<String> {
        let of: Vec<At> = of.iter().map(|path| At::from(*path)).collect();
        paths(tree, &of, &Ignored::default(), rules).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_brings_what_it_leads_to_and_a_path_through_a_link_the_link() {
        let tree = tree(&[("d", "dir"), ("d/f", "file"), ("l", "/d"), ("m", "d/f"), ("n", "nowhere")]);
        let rules = KANIKO_1_24.unpacked;
        assert_eq!(resolved(&tree, &["l/f"], &rules), ["/", "/d", "/d/f", "/l"]);
        assert_eq!(resolved(&tree, &["m"], &rules), ["/", "/d", "/d/f", "/m"]);
        assert_eq!(resolved(&tree, &["n"], &rules), ["/", "/n"]);
    }

    /// GoogleContainerTools/kaniko#1395, #2214.
    #[test]
    fn a_circle_or_a_way_through_a_file_ends_the_list_where_that_is_the_rule() {
        let tree = tree(&[("a", "file"), ("loop", "loop"), ("through", "a/x"), ("z", "file")]);
        let mut rules = KANIKO_1_24.unpacked;
        assert_eq!(resolved(&tree, &["a", "loop", "z"], &rules), ["/", "/a", "/loop"]);
        assert_eq!(resolved(&tree, &["a", "through", "z"], &rules), ["/", "/a", "/through"]);
        rules.link_loop = LinkLoop::TakenAsIs;
        assert_eq!(resolved(&tree, &["a", "loop", "z"], &rules), ["/", "/a", "/loop", "/z"]);
    }

    #[test]
    fn the_order_is_that_of_the_text() {
        let places = ["a/b", "a-b", "a"].map(At::from);
        assert_eq!(in_order(places.to_vec()), ["a", "a-b", "a/b"].map(At::from));
    }
}
