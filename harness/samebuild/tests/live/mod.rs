//! What the live tests share: which engines were asked for, and why none can be had. What is tried on them is theirs.

use libtest_mimic::{Failed, Trial};

/// The engines of `SAMEBUILD_LIVE`, and the reason why nothing can be exercised, if there is one; it is printed with
/// `file`'s name unless trials are only listed. Without engines one stands in, so that the trials can be listed.
pub fn engines(file: &str, only_listed: bool) -> (Vec<String>, Option<&'static str>) {
    let live = std::env::var("SAMEBUILD_LIVE").unwrap_or_default();
    let mut names: Vec<String> = live.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let unmet = if names.is_empty() {
        Some("SAMEBUILD_LIVE is not set; try SAMEBUILD_LIVE=docker-20.10")
    } else if !nix::unistd::geteuid().is_root() {
        Some("a private engine needs root")
    } else {
        None
    };
    if let Some(reason) = unmet.filter(|_| !only_listed) {
        eprintln!("{file}: not exercised: {reason}");
    }
    if names.is_empty() {
        names.push("docker-20.10".to_owned());
    }
    (names, unmet)
}

/// A trial; where something is unmet it is listed as ignored, and says why if it is run all the same.
pub fn trial(
    title: String,
    unmet: Option<&str>,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let reason = unmet.map(str::to_owned);
    let is_ignored = reason.is_some();
    let run = move || match reason {
        Some(reason) => Err(format!("not exercised: {reason}").into()),
        None => run(),
    };
    Trial::test(title, run).with_ignored_flag(is_ignored)
}
