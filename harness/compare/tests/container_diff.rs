//! container-diff's JSON, byte for byte: shapes, `null` and `[]`, order, escapes; and what it gets wrong, right.

use expect_test::{Expect, expect};
use samebuild_compare::container_diff::container_diff;
use samebuild_image::{At, Content, Entry, Image, Kind, Layer, Meta, Mtime};
use serde_json::{Value, json};

fn entry(path: &str, kind: Kind) -> Entry {
    Entry::new(At::from(path), kind, Meta::new(0o644, Mtime::secs(1)))
}

fn file(path: &str, text: &str) -> Entry {
    entry(path, Kind::File(Content::inline(text.as_bytes())))
}

fn dir(path: &str) -> Entry {
    entry(path, Kind::Dir)
}

fn image(layers: Vec<Vec<Entry>>, config: Value, history: &[&str]) -> Image {
    let history: Vec<Value> = history.iter().map(|text| json!({ "created_by": text })).collect();
    let layer = |entries| Layer { entries, ..Layer::default() };
    let config = json!({ "config": config, "history": history });
    Image {
        config: config.as_object().unwrap().clone(),
        layers: layers.into_iter().map(layer).collect(),
        ..Image::default()
    }
}

fn pair() -> (Image, Image) {
    let link = |to: &str| entry("d/l", Kind::Symlink(to.as_bytes().to_vec()));
    let base = || vec![file("bin/busybox", "busybox")];
    let left = vec![
        base(),
        vec![dir("d"), file("d/f", "1\n"), link("f"), dir("etc"), file("etc/v", "one\n")],
        vec![file("d/.wh.f", "")],
    ];
    let right =
        vec![base(), vec![dir("d"), file("d/f2", "2\n"), link("g"), dir("etc"), file("etc/v", "three")]];
    let config = |a: &str, labels: Value| json!({ "Env": ["PATH=/bin", a], "Labels": labels, "ExposedPorts": { "80/tcp": {} } });
    (
        image(left, config("A=1", json!({})), &["base", "/bin/sh -c #(nop)  ENV A=1", "/bin/sh -c rm /d/f "]),
        image(right, config("A=2", json!({ "q": "<1> & 2" })), &["base", "/bin/sh -c #(nop)  ENV A=2"]),
    )
}

fn check(kinds: &[&str], expected: Expect) {
    let (left, right) = pair();
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let (told, differs) = container_diff(("r1.tar", &left), ("daemon://r2", &right), &kinds).unwrap();
    assert!(differs && !told.ends_with('\n'));
    expected.assert_eq(&told);
}

#[test]
fn files_are_as_container_diff_writes_them() {
    check(
        &["file"],
        expect![[r#"
        [
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "File",
            "Diff": {
              "Adds": [
                {
                  "Name": "/d/f2",
                  "Size": 2
                }
              ],
              "Dels": null,
              "Mods": [
                {
                  "Name": "/etc/v",
                  "Size1": 4,
                  "Size2": 5
                },
                {
                  "Name": "/d/l",
                  "Size1": 1,
                  "Size2": 1
                }
              ]
            }
          }
        ]"#]],
    );
}

#[test]
fn layers_sizes_history_and_metadata_come_in_its_order_and_shapes() {
    check(
        &["metadata", "size", "sizelayer", "history", "layer"],
        expect![[r#"
        [
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "FileLayer",
            "Diff": {
              "DirDiffs": [
                {
                  "Adds": null,
                  "Dels": null,
                  "Mods": null
                },
                {
                  "Adds": [
                    {
                      "Name": "/d/f2",
                      "Size": 2
                    }
                  ],
                  "Dels": [
                    {
                      "Name": "/d/f",
                      "Size": 2
                    }
                  ],
                  "Mods": [
                    {
                      "Name": "/etc/v",
                      "Size1": 4,
                      "Size2": 5
                    },
                    {
                      "Name": "/d/l",
                      "Size1": 1,
                      "Size2": 1
                    }
                  ]
                }
              ]
            }
          },
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "History",
            "Diff": {
              "Adds": [
                "/bin/sh -c #(nop)  ENV A=2"
              ],
              "Dels": [
                "/bin/sh -c #(nop)  ENV A=1",
                "/bin/sh -c rm /d/f"
              ]
            }
          },
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "Metadata",
            "Diff": {
              "Adds": [
                "Env: PATH=/bin,A=2",
                "Labels: q:\u003c1\u003e \u0026 2"
              ],
              "Dels": [
                "Env: PATH=/bin,A=1",
                "Labels: "
              ]
            }
          },
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "Size",
            "Diff": [
              {
                "Name": "",
                "Size1": 12,
                "Size2": 15
              }
            ]
          },
          {
            "Image1": "r1.tar",
            "Image2": "r2",
            "DiffType": "SizeLayer",
            "Diff": [
              {
                "Name": "1",
                "Size1": 7,
                "Size2": 8
              },
              {
                "Name": "2",
                "Size1": 0,
                "Size2": -1
              }
            ]
          }
        ]"#]],
    );
}

#[test]
fn what_is_the_same_is_null_or_empty_as_each_differ_has_it() {
    let (left, _) = pair();
    let kinds = ["apt", "file", "layer", "history", "metadata", "size", "sizelayer"].map(str::to_owned);
    let (told, differs) = container_diff(("a", &left), ("b", &left), &kinds).unwrap();
    assert!(!differs);
    let told: Value = serde_json::from_str(&told).unwrap();
    let diffs: Vec<String> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["DiffType"].as_str().unwrap(), row["Diff"]))
        .collect();
    let none = r#"{"Adds":null,"Dels":null,"Mods":null}"#;
    assert_eq!(
        diffs,
        [
            r#"Apt {"Packages1":[],"Packages2":[],"InfoDiff":[]}"#.to_owned(),
            format!("File {none}"),
            format!(r#"FileLayer {{"DirDiffs":[{none},{none},{none}]}}"#),
            r#"History {"Adds":[],"Dels":[]}"#.to_owned(),
            r#"Metadata {"Adds":[],"Dels":[]}"#.to_owned(),
            "Size []".to_owned(),
            "SizeLayer null".to_owned(),
        ]
    );
    let nothing = image(vec![], json!({}), &[]);
    let (told, _) = container_diff(("a", &nothing), ("b", &nothing), &["layer".to_owned()]).unwrap();
    assert!(told.contains(r#""DirDiffs": null"#), "{told}");
}

#[test]
fn packages_differ_by_version() {
    let with = |text: &str| image(vec![vec![file("var/lib/dpkg/status", text)]], json!({}), &[]);
    let left = with("Package: a\nInstalled-Size: 2\nVersion: 1+b\n\nPackage: b\nVersion: 2\n");
    let right = with("Package: a\nInstalled-Size: 3\nVersion: 1.1\n\nPackage: c\nVersion: 3\n");
    let (told, _) = container_diff(("a", &left), ("b", &right), &["apt".to_owned()]).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        told[0]["Diff"].to_string(),
        r#"{"Packages1":[{"Name":"b","Version":"2","Size":0}],"Packages2":[{"Name":"c","Version":"3","Size":0}],"InfoDiff":[{"Package":"a","Info1":{"Version":"1+b","Size":2048},"Info2":{"Version":"1.1","Size":3072}}]}"#
    );
}

// container-diff: Mods by Size1 only, ties in any order; #339, `.tar` by size only; a link read through on the host.
#[test]
fn its_defects_are_not_inherited() {
    let one = |entries: Vec<Entry>| image(vec![entries], json!({}), &[]);
    let left = one(vec![file("b", "1"), file("a", "1"), file("x.tar", "12"), file("kind", "xy"), dir("new")]);
    let link = entry("kind", Kind::Symlink(b"ab".to_vec()));
    let right = one(vec![
        file("b", "2"),
        file("a", "2"),
        file("x.tar", "34"),
        link,
        dir("new"),
        dir("dir"),
        file("dir/f", "123"),
    ]);
    let (told, _) = container_diff(("a", &left), ("b", &right), &["file".to_owned()]).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let names: Vec<&str> =
        told[0]["Diff"]["Mods"].as_array().unwrap().iter().map(|row| row["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["/kind", "/x.tar", "/a", "/b"]);
    assert_eq!(
        told[0]["Diff"]["Adds"][0],
        json!({ "Name": "/dir", "Size": 0 }),
        "what is in it is told on its own"
    );
}

#[test]
fn a_kind_that_is_none_is_refused_with_those_there_are() {
    let nothing = image(vec![], json!({}), &[]);
    let error = container_diff(("a", &nothing), ("b", &nothing), &["rpm".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "find the differ `rpm`; there are apt, file, layer, history, metadata, size, sizelayer"
    );
}
