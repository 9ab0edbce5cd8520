//! `FROM --platform`: whether it names a platform. Which image of several it takes is not asked here: there is one.

use samebuild_dockerfile::Word;

use crate::failure::StepFailure;
use crate::from::visible_globals;
use crate::session::Session;

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
    "i386",
    "x86_64",
    "x86-64",
    "aarch64",
    "armhf",
    "armel",
];

/// Refuses a `--platform` that is none. The flag without a value is as good as absent.
pub(crate) fn check(platform: Option<&Word>, session: &Session<'_>) -> Result<(), StepFailure> {
    let Some(word) = platform.filter(|word| !word.text.is_empty()) else { return Ok(()) };
    let expanded = session.expander.word(&word.text, &visible_globals(session));
    let text = expanded
        .map_err(|error| StepFailure::new(error.class.slug(), error.message).says(error.builder_message))?;
    if is_platform(&text) {
        return Ok(());
    }
    let message = format!(
        "start from an image for the platform {text:?}; write OS/ARCHITECTURE[/VARIANT], as linux/arm64"
    );
    Err(StepFailure::new("bad-platform", message).at(word.span))
}

/// One to three parts; one alone has to be a system or an architecture.
fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let is_word = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    match parts.as_slice() {
        [one] => {
            let lower = one.to_ascii_lowercase();
            SYSTEMS.contains(&lower.as_str()) || ARCHITECTURES.contains(&lower.as_str())
        }
        several => several.len() <= 3 && several.iter().all(is_word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_told_from_other_words() {
        for (text, is_one) in [
            ("linux/amd64", true),
            ("arm64", true),
            ("linux/arm/v7", true),
            ("", false),
            ("foo", false),
            ("linux/", false),
            ("a/b/c/d", false),
        ] {
            assert_eq!(is_platform(text), is_one, "{text}");
        }
    }
}
