//! Platforms: this machine's, those a command line or a FROM names, and what an image says it is for.

use samebuild_image::manifest::Platform;
use serde_json::{Map, Value};

/// What programs of this machine run on, as images name it.
pub fn own_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86" => "386",
        other => other,
    };
    Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }.normal()
}

/// Whether this machine runs programs for `platform` without emulating anything.
pub fn runs(platform: &Platform) -> bool {
    let own = own_platform();
    let older = own.architecture == "amd64" && platform.architecture == "386";
    own.takes(platform) || (platform.os == own.os && older)
}

/// The systems that may be named alone.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
/// The architectures that may be named alone, under any name that [`Platform::normal`] knows them by.
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

/// A platform as Docker takes it: `os/architecture[/variant]`, or an architecture alone, or this machine's on another
/// system.
///
/// # Errors
/// It is none; the text names what is accepted.
pub fn platform_of(text: &str) -> Result<Platform, String> {
    let own = own_platform();
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let lower = text.to_ascii_lowercase();
    let on_own_system = Platform { architecture: lower.clone(), ..own.clone() }.normal();
    let whole = if SYSTEMS.contains(&lower.as_str()) {
        format!("{lower}/{}", own.architecture)
    } else if ARCHITECTURES.contains(&on_own_system.architecture.as_str()) {
        format!("{}/{lower}", own.os)
    } else {
        lower
    };
    let parsed = whole.parse().ok().filter(|_| whole.split('/').all(is_word));
    let accepted = "os/architecture[/variant], as linux/amd64 or linux/arm/v7";
    parsed
        .map(|platform: Platform| platform.normal())
        .ok_or_else(|| format!("`{text}` is no platform; accepted: {accepted}"))
}

/// A platform as the configuration of an image states it.
pub(crate) fn fields(platform: &Platform) -> serde_json::Map<String, serde_json::Value> {
    let stated = [
        ("architecture", Some(&platform.architecture)),
        ("os", Some(&platform.os)),
        ("variant", platform.variant.as_ref()),
    ];
    stated.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.clone().into()))).collect()
}

/// What the configuration of an image says it is for.
pub(crate) fn stated(config: &Map<String, Value>) -> Option<Platform> {
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    let (os, architecture) = (text("os")?, text("architecture")?);
    Some(Platform { os, architecture, variant: text("variant") }.normal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_may_be_named_in_part() {
        let own = own_platform();
        for (text, platform) in [
            ("linux/arm64/v8", "linux/arm64".to_owned()),
            ("arm64", "linux/arm64".to_owned()),
            ("linux", own.to_string()),
            ("AArch64", "linux/arm64".to_owned()),
            ("armhf", "linux/arm/v7".to_owned()),
            ("armel", "linux/arm/v6".to_owned()),
            ("linux/armel", "linux/arm/v6".to_owned()),
        ] {
            assert_eq!(platform_of(text).map(|platform| platform.to_string()), Ok(platform));
        }
        for text in ["", "foo", "a/b/c/d", "linux/", "linux/$ARCH"] {
            assert!(platform_of(text).is_err_and(|why| why.contains("linux/arm/v7")), "{text}");
        }
    }
}
