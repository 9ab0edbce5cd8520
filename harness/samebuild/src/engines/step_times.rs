//! What each step of a build took, from what its builder says while it builds: classic announces a step when it begins,
//! BuildKit sends when each vertex began and ended, and so, to a tenth of a second, does what Docker's client prints of it.
//! Which instruction of a Dockerfile a step is, is the harness's to find.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::events::{classic_step, split_count};

/// A step that was timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedStep {
    /// The builder's own count, e.g. 2 of 3; see [`super::FailedStep`].
    pub number: Option<(u32, u32)>,
    /// The instruction as the builder prints it, without the count.
    pub instruction: String,
    pub elapsed: Duration,
    /// Whether nothing was done, because it had been done before.
    pub cached: bool,
}

/// Listens to one build.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// Classic's steps, and the moment at which nothing of the last one was left to do.
    announced: Vec<(String, Instant, bool)>,
    over: Option<Instant>,
    /// BuildKit's vertices, in the order in which they were first heard of, by their digest or the client's number.
    vertices: Vec<Vertex>,
    by_key: BTreeMap<String, usize>,
}

#[derive(Debug, Default)]
struct Vertex {
    name: String,
    /// When it ended, by when it began, since 1970: it may take several turns, and each may be told several times.
    turns: BTreeMap<Duration, Duration>,
    cached: bool,
}

impl Stopwatch {
    /// A line of classic's, or of what the client prints.
    pub(super) fn line(&mut self, line: &str, now: Instant) {
        if classic_step(line).is_some() {
            self.announced.push((line.to_owned(), now, false));
        } else if line.trim() == "---> Using cache" {
            self.announced.last_mut().into_iter().for_each(|step| step.2 = true);
        } else if line.starts_with("Successfully built ") {
            self.over = Some(now);
        } else if let Some((key, said)) = line.strip_prefix('#').and_then(|rest| rest.split_once(' ')) {
            self.plain(key, said);
        }
    }

    /// `#5 [2/3] RUN x`, later `#5 DONE 0.3s` or `#5 CACHED`.
    fn plain(&mut self, key: &str, said: &str) {
        let done = said.strip_prefix("DONE ").and_then(|time| time.strip_suffix('s')?.parse().ok());
        match done.map(Duration::try_from_secs_f64) {
            Some(Ok(elapsed)) => {
                self.of(key, "").turns.insert(Duration::ZERO, elapsed);
            }
            _ if said == "CACHED" => self.of(key, "").cached = true,
            _ if !self.by_key.contains_key(key) => drop(self.of(key, said).turns.len()),
            _ => {}
        }
    }

    /// News of a vertex; times since 1970.
    pub(super) fn vertex(
        &mut self,
        digest: &str,
        name: &str,
        [started, completed]: [Option<Duration>; 2],
        cached: bool,
    ) {
        let vertex = self.of(digest, name);
        vertex.cached |= cached;
        if let (Some(started), Some(completed)) = (started, completed) {
            vertex.turns.insert(started, completed);
        }
    }

    fn of(&mut self, key: &str, name: &str) -> &mut Vertex {
        let next = self.vertices.len();
        let index = *self.by_key.entry(key.to_owned()).or_insert(next);
        if index == next {
            self.vertices.push(Vertex { name: name.to_owned(), ..Vertex::default() });
        }
        &mut self.vertices[index]
    }

    /// All steps, in the order in which they began; the build ended `now`.
    pub(super) fn steps(&self, now: Instant) -> Vec<TimedStep> {
        let ends = self.announced.iter().skip(1).map(|(_, begun, _)| *begun);
        let ends = ends.chain([self.over.unwrap_or(now)]);
        let classic =
            self.announced.iter().zip(ends).map(|((line, begun, cached), end)| {
                timed(line, end.saturating_duration_since(*begun), *cached)
            });
        // 26.1 announces all of them at once, the last first.
        let mut steps: Vec<&Vertex> =
            self.vertices.iter().filter(|vertex| split_count(&vertex.name).0.is_some()).collect();
        steps.sort_by_key(|vertex| vertex.turns.keys().next().copied().unwrap_or(Duration::MAX));
        let buildkit = steps.into_iter().map(|vertex| {
            let turns = vertex.turns.iter().map(|(begun, end)| end.saturating_sub(*begun));
            timed(&vertex.name, turns.sum(), vertex.cached)
        });
        classic.chain(buildkit).collect()
    }
}

fn timed(announced: &str, elapsed: Duration, cached: bool) -> TimedStep {
    let (number, instruction) = split_count(announced);
    TimedStep { number, instruction: instruction.to_owned(), elapsed, cached }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2/3 RUN x 40 ms`, and whether it was cached.
    fn told(steps: &[TimedStep]) -> Vec<String> {
        let tell = |step: &TimedStep| {
            let (number, of) = step.number.unwrap_or_default();
            let cached = if step.cached { ", cached" } else { "" };
            format!("{number}/{of} {} {} ms{cached}", step.instruction, step.elapsed.as_millis())
        };
        steps.iter().map(tell).collect()
    }

    #[test]
    fn a_step_of_classic_lasts_until_the_next_one_and_the_last_until_it_is_built() {
        let (begun, mut watch) = (Instant::now(), Stopwatch::default());
        let at = |ms| begun + Duration::from_millis(ms);
        for (line, ms) in [
            ("Step 1/2 : FROM x", 10),
            (" ---> 0123", 11),
            ("Step 2/2 : RUN y", 30),
            (" ---> Using cache", 31),
            ("Successfully built 0123", 70),
        ] {
            watch.line(line, at(ms));
        }
        let steps = watch.steps(at(900));
        assert_eq!(told(&steps), ["1/2 FROM x 20 ms", "2/2 RUN y 40 ms, cached"]);
    }

    #[test]
    fn vertices_come_as_they_began_and_one_told_twice_counts_once() {
        let mut watch = Stopwatch::default();
        let at = |ms| Some(Duration::from_millis(ms));
        watch.vertex("a", "[internal] load", [at(0), at(9)], false);
        watch.vertex("c", "[2/2] RUN z", [at(30), at(31)], false);
        watch.vertex("b", "[2/2] RUN y", [at(10), None], false);
        for _ in 0..2 {
            watch.vertex("b", "[2/2] RUN y", [at(10), at(12)], false);
        }
        watch.vertex("b", "[2/2] RUN y", [at(20), at(23)], false);
        assert_eq!(told(&watch.steps(Instant::now())), ["2/2 RUN y 5 ms", "2/2 RUN z 1 ms"]);
    }

    #[test]
    fn what_the_client_prints_of_vertices_is_read_too() {
        let (mut watch, now) = (Stopwatch::default(), Instant::now());
        for line in ["#5 [2/3] RUN y", "#5 0.112 hello", "#6 [3/3] COPY a /a", "#5 DONE 0.3s", "#6 CACHED"] {
            watch.line(line, now);
        }
        let steps = watch.steps(now);
        assert_eq!(told(&steps), ["2/3 RUN y 300 ms", "3/3 COPY a /a 0 ms, cached"]);
    }
}
