//! The language of rules: `hold DELETE /images/* until POST */tag == 201`. One line each; what they do to a request is
//! `gates`' affair.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One rule: what is done to which requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) text: String,
    pub(super) matches: Pattern,
    /// Only the nth request (from 1) that matches.
    pub(super) nth: Option<u32>,
    pub(super) action: Action,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Kept from the engine until the event, or until the time is over.
    Hold { until: Event, at_most: Option<Duration> },
    /// Kept from the engine for so long.
    Delay(Duration),
    /// Both connections are closed once so many bytes of the response, head included, have passed.
    Drop { after: u64 },
    /// One bit of this byte of the response, head included and counted from 0, is turned.
    Flip { at: u64 },
    /// The response passes no faster than so.
    Slow { bytes_a_second: u64 },
    /// Never reaches the engine; answered with this status.
    Error(u16),
    /// Reaches the engine as a request of this version of its API: some clients speak their newest to whomever they meet.
    Speak(String),
}

/// A response has passed to its client, to its last byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) matches: Pattern,
    pub(super) status: Option<u16>,
    /// Only one that passes after the request has come; else any since the proxy began counts.
    pub(super) next: bool,
}

/// Method and path; `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    method: String,
    path: String,
}

/// Every form a rule has: its word, its grammar. Times are in milliseconds.
const FORMS: [(&str, &str); 8] = [
    ("hold", "hold METHOD PATH until [next] METHOD PATH [== STATUS] [or MS]"),
    ("reorder", "reorder METHOD PATH after METHOD PATH"),
    ("delay", "delay METHOD PATH by MS"),
    ("drop", "drop METHOD PATH after BYTES"),
    ("flip", "flip METHOD PATH at BYTE"),
    ("slow", "slow METHOD PATH to BYTES-A-SECOND"),
    ("error", "error METHOD PATH with STATUS"),
    ("speak", "speak METHOD PATH as VERSION"),
];

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("understand the rule `{text}`: {why}; accepted: {accepted}")]
pub struct RuleError {
    text: String,
    why: String,
    accepted: String,
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        let mut words = Words { text, rest: text.split_whitespace(), form: "" };
        let verb = words.next("a verb")?;
        let Some((_, form)) = FORMS.iter().find(|(word, _)| *word == verb) else {
            let accepted = FORMS.map(|(_, form)| form).join("; ");
            let why = format!("it begins with `{verb}`");
            return Err(RuleError { text: text.to_owned(), why, accepted });
        };
        words.form = form;
        let (method, nth) = words.method_nth()?;
        let matches = words.pattern(method)?;
        let action = match verb {
            "hold" => {
                words.keyword("until")?;
                let mut method = words.next("a method")?;
                let next = method == "next";
                if next {
                    method = words.next("a method")?;
                }
                let mut until = Event { matches: words.pattern(method)?, status: None, next };
                let mut at_most = None;
                while let Some(word) = words.rest.next() {
                    match word {
                        "==" if until.status.is_none() => until.status = Some(words.status()?),
                        "or" if at_most.is_none() => at_most = Some(words.milliseconds()?),
                        other => return Err(words.wrong(format!("`{other}` is not expected here"))),
                    }
                }
                Action::Hold { until, at_most }
            }
            "reorder" => {
                words.keyword("after")?;
                let method = words.next("a method")?;
                let until = Event { matches: words.pattern(method)?, status: None, next: true };
                Action::Hold { until, at_most: None }
            }
            "delay" => {
                words.keyword("by")?;
                Action::Delay(words.milliseconds()?)
            }
            "drop" => {
                words.keyword("after")?;
                Action::Drop { after: words.number("a number of bytes")? }
            }
            "flip" => {
                words.keyword("at")?;
                Action::Flip { at: words.number("the number of a byte")? }
            }
            "slow" => {
                words.keyword("to")?;
                let bytes_a_second = words.number("a number of bytes a second")?;
                if bytes_a_second == 0 {
                    return Err(words.wrong("nothing would pass; write at least 1".to_owned()));
                }
                Action::Slow { bytes_a_second }
            }
            "speak" => {
                words.keyword("as")?;
                let version = words.next("a version")?;
                if !is_version(version) {
                    return Err(words.wrong(format!("`{version}` is no version; write it as in `1.41`")));
                }
                Action::Speak(version.to_owned())
            }
            _ => {
                words.keyword("with")?;
                Action::Error(words.status()?)
            }
        };
        match words.rest.next() {
            Some(word) => Err(words.wrong(format!("`{word}` is not expected here"))),
            None => Ok(Rule { text: text.to_owned(), matches, nth, action }),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether a request is meant. The query and the API's version (`/v1.41`) do not count.
    pub(super) fn is(&self, method: &str, target: &str) -> bool {
        (self.method == "*" || self.method == method) && like(self.path.as_bytes(), plain(target).as_bytes())
    }
}

impl Event {
    pub(super) fn is(&self, method: &str, target: &str, status: u16) -> bool {
        self.status.is_none_or(|wanted| wanted == status) && self.matches.is(method, target)
    }
}

/// The path without query and API version.
fn plain(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or(target);
    version(path).map_or(path, |version| &path["/v".len() + version.len()..])
}

/// The version of the API that a target begins with: `1.41` of `/v1.41/info`.
pub(super) fn version(target: &str) -> Option<&str> {
    let (version, _) = target.strip_prefix("/v")?.split_once('/')?;
    is_version(version).then_some(version)
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// `*` matches anything, slashes too. Linear but for the last star.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star_p, star_t)) = star {
            (p, t) = (star_p + 1, star_t + 1);
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

struct Words<'a> {
    text: &'a str,
    rest: std::str::SplitWhitespace<'a>,
    form: &'static str,
}

impl<'a> Words<'a> {
    fn wrong(&self, why: String) -> RuleError {
        RuleError { text: self.text.to_owned(), why, accepted: self.form.to_owned() }
    }

    fn next(&mut self, what: &str) -> Result<&'a str, RuleError> {
        self.rest.next().ok_or_else(|| self.wrong(format!("{what} is missing")))
    }

    fn keyword(&mut self, wanted: &str) -> Result<(), RuleError> {
        let word = self.next(&format!("`{wanted}`"))?;
        if word == wanted {
            Ok(())
        } else {
            Err(self.wrong(format!("`{word}` is there instead of `{wanted}`")))
        }
    }

    /// `DELETE`, or `DELETE#2` for the second only.
    fn method_nth(&mut self) -> Result<(&'a str, Option<u32>), RuleError> {
        let word = self.next("a method")?;
        let Some((method, nth)) = word.split_once('#') else { return Ok((word, None)) };
        match nth.parse() {
            Ok(nth) if nth > 0 => Ok((method, Some(nth))),
            _ => Err(self.wrong(format!("`{word}` counts with `{nth}`, which is no number from 1"))),
        }
    }

    fn pattern(&mut self, method: &str) -> Result<Pattern, RuleError> {
        if method != "*" && (method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return Err(self.wrong(format!("`{method}` is no method; write it as in `DELETE`, or `*`")));
        }
        let path = self.next("a path")?;
        if !path.starts_with(['/', '*']) {
            return Err(self.wrong(format!("`{path}` is no path; it begins with `/` or `*`")));
        }
        Ok(Pattern { method: method.to_owned(), path: path.to_owned() })
    }

    fn status(&mut self) -> Result<u16, RuleError> {
        let status = self.number("a status")?;
        let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status));
        status.ok_or_else(|| self.wrong("a status is a number from 100 to 599".to_owned()))
    }

    fn milliseconds(&mut self) -> Result<Duration, RuleError> {
        let word = self.next("a time in milliseconds")?;
        let number = word.strip_suffix("ms").unwrap_or(word);
        let time = number.parse().map(Duration::from_millis);
        time.map_err(|_| self.wrong(format!("`{word}` is no time in milliseconds")))
    }

    fn number(&mut self, what: &str) -> Result<u64, RuleError> {
        let word = self.next(what)?;
        word.parse().map_err(|_| self.wrong(format!("`{word}` is not {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn error(text: &str) -> String {
        text.parse::<Rule>().unwrap_err().to_string()
    }

    #[test]
    fn the_rule_of_the_manual_holds_deletes_until_a_tag_was_answered() {
        let rule = rule("hold DELETE /images/* until POST */tag == 201");
        assert!(rule.matches.is("DELETE", "/v1.41/images/sha256:ab?force=1"));
        assert!(!rule.matches.is("GET", "/v1.41/images/json"));
        let Action::Hold { until, at_most: None } = rule.action else { panic!("{:?}", rule.action) };
        assert!(until.is("POST", "/v1.41/images/x/tag?repo=r", 201));
        assert!(!until.is("POST", "/v1.41/images/x/tag?repo=r", 500));
        assert!(!until.is("POST", "/v1.41/images/x/tags", 201));
    }

    #[test]
    fn the_version_of_the_api_is_not_part_of_a_path() {
        assert_eq!(plain("/v1.41/images/a/b?x=/c"), "/images/a/b");
        assert_eq!(plain("/volumes/v"), "/volumes/v");
        assert_eq!(plain("/v2"), "/v2");
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in [("*", ""), ("/a*", "/a/b/c"), ("*/tag", "/x/tag/tag"), ("/*/b/*", "/a/b/b/c")]
        {
            assert!(like(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("/a", "/ab"), ("*b", "/bc"), ("/a/*/c", "/a/c")] {
            assert!(!like(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(rule("delay DELETE /images/* by 500").action, Action::Delay(Duration::from_millis(500)));
        assert_eq!(rule("delay * * by 5ms").action, Action::Delay(Duration::from_millis(5)));
        assert_eq!(rule("drop GET /events after 10").action, Action::Drop { after: 10 });
        assert_eq!(rule("flip GET */blobs/* at 999").action, Action::Flip { at: 999 });
        assert_eq!(rule("slow GET * to 1000").action, Action::Slow { bytes_a_second: 1000 });
        assert_eq!(rule("error POST /build with 500").action, Action::Error(500));
        assert_eq!(rule("error DELETE#3 * with 409").nth, Some(3));
        let Action::Hold { until, at_most } = rule("hold GET /a until next * /b == 200 or 30").action else {
            panic!("not a hold")
        };
        assert!(until.next && until.status == Some(200) && at_most == Some(Duration::from_millis(30)));
        assert!(matches!(rule("reorder GET /a after POST /b").action, Action::Hold { .. }));
        assert_eq!(rule("speak * * as 1.41").action, Action::Speak("1.41".to_owned()));
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_place_and_the_grammar() {
        let all = error("freeze DELETE /x");
        assert!(
            all.contains("begins with `freeze`") && FORMS.iter().all(|(_, form)| all.contains(form)),
            "{all}"
        );
        for (text, why) in [
            ("", "a verb is missing"),
            ("hold", "a method is missing"),
            ("hold delete /x until POST /y", "`delete` is no method"),
            ("hold DELETE images until POST /y", "`images` is no path"),
            ("hold DELETE /x while POST /y", "`while` is there instead of `until`"),
            ("hold DELETE /x until POST /y == ok", "`ok` is not a status"),
            ("hold DELETE /x until POST /y == 99", "from 100 to 599"),
            ("hold DELETE /x until POST /y and", "`and` is not expected here"),
            ("delay DELETE /x by soon", "`soon` is no time in milliseconds"),
            ("delay DELETE#0 /x by 1", "no number from 1"),
            ("slow GET * to 0", "nothing would pass"),
            ("error DELETE /x with 500 please", "`please` is not expected here"),
            ("speak * * as v1.41", "`v1.41` is no version"),
        ] {
            let error = error(text);
            assert!(error.contains(why) && error.contains("accepted: "), "{error}");
        }
    }
}
