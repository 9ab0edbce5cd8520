//! Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` is any run, `?` any character, no brackets.
//!
//! Matching is leftmost, then greedy or not, as a regular expression engine would do it, but in bounded time.

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Is(char),
    Any,
    Run,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
}

/// Steps times characters that a match may take; beyond it, memory would be the limit.
const LARGEST: usize = 1 << 24;

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(crate) enum PatternError {
    /// `\x` where only `\*`, `\?`, `\\`, `\}` and `\/` may stand.
    BadEscape {
        /// The pattern as the builder shows it.
        shown: String,
        /// What was escaped, `None` at the end.
        escaped: Option<char>,
    },
    /// Pattern and value together are more than we match.
    TooLarge,
}

/// `value` without the shortest (or longest) prefix that matches `pattern`.
pub(crate) fn trim_prefix(pattern: &str, value: &str, longest: bool) -> Result<String, PatternError> {
    let compiled = Pattern::parse(pattern)?;
    let chars: Vec<char> = value.chars().collect();
    let end = Search::new(&compiled, &chars, longest)?.match_at(0).unwrap_or(0);
    Ok(chars[end..].iter().collect())
}

/// `value` without the shortest (or longest) suffix that matches `pattern`.
pub(crate) fn trim_suffix(pattern: &str, value: &str, longest: bool) -> Result<String, PatternError> {
    // Both are reversed, so that the builder's message shows the pattern backwards. So do we.
    let backwards = reversed(pattern);
    let value: String = value.chars().rev().collect();
    let rest = trim_prefix(&backwards, &value, longest)?;
    Ok(rest.chars().rev().collect())
}

/// Backwards, but `\x` stays in order.
fn reversed(pattern: &str) -> String {
    let mut units: Vec<String> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let mut unit = c.to_string();
        if c == '\\' {
            unit.extend(chars.next());
        }
        units.push(unit);
    }
    units.iter().rev().map(String::as_str).collect()
}

impl Pattern {
    pub(crate) fn parse(pattern: &str) -> Result<Self, PatternError> {
        let mut steps = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            steps.push(match c {
                '*' => Step::Run,
                '?' => Step::Any,
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '?' | '\\')) => Step::Is(escaped),
                    escaped => return Err(PatternError::BadEscape { shown: pattern.to_owned(), escaped }),
                },
                c => Step::Is(c),
            });
        }
        steps.dedup_by(|right, left| *right == Step::Run && *left == Step::Run);
        Ok(Self { steps })
    }

    /// Replaces the first match, literally.
    pub(crate) fn replace_first(&self, value: &str, replacement: &str) -> Result<String, PatternError> {
        let chars: Vec<char> = value.chars().collect();
        let Some((start, end)) = Search::new(self, &chars, true)?.find(0) else {
            return Ok(value.to_owned());
        };
        let mut out: String = chars[..start].iter().collect();
        out.push_str(replacement);
        out.extend(&chars[end..]);
        Ok(out)
    }

    /// Replaces every match. Here, and only here, `$name` in the replacement is a template: it is empty, for
    /// there are no groups, but `$0` is the match and `$$` a dollar.
    pub(crate) fn replace_all(&self, value: &str, replacement: &str) -> Result<String, PatternError> {
        let chars: Vec<char> = value.chars().collect();
        let mut search = Search::new(self, &chars, true)?;
        let mut out = String::new();
        let (mut copied, mut from) = (0, 0);
        while from <= chars.len() {
            let Some((start, end)) = search.find(from) else { break };
            out.extend(&chars[copied..start]);
            // An empty match right after another match is not replaced.
            if end > copied || start == 0 {
                out.push_str(&template(replacement, &chars[start..end]));
            }
            copied = end;
            from = if end > from { end } else { from + 1 };
        }
        out.extend(&chars[copied..]);
        Ok(out)
    }
}

/// A pattern on its way through a value: depth first, remembering dead ends, so that each pair of step and
/// position is tried once, whatever the start.
struct Search<'a> {
    steps: &'a [Step],
    chars: &'a [char],
    greedy: bool,
    dead: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(pattern: &'a Pattern, chars: &'a [char], greedy: bool) -> Result<Self, PatternError> {
        let size = (pattern.steps.len() + 1).saturating_mul(chars.len() + 1);
        if size > LARGEST {
            return Err(PatternError::TooLarge);
        }
        Ok(Self { steps: &pattern.steps, chars, greedy, dead: vec![false; size] })
    }

    /// Where a match that begins at `start` ends.
    fn match_at(&mut self, start: usize) -> Option<usize> {
        let mut open = vec![(0, start)];
        let mut tried = Vec::new();
        while let Some((step, at)) = open.pop() {
            let seen = &mut self.dead[step * (self.chars.len() + 1) + at];
            if std::mem::replace(seen, true) {
                continue;
            }
            tried.push(step * (self.chars.len() + 1) + at);
            // `.` of the regular expression this stands for does not match a newline.
            let takes = self.chars.get(at).copied();
            match self.steps.get(step) {
                None => {
                    // What was tried on the way is not dead for another start.
                    for state in tried {
                        self.dead[state] = false;
                    }
                    return Some(at);
                }
                Some(Step::Is(c)) if takes == Some(*c) => open.push((step + 1, at + 1)),
                Some(Step::Any) if takes.is_some_and(|c| c != '\n') => open.push((step + 1, at + 1)),
                Some(Step::Run) => {
                    let more = takes.is_some_and(|c| c != '\n').then_some((step, at + 1));
                    let done = Some((step + 1, at));
                    let (later, sooner) = if self.greedy { (done, more) } else { (more, done) };
                    open.extend(later);
                    open.extend(sooner);
                }
                Some(_) => {}
            }
        }
        None
    }

    fn find(&mut self, from: usize) -> Option<(usize, usize)> {
        (from..=self.chars.len()).find_map(|start| Some((start, self.match_at(start)?)))
    }
}

/// Go's replacement templates, for an expression without groups.
fn template(replacement: &str, matched: &[char]) -> String {
    let mut out = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let body = braced.unwrap_or(rest);
        let length = body.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(body.len());
        let (name, after) = body.split_at(length);
        let after = if braced.is_some() { after.strip_prefix('}') } else { Some(after) };
        match after.filter(|_| !name.is_empty()) {
            None => out.push('$'), // malformed: the dollar is itself
            Some(after) => {
                if name == "0" {
                    out.extend(matched);
                }
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, value: &str, replacement: &str) -> String {
        Pattern::parse(pattern).unwrap().replace_all(value, replacement).unwrap()
    }

    #[test]
    fn prefixes_and_suffixes_are_shortest_or_longest() {
        for (pattern, longest, prefix, suffix) in [
            ("*a", false, "bab", "abab"),
            ("*a", true, "b", "abab"),
            ("b*", false, "abab", "aba"),
            ("b*", true, "abab", "a"),
            ("?", false, "bab", "aba"),
            ("", true, "abab", "abab"),
        ] {
            assert_eq!(trim_prefix(pattern, "abab", longest).unwrap(), prefix, "{pattern} {longest}");
            assert_eq!(trim_suffix(pattern, "abab", longest).unwrap(), suffix, "{pattern} {longest}");
        }
        assert_eq!(trim_suffix(r"\*b", "a*b", false).unwrap(), "a");
        assert_eq!(trim_suffix(r"\}", "a}", false).unwrap(), "a");
    }

    #[test]
    fn replacing_all_goes_left_to_right_and_once_per_place() {
        assert_eq!(all("a", "banana", "o"), "bonono");
        assert_eq!(all("a*a", "banana", "-"), "b-");
        assert_eq!(all("*", "banana", "-"), "-");
        assert_eq!(all("", "ab", "-"), "-a-b-");
        assert_eq!(all("n", "banana", "<$0$x$$>"), "ba<n$>a<n$>a");
        assert_eq!(Pattern::parse("n").unwrap().replace_first("banana", "<$0>").unwrap(), "ba<$0>ana");
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        let value = "a".repeat(2_000);
        let pattern = format!("{}b", "*a".repeat(30));
        assert_eq!(trim_prefix(&pattern, &value, true).unwrap(), value);
    }
}
