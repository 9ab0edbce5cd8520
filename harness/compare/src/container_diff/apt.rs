//! `Apt`: the packages of dpkg's status file, by version.

use std::collections::BTreeMap;
use std::io;

use samebuild_image::{At, Kind, Tree};
use serde_json::{Value, json};

use super::Images;

/// A status file is not read beyond this many bytes.
const MOST: u64 = 64 << 20;

#[derive(Default)]
struct Package {
    version: String,
    /// In bytes.
    size: i64,
}

type Packages = BTreeMap<String, Package>;

pub(super) fn diff(images: &Images<'_>) -> io::Result<Value> {
    let (left, right) = (packages(&images.left_tree)?, packages(&images.right_tree)?);
    let alone = |of: &Packages, other: &Packages| -> Vec<Value> {
        let alone = of.iter().filter(|(name, _)| !other.contains_key(*name));
        alone
            .map(|(name, package)| json!({ "Name": name, "Version": package.version, "Size": package.size }))
            .collect()
    };
    let info = |package: &Package| json!({ "Version": package.version, "Size": package.size });
    let both = left.iter().filter_map(|(name, l)| {
        let r = right.get(name).filter(|r| r.version != l.version)?;
        Some(json!({ "Package": name, "Info1": info(l), "Info2": info(r) }))
    });
    Ok(json!({
        "Packages1": alone(&left, &right),
        "Packages2": alone(&right, &left),
        "InfoDiff": both.collect::<Vec<_>>(),
    }))
}

fn packages(tree: &Tree) -> io::Result<Packages> {
    let Some(Kind::File(content)) = tree.get(&At::from("var/lib/dpkg/status")).map(|inode| &inode.kind)
    else {
        return Ok(Packages::new());
    };
    let Some(bytes) = content.read_up_to(MOST)? else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("/var/lib/dpkg/status is bigger than {MOST} bytes"),
        ));
    };
    let mut found = Packages::new();
    let mut name = None;
    for line in String::from_utf8_lossy(&bytes).lines() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        match (key, &name) {
            ("Package", _) => name = Some(value.trim().to_owned()),
            ("Version", Some(name)) => {
                found.entry(name.clone()).or_default().version = value.trim().to_owned()
            }
            // In units of 1024 bytes.
            ("Installed-Size", Some(name)) => {
                found.entry(name.clone()).or_default().size =
                    value.trim().parse::<i64>().unwrap_or(0).saturating_mul(1024);
            }
            _ => {}
        }
    }
    Ok(found)
}
