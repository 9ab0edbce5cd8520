//! `.dockerignore`: which paths of the context are left out.
//!
//! Finding the file (beside the Dockerfile or at the root), and that an excluded Dockerfile is still read, is
//! left to the builder. Facts: moby/patternmatcher; issues moby/moby#30018 and docker/buildx#850 for the two
//! rules about parents.

use crate::error::Class;
use crate::glob;
use crate::syntax::{IgnoreDescent, IgnoreDoubleStar, IgnoreParents, Syntax};

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the pattern {pattern:?} of line {line} of .dockerignore: {problem}")]
pub struct IgnoreError {
    /// Always `bad-pattern`.
    pub class: Class,
    /// The line, from 1.
    pub line: usize,
    /// The pattern as normalised.
    pub pattern: String,
    /// Our words.
    pub problem: &'static str,
    /// What docker prints.
    pub builder_message: String,
}

/// The patterns of a file, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreFile {
    patterns: Vec<Pattern>,
    parents: IgnoreParents,
    descent: IgnoreDescent,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As normalised, without `!`.
    pub text: String,
    /// Whether `!` stood before it: paths it matches are taken in again.
    pub negated: bool,
    /// The line, from 1.
    pub line: usize,
    steps: Vec<Step>,
}

impl IgnoreFile {
    /// Reads the bytes of a file. Lines with `#` in the first column are comments, blanks around a pattern go,
    /// a leading `/` goes, `.` and `..` are resolved, `!` takes paths in again.
    pub fn parse(bytes: &[u8], syntax: &Syntax) -> Result<Self, IgnoreError> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.split('\n').enumerate().map(|(at, line)| (at + 1, line));
        let patterns = lines.filter_map(|(number, line)| normalised(line).map(|pattern| (number, pattern)));
        Self::compile(patterns, syntax)
    }

    /// Takes patterns that were read already, one an item, such as those of `COPY --exclude`.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>, syntax: &Syntax) -> Result<Self, IgnoreError> {
        let patterns = patterns.into_iter().enumerate().map(|(at, text)| (at + 1, text.trim().to_owned()));
        Self::compile(patterns.filter(|(_, text)| !text.is_empty()), syntax)
    }

    fn compile(
        patterns: impl Iterator<Item = (usize, String)>,
        syntax: &Syntax,
    ) -> Result<Self, IgnoreError> {
        let patterns = patterns.map(|(line, text)| Pattern::new(&clean(&text), line, syntax));
        Ok(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
            parents: syntax.ignore_parents,
            descent: syntax.ignore_descent,
        })
    }

    /// The patterns in order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether nothing is ever left out.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether `path` (relative, `/`-separated, without `.` and `..`) is left out. The last pattern that
    /// matches it or a directory above it decides. This is about one path: a walk must also leave out what
    /// lies in a directory that [`Self::skips`].
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for pattern in &self.patterns {
            if pattern.negated == excluded && self.matches(pattern, path) {
                excluded = !pattern.negated;
            }
        }
        excluded
    }

    fn matches(&self, pattern: &Pattern, path: &str) -> bool {
        if pattern.matches(path) {
            return true;
        }
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        match self.parents {
            IgnoreParents::All => above.any(|parent| pattern.matches(parent)),
            IgnoreParents::SameDepth => {
                let depth = pattern.text.matches('/').count();
                above.nth(depth).is_some_and(|parent| pattern.matches(parent))
            }
        }
    }

    /// Whether a walk does not enter the directory `path`: it is left out, and no `!` pattern is held to
    /// reach below it.
    pub fn skips(&self, path: &str) -> bool {
        self.excludes(path)
            && !self.patterns.iter().any(|pattern| pattern.negated && self.reaches(pattern, path))
    }

    fn reaches(&self, pattern: &Pattern, directory: &str) -> bool {
        let below = |text: &str| format!("{text}/").starts_with(&format!("{directory}/"));
        match self.descent {
            IgnoreDescent::LiteralPrefix => below(&pattern.text),
            IgnoreDescent::MayMatchBelow => {
                let literal = without_trailing_glob(&pattern.text);
                literal.contains(['*', '[', ']', '?', '^']) || below(literal)
            }
        }
    }
}

/// A pattern without `/**` and `/*` at its end: what is left may be literal.
fn without_trailing_glob(text: &str) -> &str {
    let text = text.strip_suffix("/**").unwrap_or(text);
    text.strip_suffix("/*").unwrap_or(text)
}

/// The pattern of a line, `None` for comments and blank lines.
fn normalised(line: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let trimmed = line.trim();
    let (mark, body) = match trimmed.strip_prefix('!') {
        Some(body) => ("!", body.trim()),
        None => ("", trimmed),
    };
    if body.is_empty() {
        return (!mark.is_empty()).then(|| mark.to_owned());
    }
    let body = clean(body);
    let body = if body.len() > 1 { body.strip_prefix('/').unwrap_or(&body) } else { &body };
    Some(format!("{mark}{body}"))
}

/// Go's `filepath.Clean`: the shortest path that means the same, without looking at any disk.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// What a pattern is made of once read. It differs from `filepath.Match` in `**`, and in that a class is one
/// of regular expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Is(char),
    /// `?`
    NotSlash,
    /// `*`
    Run,
    /// `**/`: nothing, or anything up to a slash.
    Directories,
    /// `**` at the end, or before a name with the syntax that takes any suffix.
    Anything,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    fn new(text: &str, line: usize, syntax: &Syntax) -> Result<Self, IgnoreError> {
        let (negated, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let error = |problem, says: &str| IgnoreError {
            class: Class::BadPattern,
            line,
            pattern: text.to_owned(),
            problem,
            builder_message: says.to_owned(),
        };
        if text.is_empty() {
            return Err(error("`!` needs a pattern after it", "illegal exclusion pattern: \"!\""));
        }
        let malformed = "it takes *, **, ?, [a-z], [^a-z], and a backslash before a literal one of these";
        glob::go_match(text, ".").map_err(|_| error(malformed, "syntax error in pattern"))?;
        let steps = steps(text, syntax).ok_or_else(|| error(malformed, "syntax error in pattern"))?;
        Ok(Self { text: text.to_owned(), negated, line, steps })
    }

    /// Whether the pattern matches this very path.
    pub fn matches(&self, path: &str) -> bool {
        let chars: Vec<char> = path.chars().collect();
        // Positions that the steps so far can have reached.
        let mut at = vec![false; chars.len() + 1];
        at[0] = true;
        for step in &self.steps {
            let mut next = vec![false; chars.len() + 1];
            match step {
                Step::Run => spread(&at, &mut next, &chars, |c| c != '/'),
                Step::Anything => spread(&at, &mut next, &chars, |_| true),
                Step::Directories => {
                    let mut any = vec![false; chars.len() + 1];
                    spread(&at, &mut any, &chars, |_| true);
                    for (end, reached) in next.iter_mut().enumerate() {
                        *reached = at[end] || (end > 0 && chars[end - 1] == '/' && any[end - 1]);
                    }
                }
                single => {
                    for (from, &c) in chars.iter().enumerate() {
                        next[from + 1] = at[from] && single.takes(c);
                    }
                }
            }
            at = next;
        }
        at[chars.len()]
    }
}

impl Step {
    fn takes(&self, c: char) -> bool {
        match self {
            Step::Is(literal) => c == *literal,
            Step::NotSlash => c != '/',
            Step::Class { negated, ranges } => {
                ranges.iter().any(|&(low, high)| low <= c && c <= high) != *negated
            }
            Step::Run | Step::Directories | Step::Anything => false,
        }
    }
}

/// Every position reachable from one in `from` over characters that `passes`.
fn spread(from: &[bool], to: &mut [bool], chars: &[char], passes: impl Fn(char) -> bool) {
    let mut open = false;
    for (at, reached) in to.iter_mut().enumerate() {
        open = from[at] || (open && passes(chars[at - 1]));
        *reached = open;
    }
}

fn steps(text: &str, syntax: &Syntax) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        steps.push(match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                let slash = chars.next_if_eq(&'/').is_some();
                let rest: String = chars.clone().collect();
                let whole = syntax.ignore_double_star == IgnoreDoubleStar::WholeComponents;
                // Before a slash or wildcards, and not at the start, it is a regular expression everywhere.
                let any_suffix = !whole && !slash && steps.is_empty() && !glob::has_meta(&rest);
                if rest.is_empty() || any_suffix { Step::Anything } else { Step::Directories }
            }
            '*' => Step::Run,
            '?' => Step::NotSlash,
            '[' => class(&mut chars)?,
            '\\' => Step::Is(chars.next().unwrap_or('\\')),
            c => Step::Is(c),
        });
    }
    Some(steps)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Step> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Step::Class { negated, ranges }),
            c => {
                let low = if c == '\\' { chars.next()? } else { c };
                let mut high = low;
                if chars.next_if_eq(&'-').is_some() {
                    high = match chars.next()? {
                        '\\' => chars.next()?,
                        c => c,
                    };
                }
                if low > high {
                    return None;
                }
                ranges.push((low, high));
            }
        }
    }
}
