//! The first of two passes: a line becomes keyword, flags and arguments.
//!
//! Builders make this pass over the whole file before they look at any instruction, so its errors (JSON of
//! other things than strings, ENV without `=`, an open heredoc) come before unknown instructions and flags,
//! wherever they stand. The second pass is [`crate::typed`].

use crate::error::{Class, Fault};
use crate::heredoc::{self, Heredoc};
use crate::json::{self, Element};
use crate::keyword::Keyword;
use crate::lines::{Logical, Slice};
use crate::syntax::{JsonTail, Support, Syntax};
use crate::words::{self, Word};

/// ONBUILD within ONBUILD is an error anyway; deeper than this we do not look what is in it.
const DEEPEST: usize = 8;

/// A line, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct RawNode {
    pub(crate) keyword: Word,
    pub(crate) kind: Option<Keyword>,
    /// Without quotes, in order.
    pub(crate) flags: Vec<Word>,
    pub(crate) args: Args,
    /// The rest of the line after the flags.
    pub(crate) rest: Word,
    /// The line from the keyword on.
    pub(crate) original: String,
    pub(crate) heredocs: Vec<Heredoc>,
}

/// What follows keyword and flags.
#[derive(Clone, Debug)]
pub(crate) enum Args {
    /// Words.
    List(Vec<Word>),
    /// A JSON array of strings.
    Json(Vec<Word>),
    /// The rest of the line as one argument, if there is one.
    Text(Option<Word>),
    /// Names and values.
    Pairs { pairs: Vec<(Word, Word)>, legacy: bool },
    /// HEALTHCHECK's first word, and what follows it.
    Health(Option<(Word, Box<Args>)>),
    /// ONBUILD's trigger.
    Trigger(Option<Box<RawNode>>),
    /// The keyword is not known; nothing was looked at.
    Ignored,
}

impl Args {
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Args::Json(_) => true,
            Args::Health(Some((_, command))) => command.is_json(),
            _ => false,
        }
    }
}

/// Takes `line` apart. `escape` is the file's.
pub(crate) fn node(line: &Logical, escape: char, syntax: &Syntax) -> Result<RawNode, Fault> {
    let mut node = slice_node(line.whole(), escape, syntax, 0)?;
    let bearer = match &node.args {
        Args::Trigger(Some(trigger)) => trigger,
        _ => &node,
    };
    let may =
        matches!(bearer.kind, Some(Keyword::Add | Keyword::Copy | Keyword::Run)) && !bearer.args.is_json();
    if may && syntax.heredoc == Support::Present {
        node.heredocs = heredoc::begun_in(&line.text, syntax);
    }
    Ok(node)
}

fn slice_node(line: Slice<'_>, escape: char, syntax: &Syntax, depth: usize) -> Result<RawNode, Fault> {
    let line = line.trim();
    let (keyword, rest) = words::split_first(line);
    let (flags, rest) = rest.map_or((Vec::new(), line.from(line.text().len())), words::take_flags);
    let rest = rest.trim();
    let kind = Keyword::parse(keyword.text());
    let args = match kind {
        None => Args::Ignored,
        Some(Keyword::Add | Keyword::Copy | Keyword::Volume) => match json_strings(rest, syntax)? {
            Some(strings) => Args::Json(strings),
            None => Args::List(words::by_space(rest)),
        },
        Some(Keyword::From | Keyword::Expose) => Args::List(words::by_space(rest)),
        Some(Keyword::Arg) => Args::List(words::quoted(rest, escape)),
        Some(Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Shell) => maybe_json(rest, syntax)?,
        Some(Keyword::Maintainer | Keyword::StopSignal | Keyword::User | Keyword::Workdir) => text(rest),
        Some(kind @ (Keyword::Env | Keyword::Label)) => pairs(rest, kind, escape)?,
        Some(Keyword::Healthcheck) => health(rest, syntax)?,
        Some(Keyword::Onbuild) if rest.text().is_empty() || depth >= DEEPEST => Args::Trigger(None),
        Some(Keyword::Onbuild) => Args::Trigger(Some(Box::new(slice_node(rest, escape, syntax, depth + 1)?))),
    };
    let original = line.text().to_owned();
    let keyword = Word::of(keyword);
    Ok(RawNode { keyword, kind, flags, args, rest: Word::of(rest), original, heredocs: Vec::new() })
}

fn text(rest: Slice<'_>) -> Args {
    Args::Text((!rest.text().is_empty()).then(|| Word::of(rest)))
}

fn maybe_json(rest: Slice<'_>, syntax: &Syntax) -> Result<Args, Fault> {
    Ok(match json_strings(rest, syntax)? {
        Some(strings) => Args::Json(strings),
        None => text(rest),
    })
}

/// The strings, if the text is a JSON array of strings; an error if it is an array of other things. Whatever
/// else is wrong with it makes it plain text, without a word: that is docker's rule.
fn json_strings(rest: Slice<'_>, syntax: &Syntax) -> Result<Option<Vec<Word>>, Fault> {
    let text = rest.text();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok((elements, end)) = json::array(text) else { return Ok(None) };
    if syntax.json_tail == JsonTail::NotJson && !text[end..].trim().is_empty() {
        return Ok(None);
    }
    let mut strings = Vec::new();
    for element in elements {
        match element {
            Element::Text(text, range) => {
                strings.push(Word { text, span: rest.sub(range.start, range.end).span() });
            }
            Element::Other(range) => {
                let span = rest.sub(range.start, range.end).span();
                let message = format!(
                    "use {} in a JSON array here; quote it, only strings may stand in it",
                    &text[range]
                );
                return Err(Fault::new(Class::BadJson, span, message)
                    .says("when using JSON array syntax, arrays must be comprised of strings only"));
            }
        }
    }
    Ok(Some(strings))
}

/// ENV and LABEL: `NAME=value…`, or the older `NAME rest of the line`.
fn pairs(rest: Slice<'_>, kind: Keyword, escape: char) -> Result<Args, Fault> {
    let words = words::quoted(rest, escape);
    let Some(first) = words.first() else { return Ok(Args::Pairs { pairs: Vec::new(), legacy: false }) };
    if !first.text.contains('=') {
        let (name, Some(value)) = words::split_first(rest) else {
            let message = format!("read a value for {:?}; write {kind} {}=value", first.text, first.text);
            return Err(Fault::new(Class::MissingArgument, rest.span(), message)
                .says(format!("{kind} must have two arguments")));
        };
        return Ok(Args::Pairs { pairs: vec![(Word::of(name), Word::of(value))], legacy: true });
    }
    let mut pairs = Vec::new();
    for word in words {
        let Some(at) = word.text.find('=') else {
            let message =
                format!("find = in {:?}; {kind} takes name=value words, quote values with spaces", word.text);
            let says = format!(
                "Syntax error - can't find = in {}. Must be of the form: name=value",
                crate::quote::go_quote(&word.text)
            );
            return Err(Fault::new(Class::MissingEquals, word.span, message).says(says));
        };
        pairs.push(word.cut(at, 1));
    }
    Ok(Args::Pairs { pairs, legacy: false })
}

fn health(rest: Slice<'_>, syntax: &Syntax) -> Result<Args, Fault> {
    let text = rest.text();
    if text.is_empty() {
        return Ok(Args::Health(None));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let command = maybe_json(rest.from(end).trim(), syntax)?;
    Ok(Args::Health(Some((Word::of(rest.sub(0, end)), Box::new(command)))))
}
