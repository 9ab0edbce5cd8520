//! How instructions are told in an image's history.

use samebuild_dockerfile::{decisions, variants};
use serde_json::{Map, Value};

use crate::config::{Config, Healthcheck};

decisions! {
    /// How instructions are told in the history.
    HistoryRules {
        /// How a builder writes `created_by`.
        text: HistoryText,
        /// `--chown`, where the instruction is told as a command.
        chown: ChownText,
        /// Flags of COPY and ADD, where the instruction is told as written.
        copy_flags: CopyFlags,
        /// How lists and structs are printed there.
        values: GoValues,
        /// The arguments before a RUN's command there.
        run_args: RunArgs,
        /// What ARG shows as the value.
        arg: ArgText,
        /// Whether ONBUILD has a line in the history.
        onbuild: OnbuildHistory,
        /// A history with nothing in it.
        empty: EmptyHistory,
    }
}

variants! {
    /// How a builder writes `created_by`.
    HistoryText {
        /// The command that a container would have run: `/bin/sh -c #(nop)  ENV A=1`.
        NopComment = "nop-comment",
        /// The instruction, with a comment that names BuildKit.
        Source = "source",
        /// The instruction as it stands in the Dockerfile, with an author who is the builder.
        AsWritten = "as-written",
        /// What stands behind its first word, a RUN's with the shell before it.
        WithoutKeyword = "without-keyword",
    }
    /// `--chown` before the content in a command.
    ChownText {
        /// Glued to what follows.
        Glued = "glued",
        /// With a space between.
        Spaced = "spaced",
    }
    /// Flags of COPY and ADD in the history.
    CopyFlags {
        /// They are left out.
        Omitted = "omitted",
        /// `--chown`, `--chmod`.
        OwnerAndMode = "owner-and-mode",
    }
    /// How lists and structs are printed.
    GoValues {
        /// EXPOSE as a map of what is exposed, HEALTHCHECK as a quoted pointer.
        MapAndPointer = "map-and-pointer",
        /// EXPOSE as the list of what was written, HEALTHCHECK with its fields named.
        ListAndFields = "list-and-fields",
    }
    /// The arguments before a RUN's command.
    RunArgs {
        /// As often as they were declared in this stage.
        AsDeclared = "as-declared",
        /// Each once, those of the stage it starts from too.
        EachOnce = "each-once",
    }
    /// What ARG shows as the value.
    ArgText {
        /// The default as written.
        Default = "default",
        /// The value it takes.
        Effective = "effective",
    }
    /// A history with nothing in it.
    EmptyHistory {
        /// It is null.
        Null = "null",
        /// It is not written.
        Absent = "absent",
    }
    /// ONBUILD in the history.
    OnbuildHistory {
        /// It has a line of its own.
        Recorded = "recorded",
        /// It has none.
        Absent = "absent",
    }
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub created_by: String,
    pub comment: Option<&'static str>,
    pub author: Option<String>,
    pub empty_layer: bool,
}

/// What an instruction's line is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Metadata: the whole text, `ENV A=1`.
    Metadata(String),
    /// WORKDIR with its path: Docker's classic builder writes it with one space less.
    Workdir(String),
    /// COPY or ADD.
    Copy(CopyLine),
    /// RUN with its prefix of arguments, `|1 A=x`, and its command.
    Run { args: Option<Vec<String>>, command: Vec<String> },
    /// The instruction as it stands, lines joined.
    Whole(String),
}

/// COPY or ADD in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyLine {
    pub keyword: &'static str,
    /// `file`, `dir`, `multi` or, before what was fetched, nothing, and a number for what is copied, in hexadecimal.
    pub content: (&'static str, String),
    pub sources: Vec<String>,
    pub dest: String,
    /// `--chown=…` and `--chmod=…` as written after expansion.
    pub chown: Option<String>,
    pub chmod: Option<String>,
    /// `--parents`.
    pub parents: bool,
}

/// The comment BuildKit's Dockerfile frontend leaves.
const BUILDKIT: &str = "buildkit.dockerfile.v0";

impl HistoryRules {
    /// The line, and the command as `container_config` would hold it.
    pub fn write(self, line: &Line, config: &Config, empty_layer: bool) -> (Entry, Vec<String>) {
        match self.text {
            HistoryText::NopComment => {
                let command = nop_command(line, config, self.chown);
                let (created_by, author) = (command.join(" "), config.author.clone());
                (Entry { created_by, comment: None, author, empty_layer }, command)
            }
            HistoryText::Source => {
                let created_by = signed(line, as_written(line, self.copy_flags));
                (Entry { created_by, comment: Some(BUILDKIT), author: None, empty_layer }, Vec::new())
            }
            HistoryText::AsWritten => (by_itself(as_written(line, self.copy_flags), empty_layer), Vec::new()),
            HistoryText::WithoutKeyword => {
                (by_itself(without_keyword(line, config, self.copy_flags), empty_layer), Vec::new())
            }
        }
    }
}

/// Who writes the history as it stands in the Dockerfile.
const AUTHOR: &str = "kaniko";

fn by_itself(created_by: String, empty_layer: bool) -> Entry {
    Entry { created_by, comment: None, author: Some(AUTHOR.to_owned()), empty_layer }
}

/// The text of an instruction, and behind one that makes a layer BuildKit's name.
fn signed(line: &Line, text: String) -> String {
    match line {
        Line::Copy(_) | Line::Run { .. } => format!("{text} # buildkit"),
        Line::Metadata(_) | Line::Workdir(_) | Line::Whole(_) => text,
    }
}

fn without_keyword(line: &Line, config: &Config, copy_flags: CopyFlags) -> String {
    let text = as_written(line, copy_flags);
    let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
    let rest = rest.trim_start();
    if keyword.eq_ignore_ascii_case("RUN") && !rest.starts_with('[') {
        return format!("{} {rest}", config.shell().join(" "));
    }
    rest.to_owned()
}

fn nop_command(line: &Line, config: &Config, chown_text: ChownText) -> Vec<String> {
    let mut command = config.shell();
    match line {
        Line::Metadata(text) | Line::Whole(text) => command.extend(["#(nop) ".to_owned(), text.clone()]),
        Line::Workdir(path) => command.push(format!("#(nop) WORKDIR {path}")),
        Line::Copy(copy) => {
            let (kind, digest) = &copy.content;
            let space = if chown_text == ChownText::Spaced { " " } else { "" };
            let chown =
                copy.chown.as_ref().map_or_else(String::new, |chown| format!("--chown={chown}{space}"));
            let colon = if kind.is_empty() { "" } else { ":" };
            command.push(format!("#(nop) {} {chown}{kind}{colon}{digest} in {} ", copy.keyword, copy.dest));
        }
        Line::Run { args, command: run } => {
            let prefix = args
                .iter()
                .flat_map(|args| std::iter::once(format!("|{}", args.len())).chain(args.iter().cloned()));
            return prefix.chain(run.iter().cloned()).collect();
        }
    }
    command
}

fn as_written(line: &Line, copy_flags: CopyFlags) -> String {
    match line {
        Line::Metadata(text) | Line::Whole(text) => text.clone(),
        Line::Workdir(path) => format!("WORKDIR {path}"),
        Line::Copy(copy) => {
            let mut words = vec![copy.keyword.to_owned()];
            words.extend(copy.parents.then(|| "--parents".to_owned()));
            if copy_flags == CopyFlags::OwnerAndMode {
                words.extend(copy.chown.iter().map(|chown| format!("--chown={chown}")));
                words.extend(copy.chmod.iter().map(|chmod| format!("--chmod={chmod}")));
            }
            words.extend(copy.sources.iter().cloned());
            words.push(copy.dest.clone());
            words.join(" ")
        }
        Line::Run { args, command } => {
            let prefix = match args {
                Some(args) if !args.is_empty() => format!("|{} {} ", args.len(), args.join(" ")),
                _ => String::new(),
            };
            format!("RUN {prefix}{}", command.join(" "))
        }
    }
}

impl Entry {
    /// As the configuration holds it; `created` is RFC 3339.
    pub fn write(&self, created: &str) -> Value {
        let mut out = Map::new();
        out.insert("created".into(), created.into());
        if let Some(author) = &self.author {
            out.insert("author".into(), author.clone().into());
        }
        if !self.created_by.is_empty() {
            out.insert("created_by".into(), self.created_by.clone().into());
        }
        if let Some(comment) = self.comment {
            out.insert("comment".into(), comment.into());
        }
        if self.empty_layer {
            out.insert("empty_layer".into(), true.into());
        }
        Value::Object(out)
    }
}

/// A list as Go's `%q` prints it: `["a" "b"]`.
pub fn go_quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| samebuild_dockerfile::go_quote(word)).collect();
    format!("[{}]", quoted.join(" "))
}

/// A health check as Go's `%q` prints a pointer to its struct. Builders that know `--start-interval` have one field more.
pub fn go_healthcheck(check: &Healthcheck, start_interval: bool) -> String {
    let mut times = vec![check.interval, check.timeout, check.start_period];
    if start_interval {
        times.push(check.start_interval);
    }
    let times: Vec<String> = times.into_iter().map(|nanos| format!("\"{}\"", go_duration(nanos))).collect();
    format!("&{{{} {} {}}}", go_quoted(&check.test), times.join(" "), go_rune(check.retries))
}

/// A health check as Go's `%+v` prints its struct.
pub fn go_healthcheck_fields(check: &Healthcheck) -> String {
    let [interval, timeout, start_period, start_interval] =
        [check.interval, check.timeout, check.start_period, check.start_interval].map(go_duration);
    format!(
        "{{Test:[{}] Interval:{interval} Timeout:{timeout} StartPeriod:{start_period} StartInterval:{start_interval} Retries:{}}}",
        check.test.join(" "),
        check.retries
    )
}

/// Nanoseconds as Go's `Duration` prints them: `5m0s`, `1.5s`, `250ms`.
fn go_duration(nanos: i64) -> String {
    let (sign, total) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let fraction = |unit: u64, name: &str| {
        let rest = format!("{:0width$}", total % unit, width = unit.ilog10() as usize);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{rest}{name}", total / unit)
    };
    match total {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => fraction(1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
            let seconds = go_seconds(rest);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn go_seconds(nanos: u64) -> String {
    let rest = format!("{:09}", nanos % 1_000_000_000);
    let rest = rest.trim_end_matches('0');
    let point = if rest.is_empty() { "" } else { "." };
    format!("{}{point}{rest}s", nanos / 1_000_000_000)
}

/// A number as Go's `%q` prints an integer: the character of that code, quoted.
fn go_rune(number: i64) -> String {
    let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    match c {
        '\u{7}' => r"'\a'".into(),
        '\u{8}' => r"'\b'".into(),
        '\t' => r"'\t'".into(),
        '\n' => r"'\n'".into(),
        '\u{b}' => r"'\v'".into(),
        '\u{c}' => r"'\f'".into(),
        '\r' => r"'\r'".into(),
        '\'' => r"'\''".into(),
        '\\' => r"'\\'".into(),
        c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => format!("'\\x{:02x}'", u32::from(c)),
        c => format!("'{c}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_reads_as_go_prints_it() {
        let check = Healthcheck {
            test: vec!["CMD-SHELL".into(), "true".into()],
            interval: 5_000_000_000,
            retries: 3,
            ..Healthcheck::default()
        };
        assert_eq!(go_healthcheck(&check, false), r#"&{["CMD-SHELL" "true"] "5s" "0s" "0s" '\x03'}"#);
    }

    #[test]
    fn durations_read_as_go_prints_them() {
        let printed =
            [0, 1_500, 250_000_000, 1_500_000_000, 300_000_000_000, 3_661_000_000_000].map(go_duration);
        assert_eq!(printed, ["0s", "1.5µs", "250ms", "1.5s", "5m0s", "1h1m1s"]);
    }

    #[test]
    fn only_the_builder_s_own_signature_is_left_out_where_it_does_not_sign() {
        let line = Line::Whole("RUN true # buildkit".to_owned());
        let (entry, _) = crate::dialect::KANIKO_1_24.history.write(&line, &Config::default(), false);
        assert!(entry.created_by.ends_with("true # buildkit"), "{}", entry.created_by);
    }

    #[test]
    fn the_classic_builder_glues_chown_to_what_follows() {
        let line = Line::Copy(CopyLine {
            keyword: "COPY",
            content: ("dir", "cf98".into()),
            sources: vec!["d".into()],
            dest: "/n/".into(),
            chown: Some("app:appg".into()),
            chmod: None,
            parents: false,
        });
        let (entry, command) = crate::dialect::CLASSIC_20_10.history.write(&line, &Config::default(), false);
        assert_eq!(entry.created_by, "/bin/sh -c #(nop) COPY --chown=app:appgdir:cf98 in /n/ ");
        assert_eq!(command.len(), 3);
    }
}
