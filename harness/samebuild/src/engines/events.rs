//! What a builder says while it builds, as lines, and where it failed.
//!
//! Classic speaks in a stream of text with `Step 2/3 : RUN x` lines; BuildKit sends vertices (`[2/3] RUN x`), each with
//! its own log and error.

use bollard::models::{BuildInfo, BuildInfoAux};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::step_times::Stopwatch;

/// The step a build failed at, as far as the builder tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// The builder's own count, e.g. 2 of 3; BuildKit counts per stage and leaves out instructions without an
    /// operation, classic counts all.
    pub number: Option<(u32, u32)>,
    /// The instruction as the builder prints it, without the count.
    pub instruction: String,
    /// 1-based line in the Dockerfile; most failures do not print one.
    pub line: Option<u32>,
}

/// Collects a build's messages.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) log: Vec<String>,
    pub(super) image_id: Option<String>,
    /// The last `Step` line of classic, or the first vertex of BuildKit's that ended with an error.
    at: Option<String>,
    named: BTreeSet<String>,
    pub(super) watch: Stopwatch,
}

impl Events {
    pub(super) fn hear(&mut self, info: BuildInfo) {
        if let Some(text) = info.stream {
            self.stream(&text);
        }
        if let Some(status) = info.status {
            self.push(&status);
        }
        match info.aux {
            Some(BuildInfoAux::Default(image)) => self.image_id = image.id.or(self.image_id.take()),
            Some(BuildInfoAux::BuildKit(status)) => {
                for vertex in status.vertexes {
                    let time = |time: Option<(i64, i32)>| time.and_then(since_1970);
                    let [started, completed] = [&vertex.started, &vertex.completed]
                        .map(|time| time.as_ref().map(|time| (time.seconds, time.nanos)));
                    let turn = [time(started), time(completed)];
                    self.watch.vertex(&vertex.digest, &vertex.name, turn, vertex.cached);
                    self.vertex(&vertex.digest, &vertex.name, &vertex.error);
                }
                for log in status.logs {
                    self.push(&String::from_utf8_lossy(&log.msg));
                }
            }
            None => {}
        }
    }

    fn stream(&mut self, text: &str) {
        for line in text.lines() {
            self.watch.line(line, Instant::now());
            if classic_step(line).is_some() {
                self.at = Some(line.to_owned());
            }
        }
        self.push(text);
    }

    fn vertex(&mut self, digest: &str, name: &str, error: &str) {
        if self.named.insert(digest.to_owned()) {
            self.push(name);
        }
        if !error.is_empty() {
            self.push(&format!("{name}: {error}"));
            // Its siblings are cancelled and say so.
            if self.at.is_none() && !error.contains("context canceled") {
                self.at = Some(name.to_owned());
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.log.extend(text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned));
    }

    /// Once the build is known to have failed with `message`.
    pub(super) fn failed_step(&self, message: &str) -> Option<FailedStep> {
        let line = dockerfile_line(message);
        let Some(at) = &self.at else {
            return line.map(|line| FailedStep {
                number: None,
                instruction: String::new(),
                line: Some(line),
            });
        };
        let (number, instruction) = split_count(at);
        Some(FailedStep { number, instruction: instruction.to_owned(), line })
    }
}

/// `None` before 1970, which no clock of an engine says.
fn since_1970((seconds, nanos): (i64, i32)) -> Option<Duration> {
    Some(Duration::new(seconds.try_into().ok()?, nanos.try_into().ok()?))
}

/// What classic announces a step with, `Step 2/3 : RUN x`, into `2/3` and `RUN x`.
pub(super) fn classic_step(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("Step ")?.split_once(" : ")
}

/// `Step 2/3 : RUN x` or `[stage 2/3] RUN x` into the count and `RUN x`.
pub(super) fn split_count(at: &str) -> (Option<(u32, u32)>, &str) {
    let parts = classic_step(at).or_else(|| at.strip_prefix('[').and_then(|rest| rest.split_once("] ")));
    let Some((head, instruction)) = parts else { return (None, at) };
    let count = head.split_whitespace().last().and_then(|word| word.split_once('/'));
    let count = count.and_then(|(n, of)| Some((n.parse().ok()?, of.parse().ok()?)));
    (count, if count.is_some() { instruction } else { at })
}

/// The line that either builder names: `… parse error line 3: …`, `… parse error on line 3: …`, `Dockerfile:3`.
pub(super) fn dockerfile_line(message: &str) -> Option<u32> {
    ["parse error line ", "parse error on line ", "Dockerfile:", "dockerfile line "].iter().find_map(|lead| {
        let rest = &message[message.find(lead)? + lead.len()..];
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classics_last_step_is_where_it_failed() {
        let mut events = Events::default();
        events.stream("Step 1/2 : FROM samebuild.test/base:1\n");
        events.stream("Step 2/2 : RUN exit 7\n");
        let step = events.failed_step("The command '/bin/sh -c exit 7' returned a non-zero code: 7").unwrap();
        assert_eq!(step, FailedStep { number: Some((2, 2)), instruction: "RUN exit 7".into(), line: None });
    }

    #[test]
    fn buildkits_first_failed_vertex_is_where_it_failed_and_a_cancelled_one_is_not() {
        let mut events = Events::default();
        events.vertex("a", "[b 1/2] FROM x", "");
        events.vertex("c", "[c 2/9] RUN sleep 9", "context canceled");
        events.vertex("b", "[b 2/2] RUN exit 7", "executor failed: exit code: 7");
        let step = events.failed_step("executor failed").unwrap();
        assert_eq!((step.number, step.instruction.as_str()), (Some((2, 2)), "RUN exit 7"));
        assert_eq!(events.log[1..3], ["[c 2/9] RUN sleep 9", "[c 2/9] RUN sleep 9: context canceled"]);
    }

    #[test]
    fn internal_vertices_have_a_name_and_no_count() {
        assert_eq!(split_count("[internal] load build context"), (None, "[internal] load build context"));
        assert_eq!(split_count("exporting to image"), (None, "exporting to image"));
    }

    #[test]
    fn the_line_is_read_from_either_builders_words() {
        assert_eq!(dockerfile_line("dockerfile parse error line 3: unknown instruction: FOO"), Some(3));
        assert_eq!(dockerfile_line("failed to solve: dockerfile parse error on line 12: x"), Some(12));
        assert_eq!(dockerfile_line("Dockerfile:7\n----"), Some(7));
        assert_eq!(dockerfile_line("COPY failed: no source files were specified"), None);
    }
}
