//! `samebuild diff` as a person, a program, a CI and a browser meet it: two images on disk, told in every format, with
//! contents that try to be more than text.

#[path = "../place/mod.rs"]
#[expect(dead_code, reason = "no base image is needed here")]
mod place;
mod schema;

use std::process::Command;

use place::Place;
use samebuild_image::{At, Content, Entry, Image, Kind, Layer, Meta, Mtime, TarStyle};
use serde_json::{Value, json};

/// What an image may say to whoever reads a report.
const HOSTILE: &str =
    "\u{1b}[31m<script>document.title='owned'</script><img src=x onerror=x>|`@all`\u{202e}]]>&\"'";

fn file(path: &str, text: &str, secs: i64) -> Entry {
    let kind = Kind::File(Content::inline(text.as_bytes()));
    Entry::new(At::from(path), kind, Meta::new(0o644, Mtime::secs(secs)))
}

fn dir(path: &str) -> Entry {
    Entry::new(At::from(path), Kind::Dir, Meta::new(0o755, Mtime::secs(5)))
}

fn image(layers: Vec<(&str, Vec<Entry>)>, config: Value) -> Image {
    let history: Vec<Value> = layers.iter().map(|(by, _)| json!({ "created_by": by })).collect();
    let layer = |(_, entries)| Layer { entries, ..Layer::default() };
    let config = json!({ "architecture": "amd64", "os": "linux", "config": config, "history": history });
    Image {
        config: config.as_object().unwrap().clone(),
        layers: layers.into_iter().map(layer).collect(),
        ..Image::default()
    }
}

fn put(place: &Place, name: &str, image: &Image) {
    samebuild::stored::write_layout(image, None, &place.path().join(name), TarStyle::PLAIN).unwrap();
}

const DOCKERFILE: &str = "FROM scratch\nCOPY a /srv/\nRUN touch /var/log/dpkg.log\n";

/// A place with the images `left` and `right`, and a Dockerfile for both.
fn pair() -> Place {
    let place = Place::of(&[("Dockerfile", DOCKERFILE)]);
    let hostile = format!("srv/{}", HOSTILE.replace('/', "%"));
    let side = |text: &str, secs: i64, label: &str| {
        let copied =
            vec![dir("srv"), file("srv/a", text, secs), file(&hostile, &format!("{HOSTILE}\n{text}"), 5)];
        let ran = vec![dir("var"), dir("var/log"), file("var/log/dpkg.log", &format!("{secs}"), 5)];
        let layers = vec![
            ("COPY a /srv/ # buildkit", copied),
            ("RUN /bin/sh -c touch /var/log/dpkg.log # buildkit", ran),
        ];
        image(layers, json!({ "Labels": { HOSTILE: label } }))
    };
    put(&place, "left", &side("hello\n", 100, "1"));
    put(&place, "right", &side("hallo\n", 160, HOSTILE));
    place
}

/// `samebuild diff left right` with these arguments: exit code and stdout.
fn diff(place: &Place, args: &[&str]) -> (i32, String) {
    let output = place.command(&[&["diff", "left", "right"], args].concat()).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_person_is_told_the_findings_first_then_each_with_its_line_rows_and_fix() {
    let place = pair();
    let (code, told) = diff(&place, &["--dockerfile", "Dockerfile"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with('┌'), "a table first: {told}");
    let (_, blocks) = told.split_once("\n\n").unwrap();
    assert!(
        blocks.contains("Dockerfile:2 │ COPY a /srv/\n") && blocks.contains("│ ────────────\n"),
        "{blocks}"
    );
    assert!(blocks.contains("log-left-behind: A log of the build is in the image"), "{blocks}");
    assert!(blocks.contains("     -hello\n     +hallo\n"), "{blocks}");
    assert!(blocks.contains("every time on the right is 60 s later"), "{blocks}");
    assert_eq!(told.lines().last().unwrap(), "5 differences of 4 causes");
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
    assert!(!told.contains('\u{202e}'));
}

#[test]
fn what_is_ignored_is_counted_and_everything_ignored_is_the_same() {
    let place = pair();
    let (code, told) = diff(
        &place,
        &["--ignore", "path=/srv/**", "--ignore", "cause=log-left-behind", "--ignore", "rule=labels"],
    );
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("ignored: 3 differences by path=/srv/**"), "{told}");
    assert_eq!(told.lines().last().unwrap(), "same, but for 5 differences, ignored");
    std::fs::write(
        place.path().join("samebuild.toml"),
        "[[ignore]]\ncause = \"context-times\"\nwhy = \"git\"\n",
    )
    .unwrap();
    let (code, told) = diff(&place, &[]);
    assert_eq!(code, 1);
    assert!(told.contains("ignored: 1 difference by cause=context-times (git)"), "{told}");
    let refused = place.command(&["diff", "left", "right", "--ignore", "cause=moon"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("explain --list"), "{refused:?}");
}

#[test]
fn data_is_as_the_published_schema_says() {
    let place = pair();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diff.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for args in
        [&["--dockerfile", "Dockerfile"][..], &[], &["--ignore", "path=/**"], &["--ignore", "rule=mtime"]]
    {
        let (_, told) = diff(&place, &[&["--format", "json"], args].concat());
        let json: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(schema::errors(&schema, &schema, &json, ""), Vec::<String>::new());
    }
    let (_, told) = diff(&place, &["--format", "json", "--ignore", "rule=content"]);
    let json: Value = serde_json::from_str(&told).unwrap();
    let (findings, differences) =
        (json["findings"].as_array().unwrap(), json["differences"].as_array().unwrap());
    for finding in findings {
        for number in finding["differences"].as_array().unwrap() {
            let row = &differences[number.as_u64().unwrap() as usize];
            assert_eq!(row["cause"], finding["cause"], "numbers are those of what is printed");
        }
    }
    let mut spoilt = json.clone();
    spoilt["findings"][0]["severity"] = json!("grave");
    spoilt["more"] = json!(1);
    assert_eq!(schema::errors(&schema, &schema, &spoilt, "").len(), 2, "the test can fail");
}

#[test]
fn no_format_lets_an_image_say_more_than_text() {
    let place = pair();
    for format in ["html", "markdown", "junit"] {
        let (code, told) = diff(&place, &["--format", format]);
        assert_eq!(code, 1);
        assert!(!told.contains("<script") && !told.contains("<img"), "{format}: {told}");
        assert!(!told.contains(['\u{1b}', '\u{202e}']), "{format}");
        assert!(!told.contains("]]>") && (format != "markdown" || !told.contains("`@all")), "{format}");
    }
    let (_, comment) = diff(&place, &["--format", "markdown"]);
    for row in comment.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(row.matches('|').count(), 5, "{row}");
    }
}

#[test]
fn junit_is_xml_in_which_every_tag_is_closed_and_the_counts_are_right() {
    let place = pair();
    let (_, told) = diff(&place, &["--format", "junit", "--ignore", "rule=labels"]);
    let mut open: Vec<String> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for tag in told.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag ends").0) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_owned();
        match tag {
            _ if tag.starts_with('?') => {}
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name)),
            _ if tag.ends_with('/') => seen.push(name),
            _ => {
                seen.push(name.clone());
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    let count = |name: &str| seen.iter().filter(|seen| *seen == name).count();
    assert_eq!((count("testcase"), count("failure"), count("skipped")), (4, 3, 1), "{told}");
    assert!(told.contains("tests=\"4\" failures=\"3\" errors=\"0\" skipped=\"1\""), "{told}");
}

#[test]
fn a_browser_shows_the_page_and_nothing_of_an_image_runs() {
    let place = pair();
    let (_, page) = diff(&place, &["--format", "html", "--dockerfile", "Dockerfile"]);
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded");
    std::fs::write(place.path().join("page.html"), page).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let browser = std::env::split_paths(&path)
        .flat_map(|dir| ["chromium", "chromium-browser", "google-chrome"].map(|name| dir.join(name)))
        .find(|path| path.is_file());
    let Some(browser) = browser else {
        println!("not exercised: there is no chromium on PATH (Debian's package has it)");
        return;
    };
    let url = format!("file://{}", place.path().join("page.html").display());
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=2000"])
        .arg(format!("--user-data-dir={}", place.path().join("profile").display()))
        .arg(url)
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    if dom.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        println!("not exercised: chromium does not run here: {}", said.lines().last().unwrap_or_default());
        return;
    }
    assert!(dom.contains("<h1>5 differences of 4 causes</h1>"), "{dom}");
    for section in ["findings", "layers", "tree"] {
        assert!(dom.contains(&format!("<section id=\"{section}\">")), "{section}: {dom}");
    }
    let bars = dom.matches("<rect").count();
    assert!(bars >= 4 && dom.contains("/var/log 3 B"), "a bar a directory on both sides, {bars}: {dom}");
    assert!(dom.contains("class=\"differs\"") && dom.contains("class=\"stacked\""), "{dom}");
    // As the browser understood it: what an image says is text, and there is no element but ours.
    assert!(!dom.contains("<script") && !dom.contains("<img") && !dom.contains("<title>owned"), "{dom}");
    assert!(dom.contains("&lt;script&gt;"), "{dom}");
}

#[test]
fn container_diffs_readers_are_served_and_its_exit_code_is_honest_when_asked() {
    let place = pair();
    let (code, told) = diff(&place, &["--format", "container-diff", "--type", "file", "--type", "metadata"]);
    assert_eq!(code, 0, "as container-diff: 0 whatever differs");
    assert!(told.starts_with("[\n  {\n    \"Image1\": \"left\",\n    \"Image2\": \"right\",\n    \"DiffType\": \"File\",\n    \"Diff\": {\n      \"Adds\": null,"), "{told}");
    assert!(told.ends_with(']') && told.contains("\\u003cscript\\u003e"), "{told}");
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (json[0]["DiffType"].as_str(), json[1]["DiffType"].as_str()),
        (Some("File"), Some("Metadata"))
    );
    assert_eq!(diff(&place, &["--format", "container-diff", "--type", "file", "--exit-code"]).0, 1);
    let same = place
        .command(&["diff", "left", "left", "--format", "container-diff", "--exit-code"])
        .output()
        .unwrap();
    assert_eq!(same.status.code(), Some(0));
    for args in [
        &["--format", "container-diff", "--type", "rpm"][..],
        &["--type", "file"],
        &["--format", "container-diff", "--ignore", "rule=mtime"],
    ] {
        assert_eq!(diff(&place, args).0, 2, "{args:?}");
    }
}
