//! Users and groups as an image's /etc/passwd and /etc/group name them. Which of them a step takes is the step's rule.

use samebuild_image::{Kind, Tree};

/// A line of /etc/passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
}

/// A line of /etc/group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// Both files of one image.
#[derive(Debug, Clone, Default)]
pub struct Users {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
}

/// No accounts file is larger.
const LIMIT: u64 = 4 << 20;

impl Users {
    /// Reads both files; a missing file names nobody. Lines that are not of the usual form are passed over, as libc does.
    pub fn of(tree: &Tree) -> std::io::Result<Self> {
        let users = read(tree, "etc/passwd")?.lines().filter_map(user).collect();
        let groups = read(tree, "etc/group")?.lines().filter_map(group).collect();
        Ok(Self { users, groups })
    }

    /// The user called `name`.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The user with this number.
    pub fn by_uid(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Groups that list `user` as a member, in the order of the file.
    pub fn memberships(&self, user: &str) -> Vec<u32> {
        self.groups
            .iter()
            .filter(|group| group.members.iter().any(|member| member == user))
            .map(|group| group.gid)
            .collect()
    }
}

fn read(tree: &Tree, path: &str) -> std::io::Result<String> {
    let Ok(at) = tree.resolve(path, true) else { return Ok(String::new()) };
    let Some(Kind::File(content)) = tree.get(&at).map(|inode| &inode.kind) else { return Ok(String::new()) };
    let bytes = content.read_up_to(LIMIT)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, uid, gid, rest @ ..] = fields.as_slice() else { return None };
    let home = rest.get(1).copied().unwrap_or_default().to_owned();
    Some(User { name: (*name).to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
}

fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, rest @ ..] = fields.as_slice() else { return None };
    let members = rest
        .first()
        .map_or_else(Vec::new, |list| list.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect());
    Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_another_form_are_passed_over() {
        assert_eq!(user("root:x:0:0:root:/root:/bin/sh").map(|u| (u.uid, u.home)), Some((0, "/root".into())));
        assert_eq!(user("# comment"), None);
        assert_eq!(
            group("extra:x:1500:app,root").map(|g| g.members),
            Some(vec!["app".into(), "root".into()])
        );
        assert_eq!(group("appg:x:1001:").map(|g| g.members), Some(vec![]));
    }
}
