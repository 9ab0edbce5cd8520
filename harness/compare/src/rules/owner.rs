//! The rule `owner`: numeric owner and group. Names in the tar are not compared: no engine looks at them.

use std::io;

use super::{About, Rule, Severity};
use crate::options::Options;
use crate::pairing::Both;
use crate::side::Item;

pub(super) struct Owner;

impl Rule for Owner {
    fn about(&self) -> About {
        About {
            name: "owner",
            question: "Whose is it?",
            severity: Severity::Security,
            prints: r#"1000:1001"#,
        }
    }

    fn entry(&self, both: &Both<'_>, _: &Options) -> io::Result<Option<(String, String)>> {
        let owner = |item: &Item<'_>| (item.meta.uid, item.meta.gid);
        let show = |(uid, gid): (u64, u64)| format!("{uid}:{gid}");
        let (left, right) = (owner(both.left), owner(both.right));
        Ok((left != right).then(|| (show(left), show(right))))
    }
}
